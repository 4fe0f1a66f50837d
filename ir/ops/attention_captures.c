/* Gradients of captured tensors of attention. attention_grad gives, for each access of one in the score region, sums
 * over pairs of query and key of ds * d score / d access (ds: the gradient by the score), and other ops make the
 * gradient of the tensor of them:
 *
 *   kind         sum of each                  type               of an index that is
 *   QUERIES      query                        [B, H, T]          a function of the query's position, or of none
 *   KEYS         key                          [B, H, S]          a function of the key's position
 *   DIFFERENCES  query - key                  [B, H, T + S - 1]  a function of their difference
 *   ENTRIES      combination of the axes that  [B, H, N]         anything else
 *                depend on positions
 *   TABLES       query, and combination of the  [B, H, T, N]     the query's position, in one axis, and anything else
 *                others that do
 *   ROWS         query, times captured rows    [B, T, H, d]     products of queries with rows (attention_rows.c)
 *   ROWS + 1     key - query, times queries   [B, H, T + S - 1, d]
 *   PAIRS        pair, over what is no index  [B|1, H|1, T, S]   the positions themselves, one axis each
 *
 * Only the last is of size T x S, as the captured tensor is. Region `slopes` has the arguments of the score region; it
 * gives d score / d access of each access, then the number of the entry of each access whose sum is of ENTRIES. */
#include "ir/ops/captures.h"

/* ---- types ------------------------------------------------------------------------------------------------------- */

static const sn_dimx *differences(sn_types *t, const sn_type *q, const sn_type *k) {
  return sn_dimx_sub(t, sn_dimx_add(t, q->dim[1], k->dim[1]), sn_dimx_const(t, 1));
}

static const sn_type *rows_type(sn_types *t, const sn_type *q, const sn_type *k, int64_t kind) {
  const sn_dimx *rows[4] = {q->dim[0], q->dim[2], differences(t, q, k), q->dim[3]};
  return sn_type_of(t, sn_acc_elem(q->elem), 4, (kind - SN_SUM_ROWS) & 1 ? rows : q->dim);
}

/* Does the region of slopes give a number for it: of its entry, of its row? */
static bool is_numbered(int64_t kind) { return sn_sum_has_entries(kind) || kind >= SN_SUM_ROWS; }

static int count_numbered(const sn_attr *sums) {
  int n = 0;
  for (int i = 0; i < sums->count; i++) n += is_numbered(sums->ints[i]);
  return n;
}

/* entries: used by ENTRIES and TABLES only */
static const sn_type *sum_type(sn_types *t, const sn_type *q, const sn_type *k, int64_t kind, const sn_dimx *entries) {
  const sn_dimx *one = sn_dimx_const(t, 1), *dim[4] = {q->dim[0], q->dim[2], NULL, k->dim[1]};
  sn_elem acc = sn_acc_elem(q->elem);
  switch (kind) {
    case SN_SUM_QUERIES: dim[2] = q->dim[1]; break;
    case SN_SUM_KEYS: dim[2] = k->dim[1]; break;
    case SN_SUM_DIFFERENCES: dim[2] = differences(t, q, k); break;
    case SN_SUM_ENTRIES: dim[2] = entries; break;
    case SN_SUM_TABLES: dim[2] = q->dim[1], dim[3] = entries; return sn_type_of(t, acc, 4, dim);
    default:
      if (kind >= SN_SUM_ROWS) return rows_type(t, q, k, kind);
      if (!((kind - SN_SUM_PAIRS) & 1)) dim[0] = one;
      if (!((kind - SN_SUM_PAIRS) & 2)) dim[1] = one;
      dim[2] = q->dim[1];
      return sn_type_of(t, acc, 4, dim);
  }
  return sn_type_of(t, acc, 3, dim);
}

/* Results of the region: slopes, then entries. */
static sn_code check_slopes(sn_infer *in, const sn_attr *sums) {
  const sn_func *f = sn_infer_attr(in, "slopes")->region;
  SN_TRY(sn_infer_region_count(in, "slopes", sums->count + count_numbered(sums)));
  const sn_type *slope = sn_type_scalar(sn_infer_types(in), sn_acc_elem(in->arg[0]->elem));
  const sn_type *entry = sn_type_scalar(sn_infer_types(in), SN_ELEM_I32);
  for (int i = 0; i < f->result_count; i++)
    SN_TRY(sn_infer_region_result(in, "slopes", i, i < sums->count ? slope : entry));
  return SN_OK;
}

