/* Prompt -> ids, one at a time. */
#include "runtime/loop/generate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- sampling ----------------------------------------------------------------------------------- */

typedef struct candidate {
  double p;
  int32_t id;
} candidate;

static int likelier(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->p != y->p) return x->p > y->p ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

static int32_t likeliest(const float *logits, int64_t vocab) {
  int32_t best = -1;
  for (int64_t i = 0; i < vocab; i++)
    if (isfinite(logits[i]) && (best < 0 || logits[i] > logits[best])) best = (int32_t)i;
  return best;
}

/* How many of the sorted candidates stay under top-k and top-p. */
static int64_t keep(const candidate *c, int64_t count, const sn_sampling *s, double total) {
  int64_t n = s->top_k > 0 && s->top_k < count ? s->top_k : count;
  double sum = 0, limit = 0;
  for (int64_t i = 0; i < n; i++) limit += c[i].p;
  if (s->top_p >= 1) return n;
  limit = s->top_p * (s->top_k > 0 ? limit : total);
  for (int64_t i = 0; i < n; i++)
    if ((sum += c[i].p) >= limit) return i + 1;
  return n;
}

sn_code sn_sample(const float *logits, int64_t vocab, const sn_sampling *s, sn_rng *rng, int32_t *out) {
  int32_t best = likeliest(logits, vocab);
  if (best < 0) return SN_ERR_NUMERIC;
  *out = best;
  if (s->temperature <= 0) return SN_OK;
  candidate *c = malloc((size_t)vocab * sizeof *c);
  if (!c) return SN_ERR_LIMIT;
  double total = 0, sum = 0;
  for (int64_t i = 0; i < vocab; i++) {
    double p = isfinite(logits[i]) ? exp(((double)logits[i] - (double)logits[best]) / s->temperature) : 0;
    c[i] = (candidate){p, (int32_t)i};
    total += p;
  }
  qsort(c, (size_t)vocab, sizeof *c, likelier);
  int64_t n = keep(c, vocab, s, total);
  for (int64_t i = 0; i < n; i++) sum += c[i].p;
  double x = sn_rng_f64(rng) * sum;
  int64_t pick = 0;
  while (pick + 1 < n && c[pick + 1].p > 0 && (x -= c[pick].p) >= 0) pick++;
  *out = c[pick].id;
  free(c);
  return SN_OK;
}

/* ---- the loop ----------------------------------------------------------------------------------- */

static const sn_slot *slot_of(const sn_plan *p, const char *graph, const char *name) {
  int g = sn_plan_find_graph(p, graph), s = g < 0 ? -1 : sn_plan_find_slot(p, g, name);
  return s < 0 ? NULL : &p->slot[s];
}

int64_t sn_generate_context(const sn_plan *p) {
  const sn_slot *s = slot_of(p, "prefill", "tokens");
  return s && s->type->rank == 2 ? sn_dimx_max_value(s->type->dim[1]) : 0;
}

int64_t sn_generate_vocab(const sn_plan *p) {
  const sn_slot *s = slot_of(p, "prefill", "logits");
  return s && s->type->rank == 3 ? sn_dimx_max_value(s->type->dim[2]) : 0;
}

/* Slots of the graph in a role: "x f32[4], y i32[]". */
static const char *list(sn_arena *arena, const sn_plan *p, int graph, sn_slot_role role) {
  sn_text t = sn_text_begin(arena);
  for (int i = 0; i < p->slot_count; i++)
    if (p->slot[i].graph == graph && p->slot[i].role == role)
      sn_text_add(&t, "%s%s %s", t.count ? ", " : "", p->slot[i].name, sn_type_text(arena, p->slot[i].type));
  return t.count ? t.at : "none";
}

static sn_code check_slot(const sn_plan *p, const char *graph, const char *name, sn_elem elem, int rank,
                          sn_diags *diags) {
  const sn_slot *s = slot_of(p, graph, name);
  if (s && s->type->elem == elem && s->type->rank == rank) return SN_OK;
  sn_slot_role role = strcmp(name, "logits") ? SN_SLOT_INPUT : SN_SLOT_OUTPUT;
  const char *kind = role == SN_SLOT_INPUT ? "input" : "output";
  (void)sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = p->file}, "the model cannot generate: graph %s has no %s %s",
                graph, kind, name);
  sn_fail_expected(diags, "%s %s of %s with %d extents", kind, name, sn_elem_name(elem), rank);
  if (diags) sn_fail_found(diags, "%ss: %s", kind, list(diags->arena, p, sn_plan_find_graph(p, graph), role));
  return SN_ERR_INPUT;
}

