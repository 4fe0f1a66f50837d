/* settings.json, written and read. */
#include "runtime/io/settings.h"

#include "runtime/io/json.h"

void sn_run_settings_print(sn_text *t, const sn_run_settings *s) {
  sn_text_add(t, "{\"model\": ");
  sn_json_quote(t, s->model);
  sn_text_add(t, ",\n \"settings\": ");
  sn_json_quote(t, s->settings);
  sn_text_add(t, ",\n \"source\": ");
  sn_json_quote(t, s->source);
  sn_text_add(t, ",\n \"ring\": %d,\n \"seed\": %lld,\n \"precision\": ", s->ring, (long long)s->seed);
  sn_json_quote(t, s->precision);
  if (s->ids) sn_text_add(t, ",\n \"ids\": %lld", (long long)s->ids);
  sn_text_add(t, "}\n");
}

static sn_code read_all(const json_t *root, sn_arena *arena, sn_diags *diags, const char *file, sn_run_settings *out) {
  const char *model, *settings, *source, *precision = "f32"; /* folders of earlier versions do not say */
  int64_t ring;
  SN_TRY(sn_json_string(diags, file, root, "model", &model));
  SN_TRY(sn_json_string(diags, file, root, "settings", &settings));
  SN_TRY(sn_json_string(diags, file, root, "source", &source));
  if (json_object_get(root, "precision")) SN_TRY(sn_json_string(diags, file, root, "precision", &precision));
  out->ids = 0;
  if (json_object_get(root, "ids")) SN_TRY(sn_json_int(diags, file, root, "ids", 0, INT32_MAX, &out->ids));
  SN_TRY(sn_json_int(diags, file, root, "ring", 0, 1, &ring));
  SN_TRY(sn_json_int(diags, file, root, "seed", INT64_MIN, INT64_MAX, &out->seed));
  out->model = sn_arena_strdup(arena, model);
  out->settings = sn_arena_strdup(arena, settings);
  out->source = sn_arena_strdup(arena, source);
  out->precision = sn_arena_strdup(arena, precision);
  out->ring = ring != 0;
  return SN_OK;
}

sn_code sn_run_settings_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                              sn_run_settings *out) {
  json_t *root;
  sn_arena *own = sn_arena_scratch();
  sn_code code = sn_json_parse(own, diags, file, text, bytes, 0, &root);
  if (!code) code = read_all(root, arena, diags, file, out);
  sn_arena_destroy(own);
  return code;
}

sn_code sn_run_settings_check_ids(const sn_run_settings *s, sn_diags *diags, const char *file, int64_t ids,
                                  int64_t logits) {
  bool other = s->ids && ids != s->ids, more = logits && ids > logits;
  if (!other && !more) return SN_OK;
  (void)sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "the tokenizer does not fit the model");
  if (other)
    sn_fail_expected(diags, "%lld ids, as the model was trained with", (long long)s->ids);
  else
    sn_fail_expected(diags, "at most %lld ids, one for each logit", (long long)logits);
  sn_fail_found(diags, "%lld ids", (long long)ids);
  return SN_ERR_INPUT;
}