static bool is_product(const sn_infer *in, int64_t capture) {
  const sn_attr *products = sn_infer_attr(in, "products");
  for (int i = 0; i < products->count; i++)
    if (products->ints[i] == capture) return true;
  return false;
}

sn_code sn_sums_infer(sn_infer *in) {
  const sn_attr *sums = sn_infer_attr(in, "sums"), *entries = sn_infer_attr(in, "entries");
  if (!sn_infer_attr(in, "slopes")->set && !sums->set && !entries->set) return SN_OK;
  if (!sn_infer_attr(in, "slopes")->set || !sums->set || !sn_infer_attr(in, "score")->set)
    return sn_infer_fail(in, "slopes and sums are of a score, and go together");
  SN_TRY(check_slopes(in, sums));
  int used = 0;
  for (int i = 0; i < sums->count; i++) {
    int64_t kind = sums->ints[i];
    if (kind < 0 || (kind >= SN_SUM_ROWS && !is_product(in, (kind - SN_SUM_ROWS) / 2)))
      return sn_infer_fail(in, "there is no sum %lld", (long long)kind);
    bool table = sn_sum_has_entries(kind);
    int most = kind == SN_SUM_TABLES ? SN_TABLE : SN_ENTRIES;
    if (table && used == entries->count) return sn_infer_fail(in, "sums of entries need their number");
    const sn_dimx *n = table ? entries->dims[used++] : NULL;
    if (n && (sn_dimx_max_value(n) < 1 || sn_dimx_max_value(n) > most))
      return sn_infer_fail(in, "sums of entries are 1 to %d", most);
    in->result[3 + i] = sum_type(sn_infer_types(in), in->arg[0], in->arg[1], kind, n);
  }
  return used == entries->count ? SN_OK : sn_infer_fail(in, "only sums of entries have a number of them");
}

/* ---- the region of slopes ---------------------------------------------------------------------------------------- */

/* Declares the arguments of `region`, whose captured tensors have the types of the operands.  -> by index */
static sn_val *declare_arguments(sn_build *b, const sn_func *region, int *count) {
  *count = 0;
  for (int i = 0; i < region->node_count; i++) *count += region->node[i]->op == SN_OP_ARG;
  sn_val *arg = SN_ARRAY(b->func->arena, *count + 1, sn_val);
  for (int i = 0; i < region->node_count; i++) {
    const sn_node *n = region->node[i];
    if (n->op == SN_OP_ARG) arg[sn_node_attr(n, "index")->i] = sn_emit(b, SN_OP_ARG, 0, NULL, n->attr, n->type[0]);
  }
  return arg;
}

/* The entry that an access reads, counted over its joint axes; positions out of range are at the border. */
static sn_val entry_of(sn_build *b, const sn_access_site *a, const sn_type *table, const sn_val *map) {
  sn_val entry = 0;
  for (int i = 0; i < a->count; i++) {
    if (!a->joint[i]) continue;
    sn_val x = sn_g_cast(b, map[a->expr[i]], SN_ELEM_I32), extent = sn_g_dim(b, table->dim[i]);
    if (b->failed) return 0;
    x = sn_g2(b, SN_OP_MIN, x, sn_g2(b, SN_OP_SUB, extent, sn_g_const_like(b, extent, 1)));
    x = sn_g2(b, SN_OP_MAX, x, sn_g_const_like(b, extent, 0));
    entry = entry ? sn_g2(b, SN_OP_ADD, sn_g2(b, SN_OP_MUL, entry, extent), x) : x;
  }
  return entry;
}

/* Keeps the accesses that the score depends on; d: its derivative by each. */
static void keep_used(sn_accesses *a, sn_val *d) {
  int kept = 0;
  for (int i = 0; i < a->count; i++) {
    if (!d[i]) continue;
    d[kept] = d[i];
    a->at[kept++] = a->at[i];
  }
  a->count = kept;
}

