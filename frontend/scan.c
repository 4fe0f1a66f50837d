/* Recurrences: the user's step, for one element of the mapped axes, is traced into a region. */
#include "frontend/trace.h"

#include <string.h>

enum { MOST_OPERANDS = 16 }; /* states; inputs */

typedef struct scan {
  const char *axes;
  int lead, time;
  int state_count, input_count;
  sn_t *state[MOST_OPERANDS];      /* where the user keeps them */
  sn_t x[2 * MOST_OPERANDS];       /* states, then inputs */
  const sn_dimx *dim[SN_RANK_MAX]; /* of the letters */
  sn_val made_before;              /* values of the caller with smaller ids were there before the step was traced */
} scan;

static int operand_count(const scan *s) { return s->state_count + s->input_count; }

static const char *operand_name(sn_call *c, const scan *s, int i) {
  return i < s->state_count ? sn_texts(c, "state %d", i) : sn_texts(c, "input %d", i - s->state_count);
}

/* ---- operands ---------------------------------------------------------------------------------------------------- */

static bool read_axes(sn_call *c, scan *s) {
  if (s->axes && sn_scan_axes_valid(s->axes)) {
    s->lead = (int)strlen(s->axes);
    s->time = (int)(strchr(s->axes, 't') - s->axes);
    return true;
  }
  sn_mistake(c, "different letters, one of them t: the axis that is walked",
             s->axes ? sn_texts(c, "\"%s\"", s->axes) : "NULL", "the axes are not understood");
  return false;
}

/* "[b, h, ..]" */
static const char *wanted_shape(sn_call *c, const scan *s, bool state) {
  sn_text t = sn_text_begin(c->trace->arena);
  sn_text_char(&t, '[');
  for (int i = 0; i < s->lead; i++)
    if (i != s->time || !state) sn_text_add(&t, "%c, ", s->axes[i]);
  sn_text_add(&t, "..]");
  return t.at;
}

/* The type without the leading axes, whose extents agree with those known so far; NULL after a mistake. */
static const sn_type *inner_type(sn_call *c, scan *s, int i) {
  bool state = i < s->state_count;
  const sn_type *t = sn_need(c, s->x[i], operand_name(c, s, i));
  int at = 0;
  if (!t) return NULL;
  for (int k = 0; k < s->lead; k++) {
    if (k == s->time && state) continue;
    if (at == t->rank) {
      sn_mistake(c, sn_texts(c, "%s, as in \"%s\"", wanted_shape(c, s, state), s->axes), sn_describe(c, s->x[i], ""),
                 "%s lacks axes", operand_name(c, s, i));
      return NULL;
    }
    if (!s->dim[k]) s->dim[k] = t->dim[at];
    if (t->dim[at++] == s->dim[k]) continue;
    sn_mistake(c, sn_texts(c, "%s, from the operands before", sn_dim_text(c, s->dim[k])),
               sn_texts(c, "%s, from %s, %s", sn_dim_text(c, t->dim[at - 1]), operand_name(c, s, i),
                        sn_describe(c, s->x[i], "")),
               "axis '%c' has two extents", s->axes[k]);
    return NULL;
  }
  return sn_type_of(sn_types_of(c), t->elem, t->rank - at, t->dim + at);
}