sn_code sn_generate_check(const sn_plan *p, sn_diags *diags) {
  static const char *const graphs[] = {"prefill", "decode"};
  for (int i = 0; i < 2; i++) {
    if (sn_plan_find_graph(p, graphs[i]) < 0) {
      (void)sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = p->file}, "the model cannot generate: it has no graph %s",
                    graphs[i]);
      sn_fail_expected(diags, "graphs prefill and decode (tokens, start) -> logits");
      return SN_ERR_INPUT;
    }
    SN_TRY(check_slot(p, graphs[i], "tokens", SN_ELEM_I32, 2, diags));
    SN_TRY(check_slot(p, graphs[i], "start", SN_ELEM_I32, 1, diags));
    SN_TRY(check_slot(p, graphs[i], "logits", SN_ELEM_F32, 3, diags));
  }
  return SN_OK;
}

typedef struct session {
  const sn_generate_opt *o;
  sn_diags *diags;
  int64_t context, vocab;
  int32_t *ids; /* prompt and what was written */
  int64_t count;
  float *logits; /* [context, vocab] */
  const float *last;
} session;

static sn_code prefill(session *s) {
  int64_t n = s->count < s->context ? s->count : s->context;
  int32_t start = 0;
  sn_buffer b[] = {{"tokens", s->ids + s->count - n, 2, {1, n}},
                   {"start", &start, 1, {1}},
                   {"logits", s->logits, 3, {1, n, s->vocab}}};
  s->last = s->logits + (n - 1) * s->vocab;
  return sn_run(s->o->runtime, s->o->store, "prefill", 3, b, s->diags);
}

static sn_code decode(session *s) {
  int32_t start = (int32_t)(s->count - 1);
  sn_buffer b[] = {{"tokens", s->ids + s->count - 1, 2, {1, 1}},
                   {"start", &start, 1, {1}},
                   {"logits", s->logits, 3, {1, 1, s->vocab}}};
  s->last = s->logits;
  return sn_run(s->o->runtime, s->o->store, "decode", 3, b, s->diags);
}

static sn_code check_prompt(const session *s) {
  for (int i = 0; i < s->o->prompt_count; i++) {
    if (s->o->prompt[i] >= 0 && s->o->prompt[i] < s->vocab) continue;
    sn_fail(s->diags, SN_ERR_INPUT, (sn_loc){0}, "token %d of the prompt is outside of the model's vocabulary", i);
    sn_fail_expected(s->diags, "ids from 0 to %lld", (long long)s->vocab - 1);
    sn_fail_found(s->diags, "%d", s->o->prompt[i]);
    return SN_ERR_INPUT;
  }
  return SN_OK;
}

static sn_code write_ids(session *s) {
  const sn_generate_opt *o = s->o;
  sn_rng rng = {.seed = o->seed};
  for (int64_t i = 0; i < o->count; i++) {
    bool again = !i || (!o->ring && s->count > s->context);
    SN_TRY(again ? prefill(s) : decode(s));
    sn_code code = sn_sample(s->last, s->vocab, &o->sampling, &rng, &s->ids[s->count]);
    if (code)
      return sn_fail(
          s->diags, code, (sn_loc){0},
          code == SN_ERR_LIMIT ? "no memory to choose a token" : "no token can be chosen: no logit is finite");
    s->count++;
    if (o->on_id && !o->on_id(o->user, s->ids[s->count - 1])) return SN_OK;
  }
  return SN_OK;
}

static int write_protected(void *arg) { return write_ids(arg); }

sn_code sn_generate(const sn_generate_opt *o, sn_diags *diags) {
  session s = {.o = o, .diags = diags, .context = sn_generate_context(o->plan), .vocab = sn_generate_vocab(o->plan)};
  SN_TRY(sn_generate_check(o->plan, diags));
  if (o->prompt_count < 1)
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "the prompt is empty: at least one token is needed");
  SN_TRY(check_prompt(&s));
  /* a ring starts at the positions that the last `context` ids of the prompt have among themselves */
  int64_t kept = o->prompt_count < s.context ? o->prompt_count : s.context;
  s.ids = malloc((size_t)(kept + o->count + 1) * sizeof *s.ids);
  s.logits = malloc((size_t)(s.context * s.vocab) * sizeof *s.logits);
  sn_code code = SN_ERR_LIMIT;
  if (s.ids && s.logits) {
    memcpy(s.ids, o->prompt + o->prompt_count - kept, (size_t)kept * sizeof *s.ids);
    s.count = kept;
    code = (sn_code)sn_protect(write_protected, &s); /* on_id may run out of memory */
  } else {
    sn_fail(diags, code, (sn_loc){0}, "no memory to generate");
  }
  free(s.ids);
  free(s.logits);
  return code;
}
