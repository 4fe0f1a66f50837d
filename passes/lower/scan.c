/* Schedule writer of `scan`, sequential: one instance owns one element of the mapped axes and walks all of its steps.
 * It always works.
 *
 *   1. States, and what one fused node of the step leaves for another, lie in scratch of the instance.
 *   2. Every fused node of the step is written by the writer of its kind, inside the instance: loops stand for its
 * grid.
 *   3. A step: outputs that are old states; the nodes in order; the other outputs; the next states.
 * A result of a node goes to its place at once where nothing needs the old content: to an output, or over a state. */
#include "passes/lower/internal.h"

#include <string.h>

#include "passes/plan/order.h"

typedef struct scan {
  sn_lower_ctx *c;
  const sn_node *node;
  sn_scan_layout l;
  sn_build_kernel *b;
  int *operand; /* slot of each operand of the scan */
  sn_view *view;
  int *result;           /* slot of each result, -1: nobody wants it */
  sn_kv at[SN_RANK_MAX]; /* of the leading axes; 0 for t outside of the loop */
  int *state;            /* scratch of each state */
  int *slot_of;          /* by value id of the step: where it lies, -1: nowhere yet */
  int *target;           /* of the results of the step: where they go in this step, -1: nowhere */
} scan;

static const sn_type *step_type(const scan *s, int result) { return sn_val_type(s->l.step, s->l.step->result[result]); }

static sn_val base_of(const scan *s, sn_val v) { return sn_order_base(s->l.step, v); }

/* ---- operands and results
 * -------------------------------------------------------------------------------------------- */

static sn_code read_operands(scan *s) {
  const sn_node *n = s->node;
  s->operand = SN_ARRAY(s->c->arena, n->arg_count, int);
  s->view = SN_ARRAY(s->c->arena, n->arg_count, sn_view);
  for (int i = 0; i < n->arg_count; i++)
    if (!sn_lower_source(s->c, n->arg[i], &s->operand[i], &s->view[i]))
      return sn_lower_fail(s->c, "scan: operand %d is not a strided view of a buffer", i + 1);
  s->result = SN_ARRAY(s->c->arena, n->result_count, int);
  for (int r = 0; r < n->result_count; r++) {
    s->result[r] = -1;
    for (int i = 0; i < s->c->result_count; i++)
      if (sn_order_base(s->c->body, s->c->body->result[i]) == n->first + (sn_val)r) s->result[r] = s->c->result_slot[i];
  }
  return SN_OK;
}

static const sn_dimx *extent_of(const scan *s, int letter) { return s->view[s->l.states].extent[letter]; }

static void begin_kernel(scan *s) {
  sn_buffer_use use[SN_LOWER_BUFFERS];
  sn_types *types = s->c->types;
  const sn_dimx *instances = sn_dimx_const(types, 1);
  int count = 0;
  for (int i = 0; i < s->node->arg_count && count < SN_LOWER_BUFFERS; i++)
    use[count++] = (sn_buffer_use){s->operand[i], SN_K_IN};
  for (int r = 0; r < s->node->result_count && count < SN_LOWER_BUFFERS; r++)
    if (s->result[r] >= 0) use[count++] = (sn_buffer_use){s->result[r], SN_K_OUT};
  s->b = sn_build_kernel_begin(s->c, "scan", count, use);
  for (int i = 0; i < s->l.lead; i++)
    if (i != s->l.time) instances = sn_dimx_mul(types, instances, extent_of(s, i));
  sn_build_grid(s->b, 1, instances, NULL, NULL);
  sn_kernel *k = s->b->k;
  sn_kv id = sn_build_id(s->b, 0);
  for (int i = s->l.lead - 1; i >= 0; i--) {
    if (i == s->l.time) continue;
    sn_kv extent = sn_build_dim(s->b, extent_of(s, i));
    s->at[i] = sn_k_ibin(k, SN_K_IMOD, id, extent);
    id = sn_k_ibin(k, SN_K_IDIV, id, extent);
  }
}

/* The part of an operand or result at the element at work, as a slot for the bodies inside. */
static int part_of(scan *s, int slot, const sn_view *view, int lead, bool has_time, const sn_type *inner) {
  sn_kv at[SN_VIEW_RANK] = {0};
  int n = 0;
  for (int i = 0; i < s->l.lead && lead; i++)
    if (i != s->l.time || has_time) at[n++] = s->at[i];
  sn_kv base = sn_build_offset(s->b, slot, sn_build_address(s->b, view, at));
  return sn_inner_add(s->b, inner, sn_build_buffer(s->b, slot), base);
}