/* Returns what the region gives, and its derivatives. */
static void return_slopes(sn_build *b, const sn_func *score, sn_accesses *a, const sn_val *map, sn_elem acc) {
  sn_val wrt[SN_ACCESSES], d[SN_ACCESSES] = {0}, y = map[score->result[0]];
  for (int i = 0; i < a->count; i++) wrt[i] = map[a->at[i].value];
  sn_val one = sn_g_const_like(b, y, 1);
  if (b->failed || sn_derive(b, 1, &y, &one, a->count, wrt, d)) return;
  keep_used(a, d);
  for (int i = 0; i < a->count; i++) sn_func_return(b->func, sn_g_cast(b, d[i], acc));
  for (int i = 0; i < a->count; i++) {
    if (a->at[i].kind >= SN_SUM_ROWS) sn_func_return(b->func, sn_g_cast(b, map[a->at[i].expr[3]], SN_ELEM_I32));
    if (sn_sum_has_entries(a->at[i].kind))
      sn_func_return(b->func,
                     entry_of(b, &a->at[i], sn_val_type(score, sn_node_of(score, a->at[i].value)->arg[0]), map));
  }
}

void sn_sums_attrs_make(const sn_grad_rule *g, sn_accesses *a, sn_sums_attrs *out) {
  sn_arena *arena = g->b->func->arena;
  const sn_func *score = sn_node_attr(g->node, "score")->region;
  *out = (sn_sums_attrs){0};
  if (!a->count || g->b->failed) return;
  sn_func *f = sn_func_create(score->module, sn_arena_printf(arena, "%s.slopes", score->name), SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, g->b->diags);
  int count;
  sn_val *arg = declare_arguments(&b, score, &count), *map = SN_ARRAY(arena, score->value_count, sn_val);
  sn_region_inline(&b, score, count, arg, map);
  if (!b.failed) return_slopes(&b, score, a, map, sn_acc_elem(sn_g_type(g->b, g->arg[0])->elem));
  g->b->failed = b.failed;
  if (b.failed || !a->count) {
    sn_module_remove(f->module, f);
    return;
  }
  int64_t *kind = SN_ARRAY(arena, a->count, int64_t);
  const sn_dimx **entries = SN_ARRAY(arena, a->count, const sn_dimx *);
  int n = 0;
  for (int i = 0; i < a->count; i++) {
    kind[i] = a->at[i].kind;
    if (sn_sum_has_entries(kind[i])) entries[n++] = a->at[i].entries;
  }
  out->slopes = (sn_attr){.set = true, .region = sn_func_finish(f)};
  out->sums = (sn_attr){.set = true, .ints = kind, .count = a->count};
  out->entries = (sn_attr){.set = n > 0, .dims = entries, .count = n};
}

/* ---- from sums to gradients -------------------------------------------------------------------------------------- */

/* A sum on its way to the tensor. Axes that are left: which positions or expressions they stand for. */
typedef struct spread {
  const sn_grad_rule *g;
  sn_build *b;
  const sn_access_site *a;
  const sn_func *score;
  sn_val d;
  int rank;
  int axis[SN_RANK_MAX]; /* argument of the region, or JOINT + expression, or DISTANCE */
} spread;

enum { DISTANCE = 100, JOINT = 200 };

static const sn_type *operand_type(const spread *s, int k) { return sn_g_type(s->b, s->g->arg[k]); }

static bool wanted(const spread *s, int axis) {
  if (axis == SN_SITE_BATCH) return s->a->batch;
  return axis == SN_SITE_HEAD ? s->a->head : s->a->position;
}

/* Axes that no index depends on are summed over, or are of extent 1 and dropped. */
static void drop_axes(spread *s) {
  int64_t sum[SN_RANK_MAX];
  int count = 0, kept = 0;
  const sn_type *t = sn_g_type(s->b, s->d);
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < s->rank; i++) {
    if (!wanted(s, s->axis[i])) {
      sum[count++] = i;
      continue;
    }
    dim[kept] = t->dim[i], s->axis[kept++] = s->axis[i];
  }
  s->rank = kept;
  if (!count) return;
  s->d = s->a->kind >= SN_SUM_PAIRS ? sn_g_reshape(s->b, s->d, kept, dim) : sn_g_sum(s->b, s->d, count, sum);
}

