/* Rules of conv1d: x [B.., T, C], w [K, C / groups, O] -> [B.., T', O]. `left` and `right` zeros are put around T. The
 * expansion has one view of x for each of the K taps: a sum of products when every channel is a group of its own,
 * else the taps side by side and one contraction. The gradient of x is a convolution again. */
#include "ir/ops/rules.h"

typedef struct conv {
  int64_t left, right, stride, dilation, groups, taps;
  const sn_dimx *batch, *time, *out_time, *in, *out, *group_in, *group_out; /* batch: all of B.. */
  bool depthwise;
} conv;

static int64_t span(const conv *c) { return c->dilation * (c->taps - 1); }

/* Positions of the window. NULL: not known to be whole (a stride that does not divide a symbolic T). */
static const sn_dimx *positions(sn_types *t, const conv *c) {
  int64_t rest = c->left + c->right - span(c) - 1, n;
  const sn_dimx *stride = sn_dimx_const(t, c->stride);
  if (sn_dimx_is_const(c->time, &n)) return sn_dimx_const(t, n + rest < 0 ? 0 : (n + rest) / c->stride + 1);
  const sn_dimx *steps = sn_dimx_exact_div(t, c->time, stride);
  if (!steps) return NULL;
  int64_t more = rest >= 0 ? rest / c->stride : -((-rest + c->stride - 1) / c->stride);
  return sn_dimx_add(t, steps, sn_dimx_const(t, more + 1));
}

/* The convolution of operands of these types; false: they do not fit (why). */
static bool read_conv(sn_types *t, const sn_type *x, const sn_type *w, const sn_attr *attr, conv *c, const char **why) {
  int64_t o;
  *c = (conv){.left = attr[0].i, .right = attr[1].i, .stride = 1, .dilation = 1, .groups = 1};
  if (attr[2].set) c->stride = attr[2].i;
  if (attr[3].set) c->dilation = attr[3].i;
  if (attr[4].set) c->groups = attr[4].i;
  *why = "padding from 0, stride, dilation and groups from 1, all below 2^20";
  const int64_t list[5] = {c->left + 1, c->right + 1, c->stride, c->dilation, c->groups};
  for (int i = 0; i < 5; i++)
    if (list[i] < 1 || list[i] > 1 << 20) return false;
  *why = "weights [K, C / groups, O] of K from 1 to 256 taps";
  if (w->rank != 3 || !sn_dimx_is_const(w->dim[0], &c->taps) || c->taps < 1 || c->taps > 256) return false;
  const sn_dimx *groups = sn_dimx_const(t, c->groups), *one = sn_dimx_const(t, 1);
  c->time = x->dim[x->rank - 2], c->in = x->dim[x->rank - 1];
  c->group_in = w->dim[1], c->out = w->dim[2];
  c->group_out = sn_dimx_exact_div(t, c->out, groups);
  if (!c->group_out || sn_dimx_mul(t, c->group_in, groups) != c->in) return false;
  c->batch = one;
  for (int i = 0; i < x->rank - 2; i++) c->batch = sn_dimx_mul(t, c->batch, x->dim[i]);
  bool numbered = sn_dimx_max_value(sn_dimx_mul(t, c->batch, c->time)) <= INT32_MAX; /* rows of x by i32 */
  c->depthwise = numbered && c->group_in == one && c->group_out == one && sn_dimx_is_const(c->out, &o) && o > 1;
  *why = "a number of positions that the stride divides";
  c->out_time = positions(t, c);
  if (!c->out_time) return false;
  *why = "at least as many positions as the taps span";
  return sn_dimx_min_value(c->out_time) >= 1;
}

static sn_code infer_conv1d(sn_infer *in) {
  const sn_type *x = in->arg[0], *w = in->arg[1];
  const sn_dimx *dim[SN_RANK_MAX];
  const char *why;
  conv c;
  if (!sn_elem_is_float(x->elem) || x->rank < 2) return sn_infer_want(in, 0, "floats [B.., T, C]");
  if (w->elem != x->elem) return sn_infer_want(in, 1, "weights of the element type of %s", sn_infer_text(in, x));
  if (!read_conv(sn_infer_types(in), x, w, in->attr, &c, &why)) return sn_infer_want(in, 1, "%s", why);
  for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
  dim[x->rank - 2] = c.out_time, dim[x->rank - 1] = c.out;
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), x->elem, x->rank, dim));
}

/* ---- pieces ---- */

