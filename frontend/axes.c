/* The notation of axes, "bt(nhd)->nbthd1", and what is written in it: rearrange, merge, reductions. */
#include "frontend/trace.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ----------------------------------------------------------------------------------------- */

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int sn_axes_find(const sn_axis_list *l, char letter) {
  for (int i = 0; i < l->count; i++) {
    if (l->letter[i] == letter) return i;
  }
  return -1;
}

static const char *bad_axes(sn_call *c, const char *spec, const char *why) {
  sn_mistake(c, "letters, 1 and ( ), as in \"bt(hd)->bhtd\"", sn_texts(c, "\"%s\"", spec), "%s", why);
  return NULL;
}

const char *sn_axes_read(sn_call *c, const char *spec, const char *at, sn_axis_list *out) {
  *out = (sn_axis_list){0};
  bool inside = false;
  for (; *at && *at != ',' && strncmp(at, "->", 2) != 0; at++) {
    if (*at == ' ') continue;
    if (*at == '(' || *at == ')') {
      if (inside == (*at == '(')) return bad_axes(c, spec, "brackets do not pair");
      if (inside) out->group_count++;
      inside = !inside;
      continue;
    }
    if (!is_letter(*at) && *at != '1') return bad_axes(c, spec, "not a picture of axes");
    if (*at != '1' && sn_axes_find(out, *at) >= 0) return bad_axes(c, spec, sn_texts(c, "axis '%c' stands twice", *at));
    if (out->count == SN_AXIS_MAX) return bad_axes(c, spec, "too many axes");
    out->letter[out->count] = *at;
    out->group[out->count++] = out->group_count;
    if (!inside) out->group_count++;
  }
  return inside ? bad_axes(c, spec, "brackets do not pair") : at;
}

/* Both sides of "left->right". */
static bool read_two(sn_call *c, const char *spec, sn_axis_list *left, sn_axis_list *right) {
  if (!spec) return bad_axes(c, "", "no picture of axes") != NULL;
  const char *at = sn_axes_read(c, spec, spec, left);
  if (!at) return false;
  if (strncmp(at, "->", 2) != 0) return bad_axes(c, spec, "one -> is needed") != NULL;
  at = sn_axes_read(c, spec, at + 2, right);
  if (!at) return false;
  if (*at) return bad_axes(c, spec, "one -> is needed") != NULL;
  for (int i = 0; i < right->count; i++) {
    if (right->letter[i] != '1' && sn_axes_find(left, right->letter[i]) < 0)
      return bad_axes(c, spec, sn_texts(c, "axis '%c' comes from nowhere", right->letter[i])) != NULL;
  }
  return true;
}

/* ---- arranging ------------------------------------------------------------------------------------------ */

sn_val sn_arrange(sn_call *c, sn_val v, const char *letters, const sn_axis_list *right) {
  sn_build *b = &c->fn->b;
  if (!v) return 0;
  const sn_type *t = sn_g_type(b, v);
  int64_t perm[SN_RANK_MAX];
  const sn_dimx *shape[SN_RANK_MAX];
  int n = 0;
  for (int g = 0; g < right->group_count && g < SN_RANK_MAX; g++) shape[g] = sn_dimx_const(sn_types_of(c), 1);
  for (int i = 0; i < right->count; i++) {
    if (right->letter[i] == '1') continue;
    perm[n] = strchr(letters, right->letter[i]) - letters;
    shape[right->group[i]] = sn_dimx_mul(sn_types_of(c), shape[right->group[i]], t->dim[perm[n]]);
    n++;
  }
  return sn_g_reshape(b, sn_g_transpose(b, v, perm), right->group_count, shape);
}

static bool check_rank(sn_call *c, sn_t x, const sn_axis_list *left, const sn_axis_list *right, const char *spec) {
  int rank = sn_t_type(x)->rank;
  if (left->group_count != rank) {
    sn_mistake(c, sn_texts(c, "rank %d, as in \"%s\"", left->group_count, spec), sn_describe(c, x, sn_spelled(c, 0)),
               "the picture has another rank");
    return false;
  }
  int letters = 0;
  for (int i = 0; i < left->count; i++) letters += left->letter[i] != '1';
  if (letters <= SN_RANK_MAX && right->group_count <= SN_RANK_MAX) return true;
  bad_axes(c, spec, "too many axes");
  return false;
}

/* Extents of the letters of one axis of x that is split: all but one are given. */
static bool split_axis(sn_call *c, const sn_dimx *extent, const sn_axis_list *left, int group, const int64_t *size,
                       const sn_dimx **dim) {
  sn_types *types = sn_types_of(c);
  const sn_dimx *known = sn_dimx_const(types, 1);
  int unknown = -1, unknowns = 0;
  for (int i = 0; i < left->count; i++) {
    char l = left->letter[i];
    if (left->group[i] != group) continue;
    int64_t given = l == '1' ? 1 : l >= 'a' && l <= 'z' ? size[l - 'a'] : 0;
    if (given)
      dim[i] = sn_dimx_const(types, given), known = sn_dimx_mul(types, known, dim[i]);
    else
      unknown = i, unknowns++;
  }
  if (unknowns == 0 && known == extent) return true;
  if (unknowns == 1) dim[unknown] = sn_dimx_exact_div(types, extent, known);
  if (unknowns == 1 && dim[unknown]) return true;
  if (unknowns > 1)
    sn_mistake(c, "all but one of its sizes, as in .h = 12", sn_texts(c, "%d unknown sizes", unknowns),
               "axis %d cannot be split", group);
  else
    sn_mistake(c, sn_texts(c, "%s of %s", unknowns ? "a multiple" : "the extent", sn_dim_text(c, known)),
               sn_dim_text(c, extent), "axis %d does not split into the given sizes", group);
  return false;
}

