/* Parts -> runtime with weights -> text. */
#include "runtime/loop/serving.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/io/levels.h"
#include "runtime/io/safetensors.h"

static sn_code open_parts(const sn_payload *p, sn_plan *plan, const sn_runtime_opt *opt, int64_t sequences,
                          sn_diags *diags, sn_serving *s) {
  int64_t dims[64];
  SN_TRY(sn_run_settings_parse(s->arena, diags, "settings.json", p->part[SN_PAYLOAD_SETTINGS].data,
                               p->part[SN_PAYLOAD_SETTINGS].bytes, &s->settings));
  SN_TRY(sn_tokenizer_parse(s->arena, diags, "tokenizer.json", p->part[SN_PAYLOAD_TOKENIZER].data,
                            p->part[SN_PAYLOAD_TOKENIZER].bytes, &s->tokenizer));
  s->plan = plan;
  if (!plan)
    SN_TRY(sn_levels_plan(s->arena, diags, "the model", p->part[SN_PAYLOAD_PLAN].data, p->part[SN_PAYLOAD_PLAN].bytes,
                          &s->plan));
  SN_TRY(sn_run_settings_check_ids(&s->settings, diags, "tokenizer.json", sn_tokenizer_vocab(s->tokenizer),
                                   sn_generate_vocab(s->plan)));
  SN_TRY(sn_runtime_create(s->plan, opt, diags, &s->runtime));
  int count = sn_types_symbol_count(s->plan->types);
  if (count > 64)
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "a plan of %d symbols: at most 64 can be served", count);
  for (int i = 0; i < count; i++) {
    const sn_dimx *d = sn_types_symbol(s->plan->types, i);
    dims[i] = strcmp(sn_dimx_symbol_name(d), "B") ? sn_dimx_max_value(d) : sequences;
  }
  const sn_planned_run runs[] = {{"prefill", dims}, {"decode", dims}};
  SN_TRY(sn_runtime_check_memory(s->runtime, dims, 2, runs, diags));
  SN_TRY(sn_store_create(s->runtime, 0, dims, diags, &s->store));
  sn_safetensors weights;
  SN_TRY(sn_safetensors_read(s->arena, diags, "model.safetensors", p->part[SN_PAYLOAD_WEIGHTS].data,
                             p->part[SN_PAYLOAD_WEIGHTS].bytes, &weights));
  const char *end = p->map.data ? (const char *)p->map.data + p->map.bytes : NULL;
  return sn_store_load_tensors(s->store, s->plan, "model.safetensors", &weights, SN_LOAD_ALL, end, diags);
}

typedef struct opening {
  const sn_payload *parts;
  sn_plan *plan;
  const sn_runtime_opt *opt;
  int64_t sequences;
  sn_diags *diags;
  sn_serving *s;
} opening;

static int open_protected(void *arg) {
  opening *o = arg;
  return open_parts(o->parts, o->plan, o->opt, o->sequences, o->diags, o->s);
}

sn_code sn_serving_open(const sn_payload *parts, sn_plan *plan, const sn_runtime_opt *opt, int64_t sequences,
                        sn_diags *diags, sn_serving *out) {
  *out = (sn_serving){.arena = sn_arena_create()};
  if (!out->arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for the model");
  opening o = {parts, plan, opt, sequences, diags, out};
  sn_code code = (sn_code)sn_protect(open_protected, &o);
  if (code) sn_serving_close(out);
  return code;
}

void sn_serving_close(sn_serving *s) {
  sn_store_destroy(s->store);
  sn_runtime_destroy(s->runtime);
  sn_arena_destroy(s->arena);
  *s = (sn_serving){0};
}

typedef struct relay {
  const sn_serving *s;
  const sn_continue_opt *o;
} relay;

static bool relay_id(void *user, int32_t id) {
  relay *r = user;
  int bytes = 0;
  const char *text = sn_tokenizer_piece(r->s->tokenizer, id, &bytes);
  return !r->o->on_text || r->o->on_text(r->o->user, id, text ? text : "", text ? bytes : 0);
}

sn_code sn_serving_continue(sn_serving *s, const sn_continue_opt *o, sn_diags *diags) {
  int32_t *ids;
  int64_t count;
  SN_TRY(sn_generate_check(s->plan, diags));
  if (o->draft) SN_TRY(sn_generate_check(o->draft->plan, diags));
  SN_TRY(sn_tokenizer_encode(s->tokenizer, diags, "prompt", o->prompt, strlen(o->prompt), &ids, &count));
  relay r = {s, o};
  sn_voice voice = {s->runtime, s->store, s->settings.ring}, other = {0};
  sn_speaker speaker = sn_voice_speaker(&voice), draft;
  sn_generate_opt g = {.speaker = &speaker,
                       .sampling = o->sampling,
                       .seed = o->seed,
                       .count = o->tokens,
                       .beams = o->beams,
                       .power = o->power,
                       .ahead = o->ahead,
                       .drafted = o->drafted,
                       .prompt_count = (int)count,
                       .prompt = ids,
                       .on_id = relay_id,
                       .user = &r};
  if (o->draft) {
    other = (sn_voice){o->draft->runtime, o->draft->store, o->draft->settings.ring};
    draft = sn_voice_speaker(&other);
    g.draft = &draft;
  }
  sn_code code = sn_generate(&g, diags);
  free(ids);
  return code;
}