static sn_val shaped(sn_build *b, sn_val x, int rank, const sn_dimx *d0, const sn_dimx *d1, const sn_dimx *d2,
                     const sn_dimx *d3, const sn_dimx *d4) {
  const sn_dimx *const dim[5] = {d0, d1, d2, d3, d4};
  return b->failed ? 0 : sn_g_reshape(b, x, rank, dim);
}

static sn_val zeros(sn_build *b, sn_elem e, const sn_dimx *d0, const sn_dimx *d1, const sn_dimx *d2) {
  const sn_dimx *const dim[3] = {d0, d1, d2};
  return sn_g_const(b, sn_type_of(sn_b_types(b), e, 3, dim), 0);
}

/* x [batch, T, C] with zeros around, enough for every tap to see T' * stride positions. */
static sn_val padded(sn_build *b, const conv *c, sn_val x) {
  sn_types *t = sn_b_types(b);
  sn_elem e = sn_g_type(b, x)->elem;
  sn_val part[3];
  int n = 0;
  if (c->left) part[n++] = zeros(b, e, c->batch, sn_dimx_const(t, c->left), c->in);
  part[n++] = x;
  int64_t after = c->right + c->stride - 1;
  if (after) part[n++] = zeros(b, e, c->batch, sn_dimx_const(t, after), c->in);
  return n > 1 ? sn_g_concat(b, 1, n, part) : x;
}

/* What tap k sees at each position: [batch, T', C]. */
static sn_val tap(sn_build *b, const conv *c, sn_val x, int64_t k) {
  sn_types *t = sn_b_types(b);
  const sn_dimx *stride = sn_dimx_const(t, c->stride), *one = sn_dimx_const(t, 1), *zero = sn_dimx_const(t, 0);
  sn_val v = sn_g_slice_axis(b, x, 1, sn_dimx_const(t, k * c->dilation), sn_dimx_mul(t, c->out_time, stride));
  if (c->stride == 1 || b->failed) return v;
  v = sn_g_slice_axis(b, shaped(b, v, 4, c->batch, c->out_time, stride, c->in, NULL), 2, zero, one);
  return shaped(b, v, 3, c->batch, c->out_time, c->in, NULL, NULL);
}

/* The taps side by side: [batch, T', K, C]. */
static sn_val all_taps(sn_build *b, const conv *c, sn_val x) {
  sn_val part[256];
  for (int64_t k = 0; k < c->taps; k++)
    part[k] = shaped(b, tap(b, c, x, k), 4, c->batch, c->out_time, sn_dimx_const(sn_b_types(b), 1), c->in, NULL);
  return c->taps == 1 ? part[0] : sn_g_concat(b, 2, (int)c->taps, part);
}

static sn_val flat(sn_build *b, const conv *c, sn_val x, bool result) {
  return shaped(b, x, 3, c->batch, result ? c->out_time : c->time, result ? c->out : c->in, NULL, NULL);
}

static conv conv_of(sn_build *b, const sn_node *n, const sn_val *arg) {
  conv c;
  const char *why;
  read_conv(sn_b_types(b), sn_g_type(b, arg[0]), sn_g_type(b, arg[1]), n->attr, &c, &why); /* the type rule did */
  return c;
}

static sn_val scaled(sn_build *b, sn_val x, int64_t factor, int64_t more) {
  if (factor != 1) x = sn_g2(b, SN_OP_MUL, x, sn_g_const_like(b, x, (double)factor));
  return more ? sn_g2(b, SN_OP_ADD, x, sn_g_const_like(b, x, (double)more)) : x;
}

static sn_val extent_like(sn_build *b, const sn_dimx *d, sn_val like) {
  return sn_g_expand_to(b, sn_g_dim(b, d), sn_g_type(b, like));
}

/* What tap k sees, as rows of x [batch, T, C] by number and 0 where there are none: no copy with zeros around is made.
 */