static bool read_operands(sn_call *c, scan *s, const sn_type **inner) {
  for (int i = s->state_count; i < operand_count(s); i++) /* inputs first: they have every letter */
    if (!(inner[i] = inner_type(c, s, i))) return false;
  for (int i = 0; i < s->state_count; i++)
    if (!(inner[i] = inner_type(c, s, i))) return false;
  return true;
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

/* Results: next states, then the output. -> false after a mistake */
static bool trace_step(sn_call *c, const scan *s, sn_scan_step step, const void *opt, const sn_type *const *inner,
                       sn_fn **fn, sn_val *out) {
  sn_t h[MOST_OPERANDS], x[MOST_OPERANDS];
  *fn = sn_region_open(c, "step", "step");
  (*fn)->repeats = true;
  for (int i = 0; i < operand_count(s); i++) {
    sn_t v = sn_fn_arg(*fn, inner[i]);
    if (i < s->state_count)
      h[i] = v;
    else
      x[i - s->state_count] = v;
  }
  sn_t y = step(h, x, opt);
  sn_region_leave(c);
  for (int i = 0; i < s->state_count; i++) {
    const char *wrong = sn_texts(c, "the step changes the type of state %d", i);
    if (!(out[i] = sn_region_result(c, *fn, h[i], inner[i], wrong))) return false;
  }
  out[s->state_count] = sn_region_result(c, *fn, y, NULL, "the step returns no tensor");
  return out[s->state_count] != 0;
}

/* The value that this one shows in another shape. */
static sn_val shown(const sn_call *c, sn_val v) {
  for (;;) {
    const sn_node *n = sn_node_of(c->fn->b.func, v);
    if (n->op != SN_OP_RESHAPE && n->op != SN_OP_TRANSPOSE && n->op != SN_OP_BROADCAST) return v;
    v = n->arg[0];
  }
}

/* Does a captured tensor hold what is walked: an input, or rows along all the letters? */
static bool holds_steps(sn_call *c, const scan *s, sn_val captured) {
  const sn_type *t = sn_val_type(c->fn->b.func, captured);
  int64_t steps;
  bool rows = t->rank >= s->lead && !sn_dimx_is_const(s->dim[s->time], &steps);
  for (int i = s->state_count; i < operand_count(s); i++)
    if (shown(c, sn_bring(c, s->x[i], "")) == shown(c, captured)) return true;
  for (int k = 0; k < s->lead && rows; k++) rows = t->dim[k] == s->dim[k];
  return rows;
}

/* A tensor of all steps that a captured value is, or was made of inside the step; 0: none. What was made before is the
 * caller's business. Operands come before what is made of them, so one way down sees all. */
static sn_val steps_in(sn_call *c, const scan *s, const sn_closed *closed) {
  bool *used = SN_ARRAY(c->trace->arena, c->fn->b.func->value_count, bool);
  sn_val last = 0;
  for (int i = 0; i < closed->captured_count; i++) {
    used[closed->captured[i]] = true;
    if (closed->captured[i] > last) last = closed->captured[i];
  }
  for (sn_val v = last; v > 0; v--) {
    if (!used[v]) continue;
    if (holds_steps(c, s, v)) return v;
    const sn_node *n = sn_node_of(c->fn->b.func, v);
    for (int k = 0; v >= s->made_before && k < n->arg_count; k++) used[n->arg[k]] = true;
  }
  return 0;
}

/* A step sees captured tensors whole: one of all steps would show it those to come. -> false after a mistake */
static bool check_captures(sn_call *c, const scan *s, const sn_closed *closed) {
  sn_val v = steps_in(c, s, closed);
  if (v)
    sn_mistake(c, "captured tensors that are the same for every step; of an input, a step sees its own row",
               sn_describe(c, (sn_t){.u.id = v, .fn = c->fn}, ""),
               "the step reads the steps to come: it captures a tensor of all of them");
  return !v;
}

static sn_val emit_scan(sn_call *c, const scan *s, const sn_closed *closed, bool reverse) {
  int n = operand_count(s);
  sn_val *arg = SN_ARRAY(c->trace->arena, n + closed->captured_count, sn_val);
  for (int i = 0; i < n; i++) arg[i] = sn_bring(c, s->x[i], "");
  for (int i = 0; i < closed->captured_count; i++) arg[n + i] = closed->captured[i];
  const sn_attr attr[5] = {{.set = true, .s = s->axes},
                           {.set = true, .i = s->state_count},
                           {.set = true, .i = s->input_count},
                           {.set = true, .region = closed->func},
                           {.set = reverse, .i = reverse}};
  return c->poison ? 0 : sn_emit(&c->fn->b, SN_OP_SCAN, n + closed->captured_count, arg, attr, NULL);
}

static bool read_counts(sn_call *c, scan *s, sn_t **states, sn_list xs) {
  for (; states[s->state_count]; s->state_count++) {
    if (s->state_count == MOST_OPERANDS) break;
    s->state[s->state_count] = states[s->state_count];
    s->x[s->state_count] = *states[s->state_count];
  }
  s->input_count = xs.count;
  if (states[s->state_count] || xs.count > MOST_OPERANDS) {
    sn_mistake(c, sn_texts(c, "at most %d", MOST_OPERANDS), "more", "too many states or inputs");
    return false;
  }
  for (int i = 0; i < xs.count; i++) s->x[s->state_count + i] = xs.at[i].v;
  return true;
}

sn_t sn_scan_at(sn_here here, sn_scan_step step, const char *axes, sn_t **states, sn_list xs, sn_scan_opt o) {
  scan s = {.axes = axes};
  sn_t first[2] = {xs.at[0].v, states[0] ? *states[0] : sn_num(0)};
  sn_call c = sn_call_on(here, 2, first);
  if (!c.fn || c.poison) return sn_poison(&c);
  c = sn_call_in(here, (sn_scope){.fn = c.trace->inner}, 0, NULL); /* what the step captures may be only here */
  const sn_type *inner[2 * MOST_OPERANDS];
  sn_val out[MOST_OPERANDS + 1];
  sn_fn *fn;
  if (!step) sn_mistake(&c, "a function", "NULL", "there is no step");
  s.made_before = (sn_val)c.fn->b.func->value_count;
  if (c.poison || !read_counts(&c, &s, states, xs) || !read_axes(&c, &s) || !read_operands(&c, &s, inner) ||
      !trace_step(&c, &s, step, o.opt, inner, &fn, out)) {
    for (int i = 0; i < s.state_count; i++) *s.state[i] = sn_poison(&c);
    return sn_poison(&c);
  }
  sn_closed closed = sn_fn_close(fn, s.state_count + 1, out);
  sn_t y = sn_result(&c, check_captures(&c, &s, &closed) ? emit_scan(&c, &s, &closed, o.reverse) : 0);
  sn_val v = (sn_val)y.u.id;
  for (int i = 0; i < s.state_count; i++) *s.state[i] = v ? (sn_t){.u.id = v + (sn_val)i, .fn = c.fn} : sn_poison(&c);
  return v ? (sn_t){.u.id = v + (sn_val)s.state_count, .fn = c.fn} : sn_poison(&c);
}
