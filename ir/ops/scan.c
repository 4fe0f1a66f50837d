/* Rules of scan: a recurrence. The step is written for one element of the mapped axes; `t` among the letters of `axes`
 * is walked, the others are mapped.
 *
 *   operands: states s0 [b, h, ..], inputs x [b, t, h, ..], captured tensors; letters lead, for "bth"
 *   step(s.., x.., captured..) -> next s.., outputs y..   without the letters' axes
 *   results: last states [b, h, ..], outputs [b, t, h, ..]
 *   s(t+1), y(t) = step(s(t), x(t)) for t = 0 .. T-1, or with `reverse` from T-1 down to 0 */
#include "ir/ops/rules.h"

#include <string.h>

enum { MOST_STATES = 64 };

sn_scan_layout sn_scan_layout_of(const sn_node *n) {
  const char *axes = sn_node_attr(n, "axes")->s, *time = strchr(axes, 't');
  sn_scan_layout l = {.states = (int)sn_node_attr(n, "states")->i,
                      .inputs = (int)sn_node_attr(n, "inputs")->i,
                      .lead = (int)strlen(axes),
                      .time = time ? (int)(time - axes) : 0,
                      .reverse = sn_node_attr(n, "reverse")->i != 0,
                      .step = sn_node_attr(n, "step")->region};
  l.captures = n->arg_count - l.states - l.inputs;
  l.outputs = n->result_count - l.states;
  return l;
}

bool sn_scan_axes_valid(const char *axes) {
  size_t count = strlen(axes);
  if (count < 1 || count > SN_RANK_MAX || !strchr(axes, 't')) return false;
  for (size_t i = 0; i < count; i++)
    if (axes[i] < 'a' || axes[i] > 'z' || strchr(axes + i + 1, axes[i])) return false;
  return true;
}

/* Operands and results under the letters: lead dims of the first input. */
typedef struct frame {
  int lead, time;
  const sn_dimx *dim[SN_RANK_MAX];
} frame;

/* The type without the leading axes; NULL when they do not fit. */
static const sn_type *inner_type(sn_infer *in, const frame *f, const sn_type *t, bool has_time) {
  int at = 0;
  for (int i = 0; i < f->lead; i++) {
    if (i == f->time && !has_time) continue;
    if (at == t->rank || t->dim[at++] != f->dim[i]) return NULL;
  }
  return sn_type_of(sn_infer_types(in), t->elem, t->rank - at, t->dim + at);
}

/* The type with the leading axes; NULL above the largest rank. */
static const sn_type *outer_type(sn_infer *in, const frame *f, const sn_type *t) {
  const sn_dimx *dim[2 * SN_RANK_MAX];
  if (f->lead + t->rank > SN_RANK_MAX) return NULL;
  for (int i = 0; i < f->lead; i++) dim[i] = f->dim[i];
  for (int i = 0; i < t->rank; i++) dim[f->lead + i] = t->dim[i];
  return sn_type_of(sn_infer_types(in), t->elem, f->lead + t->rank, dim);
}

static sn_code check_counts(sn_infer *in, int64_t states, int64_t inputs, const char *axes) {
  if (!sn_scan_axes_valid(axes)) {
    sn_code code = sn_infer_fail(in, "`axes` are not letters of axes");
    sn_fail_expected(in->diags, "different letters, one of them t");
    sn_fail_found(in->diags, "\"%s\"", axes);
    return code;
  }
  if (states < 0 || states > MOST_STATES || inputs < 1 || states + inputs > in->arg_count)
    return sn_infer_fail(in, "`states` and `inputs` do not fit %d operands", in->arg_count);
  return SN_OK;
}

static sn_code find_frame(sn_infer *in, const char *axes, int first, frame *out) {
  const sn_type *x = in->arg[first];
  *out = (frame){.lead = (int)strlen(axes), .time = (int)(strchr(axes, 't') - axes)};
  if (x->rank < out->lead) return sn_infer_want(in, first, "axes \"%s\" first", axes);
  for (int i = 0; i < out->lead; i++) out->dim[i] = x->dim[i];
  return SN_OK;
}

static sn_code infer_scan(sn_infer *in) {
  const char *axes = sn_infer_attr(in, "axes")->s;
  int64_t states = sn_infer_attr(in, "states")->i, inputs = sn_infer_attr(in, "inputs")->i;
  const sn_func *step = sn_infer_attr(in, "step")->region;
  frame f;
  SN_TRY(check_counts(in, states, inputs, axes));
  SN_TRY(find_frame(in, axes, (int)states, &f));
  const sn_type **want = SN_ARRAY(sn_types_arena(sn_infer_types(in)), in->arg_count, const sn_type *);
  for (int i = 0; i < in->arg_count; i++) {
    want[i] = i < states + inputs ? inner_type(in, &f, in->arg[i], i >= states) : in->arg[i];
    if (!want[i]) return sn_infer_want(in, i, "the leading axes of %s", sn_infer_text(in, in->arg[states]));
  }
  SN_TRY(sn_infer_region_args(in, "step", in->arg_count, want));
  if (step->result_count < states || step->result_count < 1)
    return sn_infer_fail(in, "the step gives %d results for %d states", step->result_count, (int)states);
  sn_infer_results(in, step->result_count);
  for (int i = 0; i < states; i++) {
    SN_TRY(sn_infer_region_result(in, "step", i, want[i]));
    in->result[i] = in->arg[i];
  }
  for (int i = (int)states; i < step->result_count; i++) {
    in->result[i] = outer_type(in, &f, sn_val_type(step, step->result[i]));
    if (!in->result[i]) return sn_infer_fail(in, "output %d has more than %d axes", i - (int)states, SN_RANK_MAX);
  }
  return SN_OK;
}

const sn_op_rules sn_rules_SCAN = {
    infer_scan, sn_scan_grad,
    .doc =
        "last states and stacked outputs of `step`, walked along the letter t of `axes` and mapped along the others"};