static sn_val tap_by_row(sn_build *b, const conv *c, sn_val x, int64_t k) {
  static const int64_t leading[2] = {0, 1};
  sn_types *t = sn_b_types(b);
  const sn_dimx *const at[2] = {c->batch, c->out_time}, *const shape[3] = {c->batch, c->out_time, c->in};
  const sn_type *type = sn_type_of(t, SN_ELEM_I32, 2, at);
  sn_val rows = shaped(b, x, 2, sn_dimx_mul(t, c->batch, c->time), c->in, NULL, NULL, NULL);
  sn_val place = scaled(b, sn_g_iota(b, type, 1), c->stride, k * c->dilation - c->left);
  if (b->failed) return 0;
  sn_val zero = sn_g_const(b, type, 0), count = extent_like(b, c->time, place);
  sn_val near = sn_g2(b, SN_OP_MIN, sn_g2(b, SN_OP_MAX, place, zero), scaled(b, count, 1, -1));
  sn_val number = sn_g2(b, SN_OP_ADD, sn_g2(b, SN_OP_MUL, sn_g_iota(b, type, 0), count), near);
  const sn_val pick[2] = {rows, number};
  const sn_attr batch = {0};
  sn_val v = sn_emit(b, SN_OP_GATHER, 2, pick, &batch, NULL);
  if (b->failed || (!c->left && !c->right)) return v;
  sn_val inside = sn_g2(b, SN_OP_AND, sn_g2(b, SN_OP_LE, zero, place), sn_g2(b, SN_OP_LT, place, count));
  return sn_g3(b, SN_OP_SELECT, sn_g_broadcast(b, inside, 3, shape, leading), v, sn_g_const_like(b, v, 0));
}

/* ---- expansion ---- */

static sn_val depthwise(sn_build *b, const conv *c, sn_val x, sn_val w) {
  sn_types *t = sn_b_types(b);
  sn_elem e = sn_g_type(b, x)->elem, acc = sn_acc_elem(e);
  const sn_dimx *const shape[3] = {c->batch, c->out_time, c->in};
  const int64_t last[1] = {2};
  sn_val sum = 0;
  for (int64_t k = 0; k < c->taps && !b->failed; k++) {
    sn_val wk = sn_g_slice_axis(b, w, 0, sn_dimx_const(t, k), sn_dimx_const(t, 1));
    wk = sn_g_broadcast(b, sn_g_cast(b, shaped(b, wk, 1, c->in, NULL, NULL, NULL, NULL), acc), 3, shape, last);
    sn_val product = sn_g2(b, SN_OP_MUL, sn_g_cast(b, tap_by_row(b, c, x, k), acc), wk);
    sum = sum ? sn_g2(b, SN_OP_ADD, sum, product) : product;
  }
  return sn_g_cast(b, sum, e);
}

static sn_val grouped_weights(sn_build *b, const conv *c, sn_val w) { /* [K, C / g, g, O / g] */
  sn_types *t = sn_b_types(b);
  return shaped(b, w, 4, sn_dimx_const(t, c->taps), c->group_in, sn_dimx_const(t, c->groups), c->group_out, NULL);
}

static sn_val grouped_taps(sn_build *b, const conv *c, sn_val x) { /* [batch, T', K, g, C / g] */
  sn_types *t = sn_b_types(b);
  return shaped(b, all_taps(b, c, x), 5, c->batch, c->out_time, sn_dimx_const(t, c->taps), sn_dimx_const(t, c->groups),
                c->group_in);
}

static sn_val expand_conv1d(sn_build *b, const sn_node *n, const sn_val *arg) {
  conv c = conv_of(b, n, arg);
  const sn_type *y = n->type[0];
  sn_val x = flat(b, &c, arg[0], false), v;
  if (b->failed) return 0;
  if (!c.depthwise) x = padded(b, &c, x);
  if (c.depthwise)
    v = depthwise(b, &c, x, arg[1]);
  else if (c.groups == 1)
    v = sn_g_contract(b, "btkc,kco->bto", all_taps(b, &c, x), arg[1]);
  else
    v = sn_g_contract(b, "btkgc,kcgo->btgo", grouped_taps(b, &c, x), grouped_weights(b, &c, arg[1]));
  return b->failed ? 0 : sn_g_reshape(b, v, y->rank, y->dim);
}

/* ---- gradients ---- */

/* Weights for the way back: taps in reverse, channels in and out exchanged. */
static sn_val turned_weights(sn_build *b, const conv *c, sn_val w) {
  static const int64_t perm[4] = {0, 3, 2, 1};
  const sn_attr axis = {.set = true, .i = 0};
  sn_val v = sn_g_transpose(b, grouped_weights(b, c, w), perm);
  v = shaped(b, v, 3, sn_dimx_const(sn_b_types(b), c->taps), c->group_out, c->in, NULL, NULL);
  return c->taps > 1 ? sn_emit(b, SN_OP_FLIP, 1, &v, &axis, NULL) : v;
}