static int result_part(scan *s, int r, bool has_time) {
  sn_shape shape = sn_shape_of(s->node->type[r]);
  sn_view view = sn_view_of(s->c->types, &shape);
  return part_of(s, s->result[r], &view, 1, has_time, step_type(s, r));
}

/* ---- whole values between slots ---------------------------------------------------------------------------------- */

static sn_kwin window_at(scan *s, int slot, sn_kv at, sn_kv limit) {
  return (sn_kwin){.buf = sn_build_buffer(s->b, slot),
                   .off = sn_build_offset(s->b, slot, at),
                   .cs = sn_k_i(s->b->k, 1),
                   .nc = limit};
}

static void copy(scan *s, int from, int to, const sn_type *type) {
  sn_kernel *k = s->b->k;
  const sn_dimx *count = sn_type_count(s->c->types, type);
  int block = sn_block_of(count, s->c->target->rows * s->c->target->cols);
  sn_kv hi = sn_build_dim(s->b, count), at = sn_k_i(k, 0);
  bool loop = sn_dimx_max_value(count) > block;
  if (from == to) return;
  if (loop) at = sn_k_for(k, at, hi, block, 0, NULL);
  sn_kv limit = sn_build_limit(s->b, count, block, at);
  sn_kv x = sn_k_load(k, 1, block, window_at(s, from, at, limit), 0);
  sn_k_store(k, window_at(s, to, at, limit), x);
  if (loop) sn_k_end_for(k, 0, NULL);
}

/* ---- where values lie
 * ------------------------------------------------------------------------------------------------ */

static const sn_node *arg_node(const scan *s, int index) {
  const sn_func *f = s->l.step;
  for (int i = 0; i < f->node_count; i++)
    if (f->node[i]->op == SN_OP_ARG && sn_node_attr(f->node[i], "index")->i == index) return f->node[i];
  return NULL;
}

static void place_arg(scan *s, int index, int slot) {
  const sn_node *n = arg_node(s, index);
  if (n) s->slot_of[n->first] = slot;
}

/* Is the value read by a fused node at position `from` or later? */
static bool is_read_from(const scan *s, sn_val v, int from) {
  const sn_func *f = s->l.step;
  for (int i = from; i < f->node_count; i++)
    for (int k = 0; f->node[i]->op == SN_OP_FUSED && k < f->node[i]->arg_count; k++)
      if (base_of(s, f->node[i]->arg[k]) == v) return true;
  return false;
}

/* The only result of the step that is this value, -1: none, or several. */
static int only_result(const scan *s, sn_val v) {
  int found = -1;
  for (int r = 0; r < s->l.step->result_count; r++) {
    if (base_of(s, s->l.step->result[r]) != v) continue;
    if (found >= 0) return -1;
    found = r;
  }
  return found;
}

/* Where a result of the node at `position` can go at once; -1: to scratch of its own. */
static int place_at_once(const scan *s, sn_val v, int position) {
  int r = only_result(s, v);
  if (r < 0 || is_read_from(s, v, position + 1)) return -1;
  if (r >= s->l.states) return s->target[r];
  const sn_node *old = arg_node(s, r);
  bool needed = old && is_read_from(s, old->first, position);
  for (int k = 0; old && k < s->l.states; k++) needed |= base_of(s, s->l.step->result[k]) == old->first;
  return needed ? -1 : s->state[r];
}

static void place_results(scan *s) {
  const sn_func *f = s->l.step;
  for (int i = 0; i < f->node_count; i++)
    for (int r = 0; f->node[i]->op == SN_OP_FUSED && r < f->node[i]->result_count; r++) {
      sn_val v = f->node[i]->first + (sn_val)r;
      int slot = place_at_once(s, v, i);
      if (slot >= 0) s->slot_of[v] = slot;
    }
}

/* Scratch for every state and for what may lie between the nodes, in front of the loop. */
static void make_scratch(scan *s) {
  const sn_func *f = s->l.step;
  s->state = SN_ARRAY(s->c->arena, s->l.states + 1, int);
  s->slot_of = SN_ARRAY(s->c->arena, f->value_count, int);
  s->target = SN_ARRAY(s->c->arena, f->result_count, int);
  for (int v = 0; v < f->value_count; v++) s->slot_of[v] = -1;
  for (int r = 0; r < f->result_count; r++) s->target[r] = r < s->l.states || s->result[r] < 0 ? -1 : 0;
  for (int i = 0; i < s->l.states; i++) s->state[i] = sn_inner_local(s->b, step_type(s, i));
  for (int i = 0; i < f->node_count; i++)
    for (int r = 0; f->node[i]->op == SN_OP_FUSED && r < f->node[i]->result_count; r++) {
      sn_val v = f->node[i]->first + (sn_val)r;
      if (place_at_once(s, v, i) < 0) s->slot_of[v] = sn_inner_local(s->b, sn_val_type(f, v));
    }
}

