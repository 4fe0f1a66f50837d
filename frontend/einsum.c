/* sn_einsum: sums of products of any number of operands, decomposed into contractions of two, sums and transposes. */
#include "frontend/trace.h"

#include <stdio.h>
#include <string.h>

enum { OPERANDS_MAX = 32 };

/* An operand and the letters of its axes. */
typedef struct term {
  sn_val v;
  char letters[SN_RANK_MAX + 1];
} term;

typedef struct picture {
  int count;
  sn_axis_list in[OPERANDS_MAX], out;
} picture;

static bool malformed(sn_call *c, const char *spec, const char *why) {
  sn_mistake(c, "one letter an axis, as in \"btd,vd->btv\"", sn_texts(c, "\"%s\"", spec), "%s", why);
  return false;
}

static bool read_side(sn_call *c, const char *spec, const char **at, sn_axis_list *l) {
  *at = sn_axes_read(c, spec, *at, l);
  if (!*at) return false;
  if (l->group_count != l->count || sn_axes_find(l, '1') >= 0)
    return malformed(c, spec, "only letters stand in an einsum");
  if (l->count > SN_RANK_MAX) return malformed(c, spec, "too many axes");
  return true;
}

static bool read_picture(sn_call *c, const char *spec, int operands, picture *p) {
  p->count = 0;
  const char *at = spec ? spec : "";
  for (;;) {
    if (p->count == OPERANDS_MAX) return malformed(c, spec, "too many operands");
    if (!read_side(c, spec, &at, &p->in[p->count++])) return false;
    if (*at != ',') break;
    at++;
  }
  if (strncmp(at, "->", 2) != 0) return malformed(c, at == spec ? "" : spec, "one -> is needed");
  at += 2;
  if (!read_side(c, spec, &at, &p->out)) return false;
  if (*at) return malformed(c, spec, "one -> is needed");
  if (p->count == operands) return true;
  sn_mistake(c, sn_texts(c, "%d operands, as in \"%s\"", p->count, spec), sn_texts(c, "%d", operands),
             "another number of operands");
  return false;
}

/* Ranks fit, every letter has one extent, every letter of the result comes from somewhere. */
static bool check_extents(sn_call *c, const picture *p, sn_list x, const char *spec) {
  for (int i = 0; i < p->count; i++) {
    const sn_type *t = sn_need(c, x.at[i].v, sn_spelled(c, i + 1));
    if (!t) return false;
    if (t->rank == p->in[i].count) continue;
    sn_mistake(c, sn_texts(c, "rank %d, as in \"%s\"", p->in[i].count, spec),
               sn_describe(c, x.at[i].v, sn_spelled(c, i + 1)), "operand %d has another rank", i + 1);
    return false;
  }
  for (int i = 1; i < p->count; i++) {
    for (int a = 0; a < p->in[i].count; a++) {
      char letter = p->in[i].letter[a];
      int k = 0, at = -1;
      while (k < i && (at = sn_axes_find(&p->in[k], letter)) < 0) k++;
      const sn_dimx *mine = sn_t_type(x.at[i].v)->dim[a];
      const sn_dimx *first = k < i ? sn_t_type(x.at[k].v)->dim[at] : mine;
      if (first == mine) continue;
      sn_mistake(c, sn_texts(c, "%s, from %s", sn_dim_text(c, first), sn_describe(c, x.at[k].v, sn_spelled(c, k + 1))),
                 sn_texts(c, "%s, from %s", sn_dim_text(c, mine), sn_describe(c, x.at[i].v, sn_spelled(c, i + 1))),
                 "axis '%c' has two extents", letter);
      return false;
    }
  }
  for (int a = 0; a < p->out.count; a++) {
    bool found = false;
    for (int i = 0; i < p->count; i++) found |= sn_axes_find(&p->in[i], p->out.letter[a]) >= 0;
    if (!found) return malformed(c, spec, sn_texts(c, "axis '%c' comes from nowhere", p->out.letter[a]));
  }
  return true;
}

/* ---- building ------------------------------------------------------------------------------------------- */

/* Sums away the letters that `keep` lacks. */
static term keep_only(sn_call *c, term x, const char *keep) {
  unsigned mask = 0;
  int n = 0;
  for (int i = 0; x.letters[i]; i++) {
    if (strchr(keep, x.letters[i]))
      x.letters[n++] = x.letters[i];
    else
      mask |= 1u << i;
  }
  x.letters[n] = 0;
  x.v = sn_reduce_axes(c, SN_OP_SUM, x.v, mask);
  return x;
}

/* x with its axes in the order of `letters`, broadcast to the type. */
static sn_val spread(sn_call *c, term x, const char *letters, const sn_type *type) {
  sn_build *b = &c->fn->b;
  int64_t perm[SN_RANK_MAX], axes[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; letters[i]; i++) {
    const char *at = strchr(x.letters, letters[i]);
    if (!at) continue;
    perm[n] = at - x.letters;
    axes[n++] = i;
  }
  return sn_g_broadcast(b, sn_g_transpose(b, x.v, perm), type->rank, type->dim, axes);
}