/* [.., N] -> [.., an axis for each joint expression] */
static void split_entries(spread *s, const sn_type *table) {
  const sn_type *t = sn_g_type(s->b, s->d);
  const sn_dimx *dim[SN_RANK_MAX];
  if (!sn_sum_has_entries(s->a->kind)) return;
  int n = s->rank - 1;
  for (int i = 0; i < n; i++) dim[i] = t->dim[i];
  for (int i = 0; i < s->a->count; i++)
    if (s->a->joint[i]) s->axis[n] = JOINT + i, dim[n++] = table->dim[i];
  s->d = sn_g_reshape(s->b, s->d, n, dim), s->rank = n;
}

/* Is index expression i what axis `axis` of the sum stands for, from the first element of the table's axis on? */
static bool is_axis(const spread *s, int i, int axis, const sn_type *table) {
  int what = s->axis[axis];
  bool started = sn_attention_layout_of(s->g->node).start >= 0;
  if (what == DISTANCE || (what == SN_SITE_QUERY && started)) return false;
  bool same = what >= JOINT ? what == JOINT + i : sn_is_region_arg(s->score, s->a->expr[i], what);
  const sn_dimx *extent = sn_g_type(s->b, s->d)->dim[axis];
  return same && sn_dimx_min_value(sn_dimx_sub(sn_b_types(s->b), table->dim[i], extent)) >= 0;
}

/* Zeros for what no position reads. */
static sn_val filled(const spread *s, sn_val x, const sn_type *table) {
  sn_types *t = sn_b_types(s->b);
  for (int i = 0; i < table->rank && !s->b->failed; i++) {
    const sn_type *have = sn_g_type(s->b, x);
    const sn_dimx *dim[SN_RANK_MAX], *rest = sn_dimx_sub(t, table->dim[i], have->dim[i]);
    if (table->dim[i] == have->dim[i]) continue;
    for (int k = 0; k < have->rank; k++) dim[k] = k == i ? rest : have->dim[k];
    const sn_val part[2] = {x, sn_g_const(s->b, sn_type_of(t, have->elem, have->rank, dim), 0)};
    x = sn_g_concat(s->b, i, 2, part);
  }
  return x;
}

/* The sum with its axes in the order of the table, and its extents; 0: it has others. */
static sn_val transposed(const spread *s, const sn_type *table) {
  int64_t perm[SN_RANK_MAX];
  if (s->rank != s->a->count) return 0;
  for (int i = 0; i < s->rank; i++) {
    int found = -1;
    for (int k = 0; k < s->rank; k++)
      if (is_axis(s, i, k, table)) found = k;
    if (found < 0) return 0;
    for (int k = 0; k < i; k++)
      if (perm[k] == found) return 0;
    perm[i] = found;
  }
  return s->rank ? filled(s, sn_g_transpose(s->b, s->d, perm), table) : s->d;
}

static sn_val iota_of(const spread *s, const sn_type *it, int what) {
  for (int i = 0; i < s->rank; i++)
    if (s->axis[i] == what) return sn_g_iota(s->b, it, i);
  return sn_g_const(s->b, it, 0);
}

/* x + n on every element */
static sn_val plus(sn_build *b, sn_val x, const sn_dimx *n) {
  const sn_type *t = sn_g_type(b, x);
  return b->failed ? 0 : sn_g2(b, SN_OP_ADD, x, sn_g_broadcast(b, sn_g_dim(b, n), t->rank, t->dim, NULL));
}

static const sn_dimx *less_one(sn_build *b, const sn_dimx *n) {
  return sn_dimx_sub(sn_b_types(b), n, sn_dimx_const(sn_b_types(b), 1));
}

/* The position of the query in row q of the queries. */
static sn_val started_query(const spread *s, const sn_type *it, sn_val q) {
  sn_build *b = s->b;
  int start = sn_attention_layout_of(s->g->node).start, batch = -1;
  for (int i = 0; i < s->rank; i++)
    if (s->axis[i] == SN_SITE_BATCH) batch = i;
  bool per_batch = start >= 0 && operand_type(s, start)->rank;
  if (start < 0 || (per_batch && batch < 0)) return q;
  const int64_t axes[1] = {batch};
  return sn_g2(b, SN_OP_ADD, q, sn_g_broadcast(b, s->g->arg[start], it->rank, it->dim, per_batch ? axes : NULL));
}