/* ---- one step
 * ---------------------------------------------------------------------------------------------------------- */

static sn_code lower_fused(scan *s, const sn_node *n) {
  int *arg = SN_ARRAY(s->c->arena, n->arg_count, int), *result = SN_ARRAY(s->c->arena, n->result_count, int);
  sn_lower_ctx c = {.arena = s->c->arena,
                    .diags = s->c->diags,
                    .target = s->c->target,
                    .types = s->c->types,
                    .plan = s->c->plan,
                    .graph = s->l.step,
                    .fused = n,
                    .body = sn_node_attr(n, "body")->region,
                    .arg_count = n->arg_count,
                    .result_count = n->result_count,
                    .arg_slot = arg,
                    .result_slot = result,
                    .inside = s->b};
  for (int i = 0; i < n->arg_count; i++) arg[i] = s->slot_of[base_of(s, n->arg[i])];
  for (int r = 0; r < n->result_count; r++) result[r] = s->slot_of[n->first + (sn_val)r];
  SN_TRY(sn_lower_group(&c));
  return c.failed;
}

/* States that only change their places are saved before any of them is written. */
static void next_states(scan *s) {
  const sn_func *f = s->l.step;
  int *from = SN_ARRAY(s->c->arena, s->l.states + 1, int);
  for (int i = 0; i < s->l.states; i++) {
    sn_val v = base_of(s, f->result[i]);
    const sn_node *n = sn_node_of(f, v);
    from[i] = s->slot_of[v];
    if (n->op != SN_OP_ARG || n->attr[0].i >= s->l.states || from[i] == s->state[i]) continue;
    from[i] = sn_inner_local(s->b, step_type(s, i));
    copy(s, s->slot_of[v], from[i], step_type(s, i));
  }
  for (int i = 0; i < s->l.states; i++) copy(s, from[i], s->state[i], step_type(s, i));
}

/* Outputs that are arguments of the step (old: before the nodes run), or results of nodes. */
static void copy_outputs(scan *s, bool old) {
  const sn_func *f = s->l.step;
  for (int r = s->l.states; r < f->result_count; r++) {
    sn_val v = base_of(s, f->result[r]);
    if (s->target[r] >= 0 && (sn_node_of(f, v)->op == SN_OP_ARG) == old)
      copy(s, s->slot_of[v], s->target[r], step_type(s, r));
  }
}

static sn_code one_step(scan *s) {
  const sn_func *f = s->l.step;
  for (int i = 0; i < s->l.inputs; i++) {
    int k = s->l.states + i;
    const sn_node *n = arg_node(s, k);
    if (n) s->slot_of[n->first] = part_of(s, s->operand[k], &s->view[k], 1, true, n->type[0]);
  }
  for (int r = s->l.states; r < f->result_count; r++)
    if (s->result[r] >= 0) s->target[r] = result_part(s, r, true);
  place_results(s);
  copy_outputs(s, true);
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    sn_op_class cls = sn_op_get(n->op)->cls;
    if (n->op == SN_OP_FUSED)
      SN_TRY(lower_fused(s, n));
    else if (cls != SN_CLASS_LEAF && cls != SN_CLASS_VIEW)
      return sn_lower_fail(s->c, "scan: `%s` of the step was not fused", sn_op_get(n->op)->name);
  }
  copy_outputs(s, false);
  next_states(s);
  return s->c->failed;
}

/* ---- the kernel
 * -------------------------------------------------------------------------------------------------------- */

static void load_states(scan *s) {
  for (int i = 0; i < s->l.states; i++) {
    const sn_type *t = step_type(s, i);
    copy(s, part_of(s, s->operand[i], &s->view[i], 1, false, t), s->state[i], t);
    place_arg(s, i, s->state[i]);
  }
  for (int i = 0; i < s->l.captures; i++) {
    int k = s->l.states + s->l.inputs + i;
    const sn_node *n = arg_node(s, k);
    if (n) s->slot_of[n->first] = part_of(s, s->operand[k], &s->view[k], 0, false, n->type[0]);
  }
}

static void store_states(scan *s) {
  for (int i = 0; i < s->l.states; i++)
    if (s->result[i] >= 0) copy(s, s->state[i], result_part(s, i, false), step_type(s, i));
}

static const sn_dimx *scan_flops(sn_types *t, const sn_func *f, const sn_node *n);

static const sn_dimx *bytes_of(sn_types *t, const sn_type *type) {
  return sn_dimx_mul(t, sn_type_count(t, type), sn_dimx_const(t, (int64_t)sn_elem_bytes(type->elem)));
}

