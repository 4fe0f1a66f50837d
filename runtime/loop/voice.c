/* Plan -> a model that speaks. */
#include "runtime/loop/voice.h"

#include <string.h>

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

static sn_code voice_read(void *user, int64_t rows, int64_t count, const int32_t *tokens, const int32_t *start,
                          float *logits, sn_diags *diags) {
  const sn_voice *v = user;
  const sn_plan *p = sn_runtime_plan(v->runtime);
  sn_buffer b[] = {{"tokens", (void *)(uintptr_t)tokens, 2, {rows, count}},
                   {"start", (void *)(uintptr_t)start, 1, {rows}},
                   {"logits", logits, 3, {rows, count, sn_generate_vocab(p)}}};
  return sn_run(v->runtime, v->store, count == 1 && *start ? "decode" : "prefill", 3, b, diags);
}

static sn_code voice_reorder(void *user, int64_t rows, const int32_t *parent, sn_diags *diags) {
  const sn_voice *v = user;
  return sn_store_reorder(v->store, "B", rows, parent, diags);
}

sn_speaker sn_voice_speaker(sn_voice *v) {
  const sn_plan *p = sn_runtime_plan(v->runtime);
  return (sn_speaker){v, sn_generate_vocab(p), sn_generate_context(p), v->ring, voice_read, voice_reorder};
}
