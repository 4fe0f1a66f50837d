/* Tensor types: interned element type and dims, and their text form. */
#include "ir/types/type.h"

#include <string.h>

#include "ir/types/table.h"

static bool same(const sn_type *a, const sn_type *b) { return a->elem == b->elem && sn_type_same_shape(a, b); }

static uint64_t hash_of(const sn_type *type) {
  uint64_t h = (uint64_t)type->elem;
  for (int i = 0; i < type->rank; i++) h = sn_hash_bytes(&type->dim[i]->id, sizeof(uint32_t), h);
  return h ^ (uint64_t)type->rank;
}

const sn_type *sn_type_of(sn_types *t, sn_elem elem, int rank, const sn_dimx *const *dims) {
  sn_type type = {.elem = elem, .rank = rank};
  if (rank < 0 || rank > SN_RANK_MAX) return NULL;
  for (int i = 0; i < rank; i++) type.dim[i] = dims[i];
  uint64_t hash = hash_of(&type);
  sn_type_entry *first = sn_map_get(t->types, hash);
  for (sn_type_entry *e = first; e; e = e->next) {
    if (same(&e->type, &type)) return &e->type;
  }
  sn_type_entry *made = SN_NEW(t->arena, sn_type_entry);
  *made = (sn_type_entry){type, first};
  sn_map_put(t->types, hash, made);
  return &made->type;
}

const sn_type *sn_type_scalar(sn_types *t, sn_elem elem) { return sn_type_of(t, elem, 0, NULL); }

const sn_type *sn_type_with_elem(sn_types *t, const sn_type *type, sn_elem elem) {
  return sn_type_of(t, elem, type->rank, type->dim);
}

const sn_dimx *sn_type_count(sn_types *t, const sn_type *type) {
  const sn_dimx *count = sn_dimx_const(t, 1);
  for (int i = 0; i < type->rank; i++) count = sn_dimx_mul(t, count, type->dim[i]);
  return count;
}

bool sn_type_same_shape(const sn_type *a, const sn_type *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++) {
    if (a->dim[i] != b->dim[i]) return false;
  }
  return true;
}

void sn_type_print(sn_text *out, const sn_type *type) {
  sn_text_add(out, "%s[", sn_elem_name(type->elem));
  for (int i = 0; i < type->rank; i++) {
    if (i) sn_text_add(out, ", ");
    sn_dimx_print(out, type->dim[i]);
  }
  sn_text_char(out, ']');
}

const char *sn_type_text(sn_arena *arena, const sn_type *type) {
  sn_text t = sn_text_begin(arena);
  sn_type_print(&t, type);
  return t.at;
}

sn_code sn_elem_parse(sn_lexer *x, sn_elem *out) {
  const char *names[SN_ELEM_COUNT], *found = x->token.text;
  bool word = x->token.kind == SN_TOKEN_NAME, end = x->token.kind == SN_TOKEN_END;
  *out = word && !x->failed ? sn_elem_find(found) : SN_ELEM_NONE;
  if (*out != SN_ELEM_NONE) {
    sn_lex_next(x);
    return x->failed;
  }
  if (x->failed) return x->failed;
  sn_text known = sn_text_begin(x->arena);
  for (int e = SN_ELEM_NONE + 1; e < SN_ELEM_COUNT; e++) {
    names[e - 1] = sn_elem_name((sn_elem)e);
    sn_text_add(&known, "%s%s", e > 1 ? " " : "", names[e - 1]);
  }
  const char *near = word ? sn_nearest(found, names, SN_ELEM_COUNT - 1) : NULL;
  sn_code code = sn_lex_fail(x, "not an element type");
  sn_fail_expected(x->diags, "one of %s", known.at);
  sn_fail_found(x->diags, "%.64s", end ? "the end of the text" : found);
  if (near) sn_fail_note(x->diags, "did you mean `%s`?", near);
  return code;
}

sn_code sn_type_parse(sn_lexer *x, sn_types *t, const sn_type **out) {
  const sn_dimx *dims[SN_RANK_MAX];
  int rank = 0;
  sn_elem elem;
  SN_TRY(sn_elem_parse(x, &elem));
  SN_TRY(sn_lex_expect(x, "["));
  while (!sn_lex_accept(x, "]")) {
    if (rank == SN_RANK_MAX) return sn_lex_fail(x, "more than %d axes", SN_RANK_MAX);
    SN_TRY(sn_dimx_parse(x, t, &dims[rank++]));
    if (!sn_lex_is(x, "]")) SN_TRY(sn_lex_expect(x, ","));
  }
  SN_TRY(x->failed);
  *out = sn_type_of(t, elem, rank, dims);
  return SN_OK;
}
