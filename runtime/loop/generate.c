/* Prompt -> ids: sampled, searched or drafted. */
#include "runtime/loop/generate.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/loop/search.h"
#include "runtime/loop/speculate.h"

typedef struct session {
  const sn_generate_opt *o;
  sn_diags *diags;
  int32_t *ids; /* prompt and what was written */
  int64_t count;
  float *logits; /* [context, vocab] */
  sn_rng rng;
  sn_speculation ahead;
} session;

/* Reads the ids that the model has not read, or the newest that fit its context, and draws the next. */
static sn_code write_one(session *s, bool again) {
  const sn_speaker *m = s->o->speaker;
  int64_t n = !again ? 1 : s->count < m->context ? s->count : m->context;
  int32_t start = again ? 0 : (int32_t)(s->count - 1);
  SN_TRY(m->read(m->user, 1, n, s->ids + s->count - n, &start, s->logits, s->diags));
  sn_code code = sn_sample(s->logits + (n - 1) * m->vocab, m->vocab, &s->o->sampling, &s->rng, &s->ids[s->count]);
  if (!code) return SN_OK;
  return sn_fail(s->diags, code, (sn_loc){0},
                 code == SN_ERR_LIMIT ? "no memory to choose a token" : "no token can be chosen: no logit is finite");
}

/* How many ids may be drafted behind those that there are. */
static int64_t room(const session *s) {
  const sn_generate_opt *o = s->o;
  if (!o->draft) return 0;
  int64_t most = o->speaker->context < o->draft->context ? o->speaker->context : o->draft->context;
  return most - s->count;
}

static sn_code write_ids(session *s) {
  const sn_generate_opt *o = s->o;
  for (int64_t done = 0; done < o->count;) {
    int64_t written = 1;
    if (done && room(s) > 0)
      SN_TRY(sn_speculation_next(&s->ahead, room(s), s->ids, s->count, &s->rng, &written, s->diags));
    else
      SN_TRY(write_one(s, !done || (!o->speaker->ring && s->count > o->speaker->context)));
    for (int64_t i = 0; i < written && done < o->count; i++, done++)
      if (s->count++, o->on_id && !o->on_id(o->user, s->ids[s->count - 1])) return SN_OK;
  }
  return SN_OK;
}

static sn_code search(session *s) {
  const sn_generate_opt *o = s->o;
  sn_search x = {.speaker = o->speaker,
                 .beams = o->beams,
                 .power = o->power,
                 .end = -1,
                 .count = o->count,
                 .prompt_count = s->count,
                 .prompt = s->ids};
  int64_t written = 0;
  double log_p;
  if (!o->count) return SN_OK;
  SN_TRY(sn_search_beams(&x, s->diags, s->ids + s->count, &written, &log_p));
  for (int64_t i = 0; i < written; i++)
    if (o->on_id && !o->on_id(o->user, s->ids[s->count + i])) return SN_OK;
  return SN_OK;
}

static int write_protected(void *arg) { /* on_id may run out of memory */
  session *s = arg;
  return s->o->beams ? search(s) : write_ids(s);
}

static sn_code check(const sn_generate_opt *o, sn_diags *diags) {
  if (o->prompt_count < 1)
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "the prompt is empty: at least one token is needed");
  for (int i = 0; i < o->prompt_count; i++) {
    if (o->prompt[i] >= 0 && o->prompt[i] < o->speaker->vocab) continue;
    sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "token %d of the prompt is outside of the model's vocabulary", i);
    sn_fail_expected(diags, "ids from 0 to %lld", (long long)o->speaker->vocab - 1);
    sn_fail_found(diags, "%d", o->prompt[i]);
    return SN_ERR_INPUT;
  }
  if (!o->draft || o->draft->vocab == o->speaker->vocab) return SN_OK;
  sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "the draft has another vocabulary than the model");
  sn_fail_expected(diags, "%lld tokens", (long long)o->speaker->vocab);
  sn_fail_found(diags, "%lld", (long long)o->draft->vocab);
  return SN_ERR_INPUT;
}

sn_code sn_generate(const sn_generate_opt *o, sn_diags *diags) {
  session s = {.o = o, .diags = diags, .rng = {.seed = o->seed}};
  const sn_speaker *m = o->speaker;
  SN_TRY(check(o, diags));
  s.ahead = (sn_speculation){.target = m, .draft = o->draft, .sampling = o->sampling, .ahead = o->ahead};
  if (o->draft) SN_TRY(sn_speculation_begin(&s.ahead, diags));
  /* a ring starts at the positions that the last `context` ids of the prompt have among themselves */
  int64_t kept = o->beams || o->prompt_count < m->context ? o->prompt_count : m->context;
  s.ids = malloc((size_t)(kept + o->count + o->ahead + 1) * sizeof *s.ids);
  s.logits = malloc((size_t)(m->context * m->vocab) * sizeof *s.logits);
  sn_code code = SN_ERR_LIMIT;
  if (s.ids && s.logits) {
    memcpy(s.ids, o->prompt + o->prompt_count - kept, (size_t)kept * sizeof *s.ids);
    s.count = kept;
    code = (sn_code)sn_protect(write_protected, &s);
  } else {
    sn_fail(diags, code, (sn_loc){0}, "no memory to generate");
  }
  if (o->drafted) o->drafted[0] = s.ahead.drafted, o->drafted[1] = s.ahead.kept;
  free(s.ids);
  free(s.logits);
  if (o->draft) sn_speculation_end(&s.ahead);
  return code;
}