/* dy [batch, T', O] with stride - 1 zeros behind each position. */
static sn_val spread(sn_build *b, const conv *c, sn_val dy) {
  sn_types *t = sn_b_types(b);
  if (c->stride == 1 || b->failed) return dy;
  const sn_dimx *one = sn_dimx_const(t, 1), *gap = sn_dimx_const(t, c->stride - 1);
  const sn_dimx *const dim[4] = {c->batch, c->out_time, gap, c->out};
  const sn_val part[2] = {shaped(b, dy, 4, c->batch, c->out_time, one, c->out, NULL),
                          sn_g_const(b, sn_type_of(t, sn_g_type(b, dy)->elem, 4, dim), 0)};
  const sn_dimx *all = sn_dimx_mul(t, c->out_time, sn_dimx_const(t, c->stride));
  return shaped(b, sn_g_concat(b, 2, 2, part), 3, c->batch, all, c->out, NULL, NULL);
}

static sn_val grad_x(sn_grad_rule *g, const conv *c, sn_val dy) {
  sn_build *b = g->b;
  const sn_type *x = sn_g_type(b, g->arg[0]);
  bool direct = c->stride == 1 && c->left <= span(c) && c->right <= span(c);
  const sn_attr at[5] = {{.set = true, .i = direct ? span(c) - c->left : span(c)},
                         {.set = true, .i = direct ? span(c) - c->right : span(c)},
                         {0},
                         {.set = c->dilation > 1, .i = c->dilation},
                         {.set = c->groups > 1, .i = c->groups}};
  const sn_val arg[2] = {spread(b, c, dy), turned_weights(b, c, g->arg[1])};
  sn_val d = sn_emit(b, SN_OP_CONV1D, 2, arg, at, NULL);
  if (!direct && d) d = sn_g_slice_axis(b, d, 1, sn_dimx_const(sn_b_types(b), c->left), c->time);
  return b->failed ? 0 : sn_g_reshape(b, d, x->rank, x->dim);
}

static sn_val grad_depthwise(sn_build *b, const conv *c, sn_val x, sn_val dy) {
  static const int64_t rows[2] = {0, 1};
  sn_types *t = sn_b_types(b);
  sn_elem acc = sn_acc_elem(sn_g_type(b, x)->elem);
  sn_val part[256];
  for (int64_t k = 0; k < c->taps && !b->failed; k++) {
    sn_val product = sn_g2(b, SN_OP_MUL, sn_g_cast(b, tap_by_row(b, c, x, k), acc), sn_g_cast(b, dy, acc));
    part[k] = shaped(b, sn_g_sum(b, product, 2, rows), 3, sn_dimx_const(t, 1), sn_dimx_const(t, 1), c->in, NULL, NULL);
  }
  if (b->failed) return 0;
  return c->taps == 1 ? part[0] : sn_g_concat(b, 0, (int)c->taps, part);
}

static sn_val grad_w(sn_grad_rule *g, const conv *c, sn_val dy) {
  sn_build *b = g->b;
  sn_types *t = sn_b_types(b);
  const sn_type *w = sn_g_type(b, g->arg[1]);
  sn_val x = flat(b, c, g->arg[0], false), d;
  if (b->failed) return 0;
  if (!c->depthwise) x = padded(b, c, x);
  if (c->depthwise) {
    d = grad_depthwise(b, c, x, dy);
  } else {
    sn_val by_group = shaped(b, dy, 4, c->batch, c->out_time, sn_dimx_const(t, c->groups), c->group_out, NULL);
    d = sn_g_contract(b, "btkgc,btgo->kcgo", grouped_taps(b, c, x), by_group);
    d = b->failed ? 0 : sn_g_reshape(b, d, 3, w->dim);
  }
  return b->failed ? 0 : sn_g_cast(b, d, w->elem);
}

static void grad_conv1d(sn_grad_rule *g) {
  conv c = conv_of(g->b, g->node, g->arg);
  sn_val dy = flat(g->b, &c, g->d_result[0], true);
  if (g->need[0]) g->d_arg[0] = grad_x(g, &c, dy);
  if (g->need[1]) g->d_arg[1] = grad_w(g, &c, dy);
}

const sn_op_rules sn_rules_CONV1D = {
    infer_conv1d, grad_conv1d, NULL, expand_conv1d,
    "x [B.., T, C], w [K, C / `groups`, O] -> [B.., T', O]: sum over k of x[t stride + k dilation - left] w[k]"};