/* The position of the query, of the sum's elements: that which stands for a difference is as far from key 0. */
static sn_val query_of(const spread *s, const sn_type *it) {
  sn_build *b = s->b;
  sn_val q = iota_of(s, it, s->a->kind == SN_SUM_DIFFERENCES ? DISTANCE : SN_SITE_QUERY);
  if (s->a->kind == SN_SUM_DIFFERENCES) {
    sn_val last = sn_g_dim(b, less_one(b, operand_type(s, 1)->dim[1]));
    q = sn_g2(b, SN_OP_SUB, q, sn_g_broadcast(b, last, it->rank, it->dim, NULL));
  }
  return started_query(s, it, q);
}

/* Values of the score region on tensors: site: what stands for its first arguments, i32 tensors of type it. */
static void lift_values(const sn_grad_rule *g, const sn_type *it, const sn_val site[4], int count, const sn_val *value,
                        sn_val *out) {
  sn_build *b = g->b;
  const sn_func *score = sn_node_attr(g->node, "score")->region;
  sn_attention_layout l = sn_attention_layout_of(g->node);
  int n = SN_SITE_CAPTURE + l.capture_count, arguments;
  sn_val *at = SN_ARRAY(b->func->arena, n, sn_val);
  bool *lifted = SN_ARRAY(b->func->arena, n, bool);
  for (int i = 0; i < n; i++) lifted[i] = i < SN_SITE_CAPTURE;
  at[SN_SITE_SCORE] =
      sn_g_const(b, sn_type_with_elem(sn_b_types(b), it, sn_acc_elem(sn_g_type(b, g->arg[0])->elem)), 0);
  for (int i = 0; i < 4; i++) at[SN_SITE_BATCH + i] = site[i];
  for (int i = 0; i < l.capture_count; i++) at[SN_SITE_CAPTURE + i] = g->arg[l.first_capture + i];
  sn_func *f = sn_func_create(score->module, "index", SN_FUNC_BODY);
  sn_build inner = sn_build_begin(f, b->diags);
  sn_val *arg = declare_arguments(&inner, score, &arguments),
         *map = SN_ARRAY(b->func->arena, score->value_count, sn_val);
  sn_region_copy(&inner, score, arguments, arg, map);
  for (int i = 0; i < count; i++) sn_func_return(f, map[value[i]]);
  if (inner.failed) b->failed = inner.failed;
  f = sn_func_finish(f);
  sn_module_remove(f->module, f);
  for (int i = 0; i < count; i++) out[i] = b->failed ? 0 : sn_region_lift(b, f, n, at, lifted, it, i);
}

/* Every index expression over the axes that are left. */
static void lift_indices(const spread *s, sn_val *index) {
  const sn_type *it = sn_type_with_elem(sn_b_types(s->b), sn_g_type(s->b, s->d), SN_ELEM_I32);
  const sn_val site[4] = {iota_of(s, it, SN_SITE_BATCH), iota_of(s, it, SN_SITE_HEAD), query_of(s, it),
                          iota_of(s, it, SN_SITE_KEY)};
  lift_values(s->g, it, site, s->a->count, s->a->expr, index);
  for (int i = 0; i < s->a->count; i++)
    if (sn_sum_has_entries(s->a->kind) && s->a->joint[i]) index[i] = iota_of(s, it, JOINT + i);
}

static sn_val scattered(const spread *s, const sn_type *table) {
  sn_val arg[SN_RANK_MAX + 1] = {s->d};
  const sn_attr at = {.set = true, .dims = table->dim, .count = table->rank};
  lift_indices(s, arg + 1);
  return s->b->failed ? 0 : sn_emit(s->b, SN_OP_INDEX_ADD, s->a->count + 1, arg, &at, NULL);
}