/* x with one axis per letter; letters[] names them. */
static sn_val take_apart(sn_call *c, sn_t x, const sn_axis_list *left, const int64_t *size, char *letters) {
  const sn_dimx *dim[SN_AXIS_MAX] = {0}, *shape[SN_RANK_MAX];
  int n = 0;
  for (int g = 0; g < left->group_count; g++) {
    if (!split_axis(c, sn_t_type(x)->dim[g], left, g, size, dim)) return 0;
  }
  for (int i = 0; i < left->count; i++) {
    if (left->letter[i] == '1') continue;
    letters[n] = left->letter[i];
    shape[n++] = dim[i];
  }
  letters[n] = 0;
  sn_val v = sn_bring(c, x, sn_spelled(c, 0));
  return v ? sn_g_reshape(&c->fn->b, v, n, shape) : 0;
}

sn_t sn_rearrange_at(sn_here here, sn_axes a) {
  const int64_t size[26] = {a.a, a.b, a.c, a.d, a.e, a.f, a.g, a.h, a.i, a.j, a.k, a.l, a.m,
                            a.n, a.o, a.p, a.q, a.r, a.s, a.t, a.u, a.v, a.w, 0,   a.y, a.z};
  sn_call c = sn_call_on(here, 1, &a.x);
  sn_axis_list left, right;
  char letters[SN_AXIS_MAX + 1];
  if (!c.fn || !sn_need(&c, a.x, "x") || !read_two(&c, a.spec, &left, &right)) return sn_poison(&c);
  if (!check_rank(&c, a.x, &left, &right, a.spec)) return sn_poison(&c);
  for (int i = 0; i < left.count; i++) {
    if (left.letter[i] == '1' || sn_axes_find(&right, left.letter[i]) >= 0) continue;
    bad_axes(&c, a.spec, sn_texts(&c, "axis '%c' is lost", left.letter[i]));
    return sn_poison(&c);
  }
  sn_val v = take_apart(&c, a.x, &left, size, letters);
  return sn_result(&c, sn_arrange(&c, v, letters, &right));
}

sn_t sn_merge_at(sn_here here, sn_t x) {
  sn_call c = sn_call_on(here, 1, &x);
  const sn_type *t = c.fn ? sn_need(&c, x, "x") : NULL;
  if (!t) return sn_poison(&c);
  if (t->rank < 2) {
    sn_mistake(&c, "two axes or more", sn_describe(&c, x, sn_spelled(&c, 0)), "nothing to merge");
    return sn_poison(&c);
  }
  const sn_dimx *shape[SN_RANK_MAX];
  for (int i = 0; i < t->rank - 1; i++) shape[i] = t->dim[i];
  shape[t->rank - 2] = sn_dimx_mul(sn_types_of(&c), t->dim[t->rank - 2], t->dim[t->rank - 1]);
  sn_val v = sn_bring(&c, x, sn_spelled(&c, 0));
  return sn_result(&c, v ? sn_g_reshape(&c.fn->b, v, t->rank - 1, shape) : 0);
}

/* ---- reductions ----------------------------------------------------------------------------------------- */

sn_val sn_reduce_axes(sn_call *c, sn_op op, sn_val v, unsigned mask) {
  int64_t axes[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < SN_RANK_MAX; i++) {
    if (mask >> i & 1) axes[n++] = i;
  }
  if (!n || !v) return v;
  const sn_attr at = {.set = true, .ints = axes, .count = n};
  return sn_emit(&c->fn->b, op, 1, &v, &at, NULL);
}

/* v over the number of elements that were added. */
static sn_val divide_by_count(sn_call *c, sn_val v, const sn_dimx *count) {
  sn_build *b = &c->fn->b;
  int64_t n;
  if (!v) return 0;
  if (sn_dimx_is_const(count, &n)) return sn_g2(b, SN_OP_MUL, v, sn_g_const_like(b, v, 1 / (double)n));
  sn_val divisor = sn_g_cast(b, sn_g_dim(b, count), sn_g_type(b, v)->elem);
  return sn_g2(b, SN_OP_DIV, v, sn_g_expand_to(b, divisor, sn_g_type(b, v)));
}

sn_t sn_reduce_at(sn_here here, const char *op, sn_t x, const char *spec) {
  sn_call c = sn_call_on(here, 1, &x);
  sn_axis_list left, right;
  const int64_t no_size[26] = {0};
  char letters[SN_AXIS_MAX + 1], kept[SN_AXIS_MAX + 1];
  if (!c.fn || !sn_need(&c, x, "x") || !read_two(&c, spec, &left, &right)) return sn_poison(&c);
  if (!check_rank(&c, x, &left, &right, spec)) return sn_poison(&c);
  sn_val v = take_apart(&c, x, &left, no_size, letters);
  if (!v) return sn_result(&c, 0);
  const sn_dimx *count = sn_dimx_const(sn_types_of(&c), 1);
  unsigned mask = 0;
  int n = 0;
  for (int i = 0; letters[i]; i++) {
    if (sn_axes_find(&right, letters[i]) >= 0) {
      kept[n++] = letters[i];
      continue;
    }
    mask |= 1u << i;
    count = sn_dimx_mul(sn_types_of(&c), count, sn_g_type(&c.fn->b, v)->dim[i]);
  }
  kept[n] = 0;
  bool mean = !strcmp(op, "mean");
  if (mean && sn_elem_is_int(sn_g_type(&c.fn->b, v)->elem)) v = sn_g_cast(&c.fn->b, v, c.trace->real);
  v = sn_reduce_axes(&c, mean ? SN_OP_SUM : sn_op_find(op), v, mask);
  if (mean && mask) v = divide_by_count(&c, v, count);
  return sn_result(&c, sn_arrange(&c, v, kept, &right));
}
