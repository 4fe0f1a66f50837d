/* Rules of contraction: a two-operand sum of products, one letter an axis. */
#include "ir/ops/rules.h"

#include <stdio.h>
#include <string.h>

/* Letters up to a stop character, distinct. -> their number, -1 when malformed */
static int read_letters(const char **at, const char *stop, char *out) {
  int n = 0;
  size_t stop_bytes = strlen(stop);
  while (strncmp(*at, stop, stop_bytes ? stop_bytes : 1)) {
    char c = *(*at)++;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter || n == SN_RANK_MAX || memchr(out, c, (size_t)n)) return -1;
    out[n++] = c;
  }
  *at += stop_bytes;
  out[n] = 0;
  return n;
}

sn_code sn_contract_parse(const char *spec, sn_contract_spec *out) {
  sn_contract_spec s = {0};
  if ((s.a_count = read_letters(&spec, ",", s.a)) < 0) return SN_ERR_INPUT;
  if ((s.b_count = read_letters(&spec, "->", s.b)) < 0) return SN_ERR_INPUT;
  if ((s.out_count = read_letters(&spec, "", s.out)) < 0) return SN_ERR_INPUT;
  for (int i = 0; i < s.out_count; i++)
    if (!strchr(s.a, s.out[i]) && !strchr(s.b, s.out[i])) return SN_ERR_INPUT;
  for (int i = 0; i < s.a_count; i++)
    if (!strchr(s.out, s.a[i]) && !strchr(s.b, s.a[i])) return SN_ERR_INPUT;
  for (int i = 0; i < s.b_count; i++)
    if (!strchr(s.out, s.b[i]) && !strchr(s.a, s.b[i])) return SN_ERR_INPUT;
  *out = s;
  return SN_OK;
}

static sn_code infer_elem(sn_infer *in, sn_elem *out) {
  sn_elem e = in->arg[0]->elem;
  if (e == SN_ELEM_BOOL) return sn_infer_want(in, 0, "numbers");
  if (in->arg[1]->elem != e) return sn_infer_want(in, 1, "elements of %s, as in operand 1", sn_elem_name(e));
  *out = e == SN_ELEM_I8 || e == SN_ELEM_U8 ? SN_ELEM_I32 : e;
  const sn_attr *to = sn_infer_attr(in, "to");
  if (!to->set) return SN_OK;
  if (to->i != SN_ELEM_F32 || (e != SN_ELEM_BF16 && e != SN_ELEM_F16)) {
    sn_code code =
        sn_infer_fail(in, "a result of %s from operands of %s", sn_elem_name((sn_elem)to->i), sn_elem_name(e));
    sn_fail_expected(in->diags, "to f32, of operands of bf16 or f16");
    return code;
  }
  *out = SN_ELEM_F32;
  return SN_OK;
}

static sn_code infer_contract(sn_infer *in) {
  const char *spec = sn_infer_attr(in, "spec")->s;
  sn_contract_spec s;
  if (sn_contract_parse(spec, &s)) {
    sn_code code = sn_infer_fail(in, "malformed spec \"%s\"", spec);
    sn_fail_expected(in->diags, "\"ab,bc->ac\": distinct letters; a letter that is summed stands in both operands");
    return code;
  }
  if (in->arg[0]->rank != s.a_count) return sn_infer_want(in, 0, "rank %d for \"%s\"", s.a_count, s.a);
  if (in->arg[1]->rank != s.b_count) return sn_infer_want(in, 1, "rank %d for \"%s\"", s.b_count, s.b);
  sn_elem e = SN_ELEM_NONE;
  SN_TRY(infer_elem(in, &e));
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < s.a_count; i++) {
    const char *p = strchr(s.b, s.a[i]);
    if (p && in->arg[1]->dim[p - s.b] != in->arg[0]->dim[i])
      return sn_infer_want(in, 1, "axis %c with the extent that it has in %s (spec \"%s\")", s.a[i],
                           sn_infer_text(in, in->arg[0]), spec);
  }
  for (int i = 0; i < s.out_count; i++) {
    const char *p = strchr(s.a, s.out[i]);
    dim[i] = p ? in->arg[0]->dim[p - s.a] : in->arg[1]->dim[strchr(s.b, s.out[i]) - s.b];
  }
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), e, s.out_count, dim));
}

/* Every letter of an operand stands in the result or in the other operand: each gradient is one contraction. */
static void grad_contract(sn_grad_rule *g) {
  sn_contract_spec s;
  char spec[3 * SN_RANK_MAX + 8];
  if (sn_contract_parse(sn_node_attr(g->node, "spec")->s, &s)) return;
  sn_val d = sn_g_cast(g->b, g->d_result[0], sn_g_type(g->b, g->arg[0])->elem); /* `to` may have widened it */
  if (g->need[0]) {
    snprintf(spec, sizeof spec, "%s,%s->%s", s.out, s.b, s.a);
    g->d_arg[0] = sn_g_contract(g->b, spec, d, g->arg[1]);
  }
  if (g->need[1]) {
    snprintf(spec, sizeof spec, "%s,%s->%s", s.a, s.out, s.b);
    g->d_arg[1] = sn_g_contract(g->b, spec, g->arg[0], d);
  }
}

/* x with the letters `own` repeated along the axes `order`. */
static sn_val spread(sn_build *b, sn_val x, const char *own, const char *order, const sn_dimx *const *dim) {
  int64_t axes[SN_RANK_MAX] = {0}, perm[SN_RANK_MAX] = {0};
  int n = 0;
  for (int i = 0; order[i]; i++)
    if (strchr(own, order[i])) axes[n] = i, perm[n++] = strchr(own, order[i]) - own;
  return sn_g_broadcast(b, sn_g_transpose(b, x, perm), (int)strlen(order), dim, axes);
}

sn_val sn_contract_expand(sn_build *b, const sn_node *n, const sn_val *arg) {
  sn_contract_spec s;
  char order[2 * SN_RANK_MAX + 1];
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t summed[SN_RANK_MAX];
  if (sn_contract_parse(sn_node_attr(n, "spec")->s, &s)) return 0;
  int rank = snprintf(order, sizeof order, "%s", s.out);
  for (int i = 0; i < s.a_count; i++)
    if (!strchr(s.out, s.a[i])) order[rank++] = s.a[i], order[rank] = 0;
  if (rank > SN_RANK_MAX) return 0;
  for (int i = 0; i < rank; i++) {
    const char *p = strchr(s.a, order[i]);
    dim[i] = p ? sn_g_type(b, arg[0])->dim[p - s.a] : sn_g_type(b, arg[1])->dim[strchr(s.b, order[i]) - s.b];
    if (i >= s.out_count) summed[i - s.out_count] = i;
  }
  sn_elem e = n->type[0]->elem;
  sn_val x = spread(b, sn_g_cast(b, arg[0], e), s.a, order, dim);
  sn_val y = spread(b, sn_g_cast(b, arg[1], e), s.b, order, dim);
  sn_val product = sn_g2(b, SN_OP_MUL, x, y);
  return rank > s.out_count ? sn_g_sum(b, product, rank - s.out_count, summed) : product;
}

const sn_op_rules sn_rules_CONTRACT = {
    infer_contract, grad_contract,
    .doc =
        "sum of products, a letter an axis (\"btd,dv->btv\"); sums in f32 or wider, i8 and u8 give i32; "
        "bf16 and f16 give f32 with `to f32`"};