/* Two for every element of the product's space. */
static const sn_dimx *product_flops(sn_types *t, const sn_func *f, const sn_node *n) {
  const sn_dimx *flops = sn_dimx_mul(t, sn_dimx_const(t, 2), sn_type_count(t, sn_val_type(f, n->arg[0])));
  sn_contract_spec spec;
  if (sn_contract_parse(sn_node_attr(n, "spec")->s, &spec)) return flops;
  for (int i = 0; i < spec.b_count; i++)
    if (!strchr(spec.a, spec.b[i])) flops = sn_dimx_mul(t, flops, sn_val_type(f, n->arg[1])->dim[i]);
  return flops;
}

/* Of one run of a function of fused nodes. */
static const sn_dimx *flops_of(sn_types *t, const sn_func *f) {
  const sn_dimx *sum = sn_dimx_const(t, 0);
  for (int i = 0; i < f->node_count; i++) {
    if (f->node[i]->op != SN_OP_FUSED) continue;
    sn_lower_ctx c = {.types = t, .body = sn_node_attr(f->node[i], "body")->region};
    sum = sn_dimx_add(t, sum, sn_body_flops(&c));
    for (int k = 0; k < c.body->node_count; k++) {
      const sn_node *n = c.body->node[k];
      if (n->op == SN_OP_CONTRACT) sum = sn_dimx_add(t, sum, product_flops(t, c.body, n));
      if (n->op == SN_OP_SCAN) sum = sn_dimx_add(t, sum, scan_flops(t, c.body, n));
    }
  }
  return sum;
}

/* Operations of one step times the steps of all elements. */
static const sn_dimx *scan_flops(sn_types *t, const sn_func *f, const sn_node *n) {
  sn_scan_layout l = sn_scan_layout_of(n);
  const sn_type *x = sn_val_type(f, n->arg[l.states]);
  const sn_dimx *flops = flops_of(t, l.step);
  for (int i = 0; i < l.lead; i++) flops = sn_dimx_mul(t, flops, x->dim[i]);
  return flops;
}

/* Every operand and result once. */
static sn_report report_of(const scan *s) {
  sn_types *t = s->c->types;
  sn_report r = {0};
  r.bytes_read = r.bytes_written = sn_dimx_const(t, 0);
  r.flops = scan_flops(t, s->c->body, s->node);
  for (int i = 0; i < s->c->arg_count; i++)
    r.bytes_read = sn_dimx_add(t, r.bytes_read, bytes_of(t, sn_val_type(s->c->graph, s->c->fused->arg[i])));
  for (int i = 0; i < s->c->result_count; i++)
    r.bytes_written = sn_dimx_add(t, r.bytes_written, bytes_of(t, s->c->fused->type[i]));
  return r;
}

/* Random numbers have no place among the steps: every step would draw the same. */
static sn_code check_step(const scan *s) {
  const sn_func *f = s->l.step;
  for (int i = 0; i < f->node_count; i++) {
    const sn_func *body = f->node[i]->op == SN_OP_FUSED ? sn_node_attr(f->node[i], "body")->region : NULL;
    for (int k = 0; body && k < body->node_count; k++)
      if (body->node[k]->op == SN_OP_UNIFORM)
        return sn_lower_fail(s->c, "scan: `uniform` inside a step is not supported");
  }
  return SN_OK;
}

static sn_code walk(scan *s) {
  sn_kernel *k = s->b->k;
  sn_kv steps = sn_build_dim(s->b, extent_of(s, s->l.time));
  sn_kv i = sn_k_for(k, sn_k_i(k, 0), steps, 1, 0, NULL);
  s->at[s->l.time] = s->l.reverse ? sn_k_isub(k, sn_k_iadd(k, steps, sn_k_i(k, -1)), i) : i;
  sn_code code = one_step(s);
  sn_k_end_for(k, 0, NULL);
  s->at[s->l.time] = 0;
  return code;
}

sn_code sn_lower_scan(sn_lower_ctx *c, const sn_node *fused) {
  scan s = {.c = c};
  (void)fused;
  for (int i = 0; i < c->body->node_count; i++)
    if (c->body->node[i]->op == SN_OP_SCAN) s.node = c->body->node[i];
  if (!s.node) return sn_lower_fail(c, "scan: the group holds no scan");
  s.l = sn_scan_layout_of(s.node);
  SN_TRY(check_step(&s));
  SN_TRY(read_operands(&s));
  begin_kernel(&s);
  make_scratch(&s);
  load_states(&s);
  SN_TRY(walk(&s));
  store_states(&s);
  sn_report report = report_of(&s);
  return c->failed ? c->failed : sn_build_kernel_end(s.b, &report);
}
