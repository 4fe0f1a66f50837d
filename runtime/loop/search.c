/* Prompt -> the best text, kept by beams.
 *
 *   1. the prompt is read once, as sequence 0
 *   2. of the continuations of all beams by one token, the best `beams` go on
 *   3. those that ended or are full are compared with the best text so far
 *   4. the caches of the others become those of the beams that they continue, and their tokens are read */
#include "runtime/loop/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct beam {
  double log_p;
  int32_t parent, token;
} beam;

typedef struct search {
  const sn_search *o;
  sn_diags *diags;
  int64_t live, found, length; /* beams that go on, candidates, tokens written by each */
  beam *best;                  /* [beams], the candidates */
  double *log_p;               /* [beams] */
  int32_t *ids, *next;         /* [beams, count]: texts of the beams, and of those to come */
  int32_t *tokens, *parent, *start;
  float *logits; /* of the prompt, then [beams, vocab] */
  int32_t *out;
  int64_t out_count;
  double out_log_p;
} search;

/* Candidate -> among the best, behind those that are as good. */
static void insert(search *s, beam c) {
  int64_t at = s->found;
  while (at > 0 && s->best[at - 1].log_p < c.log_p) at--;
  if (at == s->o->beams) return;
  if (s->found < s->o->beams) s->found++;
  memmove(s->best + at + 1, s->best + at, (size_t)(s->found - 1 - at) * sizeof c);
  s->best[at] = c;
}

static bool add_continuations(search *s, int32_t row, const float *logits) {
  int64_t vocab = s->o->speaker->vocab;
  double most = -INFINITY, sum = 0;
  for (int64_t i = 0; i < vocab; i++)
    if (isfinite(logits[i])) most = fmax(most, (double)logits[i]);
  if (!isfinite(most)) return false;
  for (int64_t i = 0; i < vocab; i++) sum += isfinite(logits[i]) ? exp((double)logits[i] - most) : 0;
  for (int64_t i = 0; i < vocab; i++)
    if (isfinite(logits[i])) insert(s, (beam){s->log_p[row] + (double)logits[i] - most - log(sum), row, (int32_t)i});
  return true;
}

/* 2. */
static sn_code grow(search *s, const float *logits) {
  s->found = 0;
  for (int32_t b = 0; b < s->live; b++)
    if (!add_continuations(s, b, logits + b * s->o->speaker->vocab))
      return sn_fail(s->diags, SN_ERR_NUMERIC, (sn_loc){0}, "no token can be chosen: no logit is finite");
  s->length++;
  return SN_OK;
}

static void consider(search *s, const beam *c, const int32_t *ids) {
  double score = c->log_p / pow((double)s->length, s->o->power);
  if (s->out_count && score <= s->out_log_p / pow((double)s->out_count, s->o->power)) return;
  memcpy(s->out, ids, (size_t)s->length * sizeof *ids);
  s->out_count = s->length;
  s->out_log_p = c->log_p;
}

/* 3. and the texts of the beams that go on */
static void sort_out(search *s) {
  int64_t left = 0;
  for (int64_t i = 0; i < s->found; i++) {
    const beam *c = &s->best[i];
    int32_t *text = s->next + left * s->o->count;
    memcpy(text, s->ids + c->parent * s->o->count, (size_t)(s->length - 1) * sizeof *text);
    text[s->length - 1] = c->token;
    if (c->token == s->o->end || s->length == s->o->count) {
      consider(s, c, text);
      continue;
    }
    s->parent[left] = c->parent;
    s->tokens[left] = c->token;
    s->log_p[left++] = c->log_p;
  }
  int32_t *texts = s->ids;
  s->ids = s->next;
  s->next = texts;
  s->live = left;
}

/* 4. */
static sn_code go_on(search *s) {
  const sn_speaker *m = s->o->speaker;
  bool moves = false;
  for (int64_t i = 0; i < s->live; i++) {
    moves = moves || s->parent[i] != i;
    s->start[i] = (int32_t)(s->o->prompt_count + s->length - 1);
  }
  if (moves) SN_TRY(m->reorder(m->user, s->live, s->parent, s->diags));
  return m->read(m->user, s->live, 1, s->tokens, s->start, s->logits, s->diags);
}

static sn_code run(search *s) {
  const sn_search *o = s->o;
  const float *at = s->logits + (o->prompt_count - 1) * o->speaker->vocab;
  s->live = 1;
  s->start[0] = 0;
  SN_TRY(o->speaker->read(o->speaker->user, 1, o->prompt_count, o->prompt, s->start, s->logits, s->diags)); /* 1. */
  while (s->live && s->length < o->count) {
    SN_TRY(grow(s, at));
    sort_out(s);
    if (s->live) SN_TRY(go_on(s));
    at = s->logits;
  }
  return SN_OK;
}

static sn_code check(const sn_search *o, sn_diags *diags) {
  const sn_speaker *m = o->speaker;
  if (o->prompt_count < 1)
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "the prompt is empty: at least one token is needed");
  if (o->beams < 1 || o->count < 1 || (o->beams > 1 && !m->reorder))
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "%lld beams of %lld tokens cannot be searched",
                   (long long)o->beams, (long long)o->count);
  int64_t most = m->ring ? m->context : m->context - o->count + 1;
  if (o->prompt_count <= most) return SN_OK;
  sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "prompt and text do not fit the model's context: beams are not cut");
  if (most < 1) {
    sn_fail_expected(diags, "at most %lld tokens to write", (long long)m->context);
    sn_fail_found(diags, "%lld", (long long)o->count);
    return SN_ERR_USAGE;
  }
  sn_fail_expected(diags, "a prompt of at most %lld tokens with %lld to write", (long long)most, (long long)o->count);
  sn_fail_found(diags, "%lld", (long long)o->prompt_count);
  return SN_ERR_USAGE;
}

sn_code sn_search_beams(const sn_search *o, sn_diags *diags, int32_t *out, int64_t *out_count, double *out_log_p) {
  SN_TRY(check(o, diags));
  size_t beams = (size_t)o->beams, rows = o->prompt_count > o->beams ? (size_t)o->prompt_count : beams;
  search s = {.o = o, .diags = diags, .out = out};
  s.best = malloc((beams + 1) * sizeof *s.best);
  s.log_p = calloc(beams, sizeof *s.log_p);
  int32_t *ids = s.ids = malloc((2 * beams * (size_t)o->count + 3 * beams) * sizeof *s.ids);
  s.logits = malloc(rows * (size_t)o->speaker->vocab * sizeof *s.logits);
  sn_code code = SN_ERR_LIMIT;
  if (s.best && s.log_p && ids && s.logits) {
    s.next = ids + beams * (size_t)o->count;
    s.tokens = ids + 2 * beams * (size_t)o->count;
    s.parent = s.tokens + beams;
    s.start = s.parent + beams;
    code = run(&s);
  } else {
    sn_fail(diags, code, (sn_loc){0}, "no memory to search");
  }
  if (!code) *out_count = s.out_count, *out_log_p = s.out_log_p;
  free(s.best), free(s.log_p), free(ids), free(s.logits);
  return code;
}
