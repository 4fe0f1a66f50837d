/* Random valid uses of attention and its backward op. */
#include "ir/ops/sample_draw.h"

/* Every argument of a region: the site, after the score if there is one, then a captured bias if there is one. */
static void region_args(draw *d, sn_build *b, sn_elem acc, const sn_type *bias, sn_val *out) {
  int n = 0;
  if (acc) out[n] = body_arg(b, n, sn_type_scalar(d->m->types, acc)), n++;
  for (int i = 0; i < 4; i++, n++) out[n] = body_arg(b, n, sn_type_scalar(d->m->types, SN_ELEM_I32));
  if (bias) out[n] = body_arg(b, n, bias);
}

/* tanh(s) + bias[head], or with a slope by distance */
static const sn_func *score_region(draw *d, sn_elem acc, const sn_type *bias) {
  sn_func *f = sn_func_create(d->m, "sample_score", SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, NULL);
  sn_val at[6]; /* score, batch, head, query, key, bias */
  region_args(d, &b, acc, bias, at);
  sn_val s = sn_g1(&b, SN_OP_TANH, at[0]);
  if (bias) {
    const sn_val x[2] = {at[5], at[2]};
    s = sn_g2(&b, SN_OP_ADD, s, sn_emit(&b, SN_OP_INDEX, 2, x, NULL, NULL));
  } else {
    sn_val gap = sn_g2(&b, SN_OP_SUB, at[3], at[4]);
    s = sn_g2(&b, SN_OP_SUB, s, sn_b_scale(&b, sn_g_cast(&b, gap, acc), 0.25));
  }
  sn_func_return(f, s);
  return f;
}

/* key <= query */
static const sn_func *mask_region(draw *d, const sn_type *bias) {
  sn_func *f = sn_func_create(d->m, "sample_mask", SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, NULL);
  sn_val at[5];
  region_args(d, &b, SN_ELEM_NONE, bias, at);
  sn_func_return(f, sn_g2(&b, SN_OP_LE, at[3], at[2]));
  return f;
}

static const sn_type *four(draw *d, sn_elem e, const sn_dimx *a, const sn_dimx *b, const sn_dimx *c, const sn_dimx *x) {
  const sn_dimx *dim[4] = {a, b, c, x};
  return sn_type_of(d->m->types, e, x ? 4 : 3, dim);
}

/* s - distance / 2 - bias[head], as the slope of every sum; entries: (query + 2 key) mod 3 */
static const sn_func *slopes_region(draw *d, sn_elem acc, const sn_type *bias, int sums, int entries) {
  sn_func *f = sn_func_create(d->m, "sample_slopes", SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, NULL);
  sn_val at[6];
  region_args(d, &b, acc, bias, at);
  const sn_val x[2] = {at[5], at[2]};
  sn_val gap = sn_b_scale(&b, sn_g_cast(&b, sn_g2(&b, SN_OP_SUB, at[3], at[4]), acc), 0.5);
  sn_val slope = sn_g2(&b, SN_OP_SUB, sn_g2(&b, SN_OP_SUB, at[0], gap), sn_emit(&b, SN_OP_INDEX, 2, x, NULL, NULL));
  for (int i = 0; i < sums; i++) sn_func_return(f, slope);
  sn_val place = sn_g2(&b, SN_OP_ADD, sn_g2(&b, SN_OP_ADD, at[3], at[4]), at[4]);
  for (int i = 0; i < entries; i++) sn_func_return(f, sn_g2(&b, SN_OP_MOD, place, sn_g_const_like(&b, place, 3)));
  return f;
}

static void draw_sums(draw *d, sn_elem acc, const sn_type *bias) {
  const sn_dimx *entries[3];
  int64_t kinds[3];
  int count = 1 + (int)below(d, 3), tables = 0;
  for (int i = 0; i < count; i++) {
    kinds[i] = below(d, SN_SUM_PAIRS + 4);
    if (kinds[i] == SN_SUM_ENTRIES || kinds[i] == SN_SUM_TABLES) entries[tables++] = number(d, 3);
  }
  set_ints(d, "sums", count, kinds);
  if (tables) set_dims(d, "entries", tables, entries);
  attr(d, "slopes")->region = slopes_region(d, acc, bias, count, tables);
}

void sn_draw_attention(draw *d) {
  const sn_dimx *B = extent(d), *T = extent(d), *S = extent(d), *G = number(d, 1 + below(d, 2)), *D = extent(d),
                *E = extent(d), *H = sn_dimx_mul(d->m->types, G, number(d, 1 + below(d, 2)));
  sn_elem acc = sn_acc_elem(d->real);
  bool start = below(d, 2);
  const sn_type *bias = below(d, 2) ? sn_type_of(d->m->types, acc, 1, &H) : NULL;
  const sn_type *y = four(d, d->real, B, T, H, E);
  float_arg(d, four(d, d->real, B, T, H, D));
  float_arg(d, four(d, d->real, B, S, G, D));
  float_arg(d, four(d, d->real, B, S, G, E));
  if (d->op == SN_OP_ATTENTION_GRAD) {
    float_arg(d, y);
    float_arg(d, four(d, acc, B, H, T, NULL));
    float_arg(d, y);
    if (below(d, 2)) {
      float_arg(d, four(d, acc, B, H, T, NULL));
      attr(d, "dtotal")->i = 1;
    }
  }
  if (bias) float_arg(d, bias);
  if (start) arg(d, sn_type_of(d->m->types, SN_ELEM_I32, (int)below(d, 2), &B), 0, 3, 0);
  attr(d, "scale")->f = 0.7;
  if (!below(d, 3)) attr(d, "weights")->i = 1;
  if (start) attr(d, "start")->i = 1;
  if (bias || below(d, 2)) attr(d, "score")->region = score_region(d, acc, bias);
  if (below(d, 3)) attr(d, "mask")->region = mask_region(d, bias);
  if (bias && d->op == SN_OP_ATTENTION_GRAD && below(d, 3)) draw_sums(d, acc, bias);
}
