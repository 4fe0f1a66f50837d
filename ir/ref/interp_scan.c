/* Recurrences in the graph interpreter: the step is called on slices, one after the other, for each mapped element. */
#include "ir/ref/eval.h"

typedef struct scan {
  sn_eval *e;
  sn_scan_layout l;
  int64_t lead[SN_RANK_MAX]; /* extents of the letters */
  int64_t at[SN_RANK_MAX];   /* of the element at work */
} scan;

static int64_t inner_count(const scan *s, const sn_tensor *t, bool has_time) {
  int64_t count = 1;
  for (int i = s->l.lead - !has_time; i < t->rank; i++) count *= t->extent[i];
  return count;
}

/* Position among the leading axes, in elements of what follows them. */
static int64_t block_of(const scan *s, bool has_time) {
  int64_t block = 0;
  for (int i = 0; i < s->l.lead; i++)
    if (i != s->l.time || has_time) block = block * s->lead[i] + s->at[i];
  return block;
}

/* The part of a tensor at the element at work, as a tensor of its own that shares the elements. */
static sn_tensor *part_of(const scan *s, const sn_tensor *t, bool has_time) {
  int skip = s->l.lead - !has_time;
  int64_t count = inner_count(s, t, has_time), from = block_of(s, has_time) * count;
  sn_tensor *p = sn_arena_copy(s->e->in->arena, t, sizeof *t);
  p->rank = t->rank - skip;
  p->count = count;
  for (int i = 0; i < p->rank; i++) p->extent[i] = t->extent[skip + i];
  p->value = t->value + from;
  p->bound = t->bound ? t->bound + from : NULL;
  p->wide = t->wide ? t->wide + from : NULL;
  return p;
}

static void keep_part(const scan *s, sn_tensor *to, bool has_time, const sn_tensor *part) {
  int64_t from = block_of(s, has_time) * part->count;
  for (int64_t i = 0; i < part->count; i++) sn_copy_at(to, from + i, part, i);
}

/* One element of the mapped axes: all of its steps. */
static sn_code walk(scan *s, sn_tensor **arg, sn_tensor **result) {
  const sn_eval *e = s->e;
  const sn_scan_layout *l = &s->l;
  int64_t steps = s->lead[l->time];
  for (int i = 0; i < l->states; i++) arg[i] = part_of(s, e->arg[i], false);
  for (int64_t k = 0; k < steps; k++) {
    s->at[l->time] = l->reverse ? steps - 1 - k : k;
    for (int i = 0; i < l->inputs; i++) arg[l->states + i] = part_of(s, e->arg[l->states + i], true);
    SN_TRY(sn_eval_quietly(s->e, l->step, e->n->arg_count, arg, result));
    for (int i = 0; i < l->states; i++) arg[i] = result[i];
    for (int i = l->states; i < e->n->result_count; i++) keep_part(s, e->out[i], true, result[i]);
  }
  for (int i = 0; i < l->states; i++) keep_part(s, e->out[i], false, arg[i]);
  return SN_OK;
}

/* The next element of the mapped axes; false after the last. */
static bool advance(scan *s) {
  for (int i = s->l.lead - 1; i >= 0; i--) {
    if (i == s->l.time) continue;
    if (++s->at[i] < s->lead[i]) return true;
    s->at[i] = 0;
  }
  return false;
}

sn_code sn_eval_scan(sn_eval *e) {
  scan s = {.e = e, .l = sn_scan_layout_of(e->n)};
  sn_tensor **arg = SN_ARRAY(e->in->arena, e->n->arg_count, sn_tensor *);
  sn_tensor **result = SN_ARRAY(e->in->arena, e->n->result_count, sn_tensor *);
  int64_t elements = 1;
  for (int i = 0; i < s.l.lead; i++) {
    s.lead[i] = e->arg[s.l.states]->extent[i];
    elements *= i == s.l.time ? 1 : s.lead[i];
  }
  for (int i = 0; i < s.l.captures; i++) arg[s.l.states + s.l.inputs + i] = e->arg[s.l.states + s.l.inputs + i];
  if (!elements) return SN_OK;
  do SN_TRY(walk(&s, arg, result));
  while (advance(&s));
  return SN_OK;
}