/* A product of elements: nothing is summed. */
static sn_val multiply(sn_call *c, term x, term y, const char *letters) {
  sn_build *b = &c->fn->b;
  const sn_dimx *dim[SN_RANK_MAX];
  const sn_type *tx = sn_g_type(b, x.v), *ty = sn_g_type(b, y.v);
  int n = 0;
  for (; letters[n]; n++) {
    const char *at = strchr(x.letters, letters[n]);
    dim[n] = at ? tx->dim[at - x.letters] : ty->dim[strchr(y.letters, letters[n]) - y.letters];
  }
  const sn_type *t = sn_type_of(sn_types_of(c), tx->elem, n, dim);
  return sn_g2(b, SN_OP_MUL, spread(c, x, letters, t), spread(c, y, letters, t));
}

/* The product of two, summed over letters that `keep` lacks; `out` (NULL: any) is the order of the result. */
static term pair(sn_call *c, term x, term y, const char *keep, const char *out) {
  char wanted[(OPERANDS_MAX + 3) * SN_RANK_MAX + 1], spec[64];
  term r = {0};
  snprintf(wanted, sizeof wanted, "%s%s", keep, y.letters);
  x = keep_only(c, x, wanted);
  snprintf(wanted, sizeof wanted, "%s%s", keep, x.letters);
  y = keep_only(c, y, wanted);
  int n = 0;
  bool summed = false;
  for (const char *s = x.letters; *s; s++) {
    if (strchr(keep, *s))
      r.letters[n++] = *s;
    else
      summed = true;
  }
  for (const char *s = y.letters; *s; s++) {
    if (!strchr(keep, *s) || strchr(x.letters, *s)) continue;
    if (n == SN_RANK_MAX) {
      malformed(c, keep, "an intermediate product has too many axes");
      return r;
    }
    r.letters[n++] = *s;
  }
  if (out) memcpy(r.letters, out, strlen(out) + 1);
  if (!x.v || !y.v) return r;
  snprintf(spec, sizeof spec, "%s,%s->%s", x.letters, y.letters, r.letters);
  r.v = summed ? sn_g_contract(&c->fn->b, spec, x.v, y.v) : multiply(c, x, y, r.letters);
  return r;
}

/* Letters that the operands from `i` on and the result still need. */
static void letters_from(const picture *p, int i, char *out) {
  int n = 0;
  for (int a = 0; a < p->out.count; a++) out[n++] = p->out.letter[a];
  for (; i < p->count; i++) {
    for (int a = 0; a < p->in[i].count; a++) out[n++] = p->in[i].letter[a];
  }
  out[n] = 0;
}

static void list_letters(const sn_axis_list *l, char *out) {
  memcpy(out, l->letter, (size_t)l->count);
  out[l->count] = 0;
}

/* The element type of all operands: floats win over integers. */
static sn_elem common_elem(sn_list x) {
  sn_elem e = sn_t_type(x.at[0].v)->elem;
  for (int i = 1; i < x.count; i++) {
    sn_elem other = sn_t_type(x.at[i].v)->elem;
    if (!sn_elem_is_float(e) && sn_elem_is_float(other)) e = other;
  }
  return e;
}

sn_t sn_einsum_at(sn_here here, const char *spec, sn_list x) {
  sn_t *values = (sn_t[OPERANDS_MAX]){0};
  for (int i = 0; i < x.count; i++) values[i] = x.at[i].v;
  sn_call c = sn_call_on(here, x.count, values);
  if (!c.fn || c.poison) return sn_poison(&c);
  picture *p = SN_NEW(c.trace->arena, picture);
  if (!read_picture(&c, spec, x.count, p) || !check_extents(&c, p, x, spec)) return sn_poison(&c);
  char keep[(OPERANDS_MAX + 1) * SN_RANK_MAX + 1], out[SN_AXIS_MAX + 1];
  list_letters(&p->out, out);
  term sum = {0};
  sn_elem e = common_elem(x);
  for (int i = 0; i < p->count && !c.poison; i++) {
    term next = {.v = sn_bring(&c, x.at[i].v, sn_spelled(&c, i + 1))};
    if (!next.v) break;
    if (sn_elem_is_float(e) && sn_elem_is_int(sn_g_type(&c.fn->b, next.v)->elem))
      next.v = sn_g_cast(&c.fn->b, next.v, e);
    list_letters(&p->in[i], next.letters);
    letters_from(p, i + 1, keep);
    sum = i ? pair(&c, sum, next, keep, i == p->count - 1 ? out : NULL) : next;
  }
  if (p->count == 1) sum = keep_only(&c, sum, out);
  return sn_result(&c, p->count == 1 ? sn_arrange(&c, sum.v, sum.letters, &p->out) : sum.v);
}