static void axes_of(spread *s) {
  s->rank = s->a->kind >= SN_SUM_TABLES ? 4 : 3;
  s->axis[0] = SN_SITE_BATCH, s->axis[1] = SN_SITE_HEAD, s->axis[2] = SN_SITE_QUERY, s->axis[3] = SN_SITE_KEY;
  if (s->a->kind == SN_SUM_KEYS) s->axis[2] = SN_SITE_KEY;
  if (s->a->kind == SN_SUM_DIFFERENCES) s->axis[2] = DISTANCE;
  if (s->a->kind == SN_SUM_ENTRIES) s->axis[2] = JOINT;
  if (s->a->kind == SN_SUM_TABLES) s->axis[3] = JOINT;
}

/* ---- products of queries with rows ---- */

/* Each sum to the row that its number says. d: [B, H, X, d], z of axis X the difference of key and query from 0 on */
static sn_val scattered_rows(const sn_grad_rule *g, const sn_access_site *a, sn_val d, const sn_type *table) {
  spread s = {g, g->b, a, sn_node_attr(g->node, "score")->region, d, 4, {SN_SITE_BATCH, SN_SITE_HEAD, DISTANCE, -1}};
  sn_build *b = g->b;
  bool heads = table->rank == 3;
  int64_t sum[2], perm[4] = {0, 1, 2, 3};
  int count = 0, kept = 0;
  for (int i = 0; i < 2; i++) {
    if (i ? a->head || heads : a->batch)
      s.axis[kept++] = s.axis[i];
    else
      sum[count++] = i;
  }
  if (count) d = sn_g_sum(b, d, count, sum);
  if (heads && kept == 2) perm[0] = 1, perm[1] = 0, s.axis[0] = SN_SITE_HEAD, s.axis[1] = SN_SITE_BATCH;
  if (heads && kept == 2) d = sn_g_transpose(b, d, perm);
  if (b->failed) return 0;
  s.axis[kept] = DISTANCE, s.rank = kept + 1, s.d = d;
  const sn_type *t = sn_g_type(b, d), *it = sn_type_of(sn_b_types(b), SN_ELEM_I32, s.rank, t->dim);
  sn_val zero = sn_g_const(b, it, 0),
         last = started_query(&s, it, plus(b, zero, less_one(b, operand_type(&s, 0)->dim[1])));
  const sn_val site[4] = {iota_of(&s, it, SN_SITE_BATCH), iota_of(&s, it, SN_SITE_HEAD),
                          sn_g2(b, SN_OP_SUB, last, iota_of(&s, it, DISTANCE)), zero};
  sn_val arg[2] = {0, d};
  lift_values(g, it, site, 1, &a->expr[3], &arg[0]);
  const sn_attr at[2] = {{.set = heads, .i = heads}, {.set = true, .d = table->dim[table->rank - 2]}};
  return b->failed ? 0 : sn_emit(b, SN_OP_SCATTER, 2, arg, at, NULL);
}

/* Row r of the table has the sum of the difference z of key and query, counted from 0, at which it is read: the first
 * number less r.  d: [X, d] or [H, X, d] */
static sn_val rows_of_table(const sn_grad_rule *g, const sn_access_site *a, sn_val d, const sn_type *table) {
  sn_build *b = g->b;
  sn_types *t = sn_b_types(b);
  int axis = table->rank - 2;
  const sn_type *it = sn_type_with_elem(t, table, SN_ELEM_I32);
  const sn_dimx *queries = sn_g_type(b, g->arg[0])->dim[1], *count = sn_g_type(b, d)->dim[axis];
  sn_val zero = sn_g_const(b, it, 0), head = axis ? sn_g_iota(b, it, 0) : zero, first, arg[4] = {d};
  sn_val far = plus(b, zero, sn_dimx_sub(t, queries, sn_dimx_const(t, 1))); /* the last query from key 0 */
  const sn_val site[4] = {zero, head, far, zero};
  if (b->failed) return 0;
  lift_values(g, it, site, 1, &a->expr[3], &first);
  sn_val z = sn_g2(b, SN_OP_SUB, sn_g_cast(b, first, SN_ELEM_I32), sn_g_iota(b, it, axis));
  sn_val end = plus(b, zero, sn_dimx_sub(t, count, sn_dimx_const(t, 1)));
  if (b->failed) return 0;
  sn_val there = sn_g2(b, SN_OP_AND, sn_g2(b, SN_OP_LE, zero, z), sn_g2(b, SN_OP_LE, z, end));
  if (axis) arg[1] = head;
  arg[1 + axis] = sn_g2(b, SN_OP_MIN, sn_g2(b, SN_OP_MAX, z, zero), end), arg[2 + axis] = sn_g_iota(b, it, axis + 1);
  sn_val x = b->failed ? 0 : sn_emit(b, SN_OP_INDEX, table->rank + 1, arg, NULL, NULL);
  return b->failed ? 0 : sn_g3(b, SN_OP_SELECT, there, x, sn_b_zeros(b, x));
}

static void finish_rows(const sn_grad_rule *g, const sn_access_site *a, sn_val sum) {
  const int64_t axes[2] = {0, 1};
  int k = (a->kind - SN_SUM_ROWS) & 1 ? sn_attention_layout_of(g->node).first_capture + a->capture : 0;
  const sn_type *t = sn_g_type(g->b, g->arg[k]);
  if (!g->need[k]) return;
  bool simple = a->linear && !a->batch && (t->rank == 3 || !a->head); /* each row has one sum at most */
  if (k && !simple) sum = scattered_rows(g, a, sum, t);
  if (k && simple) sum = rows_of_table(g, a, sn_g_sum(g->b, sum, t->rank == 3 ? 1 : 2, axes), t);
  if (g->b->failed) return;
  sum = sn_g_cast(g->b, sum, t->elem);
  g->d_arg[k] = g->d_arg[k] ? sn_g2(g->b, SN_OP_ADD, g->d_arg[k], sum) : sum;
}

void sn_sums_finish(const sn_grad_rule *g, const sn_accesses *a, const sn_val *sum) {
  int first = sn_attention_layout_of(g->node).first_capture;
  for (int i = 0; i < a->count && !g->b->failed; i++) {
    if (a->at[i].kind >= SN_SUM_ROWS) {
      finish_rows(g, &a->at[i], sum[i]);
      continue;
    }
    spread s = {g, g->b, &a->at[i], sn_node_attr(g->node, "score")->region, sum[i], 0, {0}};
    sn_val *d = &g->d_arg[first + a->at[i].capture];
    const sn_type *table = operand_type(&s, first + a->at[i].capture);
    axes_of(&s);
    drop_axes(&s);
    split_entries(&s, table);
    sn_val part = transposed(&s, table);
    if (!part) part = scattered(&s, table);
    if (g->b->failed) return;
    part = sn_g_cast(g->b, part, table->elem);
    *d = *d ? sn_g2(g->b, SN_OP_ADD, *d, part) : part;
  }
}

/* ---- the same sums in other ops ---------------------------------------------------------------------------------- */

static sn_val counted(sn_build *b, const sn_type *it, int axis) { return sn_g_iota(b, it, axis); }

/* x [B, H, T, S] added up by the number of each pair */
static sn_val by_number(sn_build *b, sn_val x, sn_val number, const sn_dimx *count) {
  const sn_type *t = sn_g_type(b, x), *it = sn_type_with_elem(sn_b_types(b), t, SN_ELEM_I32);
  const sn_dimx *dim[3] = {t->dim[0], t->dim[1], count};
  const sn_val arg[4] = {x, counted(b, it, 0), counted(b, it, 1), number};
  const sn_attr at = {.set = true, .dims = dim, .count = 3};
  return b->failed ? 0 : sn_emit(b, SN_OP_INDEX_ADD, 4, arg, &at, NULL);
}

static sn_val difference_number(sn_build *b, const sn_type *t) {
  const sn_type *it = sn_type_with_elem(sn_b_types(b), t, SN_ELEM_I32);
  sn_val last = sn_g_dim(b, sn_dimx_sub(sn_b_types(b), t->dim[3], sn_dimx_const(sn_b_types(b), 1)));
  sn_val d = sn_g2(b, SN_OP_SUB, counted(b, it, 2), counted(b, it, 3));
  return sn_g2(b, SN_OP_ADD, d, sn_g_broadcast(b, last, 4, it->dim, NULL));
}

/* x [B, H, T, S] added up over the keys by number, [B, H, T, count] */
static sn_val by_query_and_number(sn_build *b, sn_val x, sn_val number, const sn_dimx *count) {
  const sn_type *t = sn_g_type(b, x), *it = sn_type_with_elem(sn_b_types(b), t, SN_ELEM_I32);
  const sn_dimx *dim[4] = {t->dim[0], t->dim[1], t->dim[2], count};
  const sn_val arg[5] = {x, counted(b, it, 0), counted(b, it, 1), counted(b, it, 2), number};
  const sn_attr at = {.set = true, .dims = dim, .count = 4};
  return b->failed ? 0 : sn_emit(b, SN_OP_INDEX_ADD, 5, arg, &at, NULL);
}

static sn_val one_sum(sn_build *b, sn_val x, int64_t kind, sn_val entry, const sn_type *result) {
  const int64_t axes[4] = {0, 1, 2, 3};
  if (b->failed) return 0;
  switch (kind) {
    case SN_SUM_QUERIES: return sn_g_sum(b, x, 1, axes + 3);
    case SN_SUM_KEYS: return sn_g_sum(b, x, 1, axes + 2);
    case SN_SUM_DIFFERENCES: return by_number(b, x, difference_number(b, sn_g_type(b, x)), result->dim[2]);
    case SN_SUM_ENTRIES: return by_number(b, x, entry, result->dim[2]);
    case SN_SUM_TABLES: return by_query_and_number(b, x, entry, result->dim[3]);
    default: break;
  }
  bool batch = (kind - SN_SUM_PAIRS) & 1, head = (kind - SN_SUM_PAIRS) & 2;
  int64_t over[2] = {0, 1};
  if (batch && head) return x;
  if (batch) over[0] = 1;
  x = sn_g_sum(b, x, batch || head ? 1 : 2, over);
  return b->failed ? 0 : sn_g_reshape(b, x, 4, result->dim);
}

static sn_val rows_sum(sn_build *b, const sn_val *arg, int rows, int64_t kind, sn_val x, sn_val number,
                       const sn_type *result) {
  sn_types *types = sn_b_types(b);
  const sn_type *t = sn_g_type(b, x), *it = sn_type_with_elem(types, t, SN_ELEM_I32), *table = sn_g_type(b, arg[rows]);
  if (!((kind - SN_SUM_ROWS) & 1)) {
    sn_val each = by_query_and_number(b, x, number, table->dim[table->rank - 2]);
    return b->failed ? 0 : sn_g_contract(b, table->rank == 3 ? "bhtr,hrd->bthd" : "bhtr,rd->bthd", each, arg[rows]);
  }
  sn_val z = sn_g2(b, SN_OP_SUB, counted(b, it, 3), counted(b, it, 2));
  z = plus(b, z, sn_dimx_sub(types, t->dim[2], sn_dimx_const(types, 1)));
  sn_val each = by_query_and_number(b, x, z, result->dim[2]);
  return b->failed ? 0 : sn_g_contract(b, "bhtx,bthd->bhxd", each, sn_g_cast(b, arg[0], t->elem));
}

void sn_attention_sums(sn_build *b, const sn_node *n, const sn_val *arg, sn_val raw, sn_val ds, sn_val *out) {
  const sn_attr *sums = sn_node_attr(n, "sums");
  const sn_func *slopes = sn_node_attr(n, "slopes")->region, *mask = sn_node_attr(n, "mask")->region;
  int entry = sums->count, first = sn_attention_layout_of(n).first_capture;
  sn_val live = mask && sums->count ? sn_attention_lift(b, n, arg, 0, mask, 0) : 0;
  for (int i = 0; i < sums->count && !b->failed; i++) {
    sn_val slope = sn_attention_lift(b, n, arg, raw, slopes, i), number = 0;
    if (b->failed) return;
    if (live) slope = sn_g3(b, SN_OP_SELECT, live, slope, sn_b_zeros(b, slope));
    if (is_numbered(sums->ints[i])) number = sn_attention_lift(b, n, arg, raw, slopes, entry++);
    sn_val x = sn_g2(b, SN_OP_MUL, ds, slope);
    int rows = first + (int)(sums->ints[i] - SN_SUM_ROWS) / 2;
    if (b->failed) return;
    out[i] = sums->ints[i] >= SN_SUM_ROWS ? rows_sum(b, arg, rows, sums->ints[i], x, number, n->type[3 + i])
                                          : one_sum(b, x, sums->ints[i], number, n->type[3 + i]);
  }
}
