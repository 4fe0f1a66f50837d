/* settings.json, written and read. */
#include "runtime/io/settings.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void string(sn_text *t, const char *s) {
  json_t *j = json_stringn_nocheck(s ? s : "", s ? strlen(s) : 0);
  char *text = j ? json_dumps(j, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
  sn_text_add(t, "%s", text ? text : "\"\"");
  free(text);
  json_decref(j);
}

void sn_run_settings_print(sn_text *t, const sn_run_settings *s) {
  sn_text_add(t, "{\"model\": ");
  string(t, s->model);
  sn_text_add(t, ",\n \"settings\": ");
  string(t, s->settings);
  sn_text_add(t, ",\n \"source\": ");
  string(t, s->source);
  sn_text_add(t, ",\n \"ring\": %s,\n \"seed\": %lld}\n", s->ring ? "true" : "false", (long long)s->seed);
}

static sn_code read_string(const json_t *root, const char *key, sn_arena *arena, sn_diags *diags, const char *file, const char **out) {
  const char *s = json_string_value(json_object_get(root, key));
  if (!s) return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "\"%s\" must be a string", key);
  *out = sn_arena_strdup(arena, s);
  return SN_OK;
}

static sn_code read_all(const json_t *root, sn_arena *arena, sn_diags *diags, const char *file, sn_run_settings *out) {
  SN_TRY(read_string(root, "model", arena, diags, file, &out->model));
  SN_TRY(read_string(root, "settings", arena, diags, file, &out->settings));
  SN_TRY(read_string(root, "source", arena, diags, file, &out->source));
  out->ring = json_is_true(json_object_get(root, "ring"));
  out->seed = json_integer_value(json_object_get(root, "seed"));
  return SN_OK;
}

sn_code sn_run_settings_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes, sn_run_settings *out) {
  json_error_t error;
  json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
  if (!root)
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file, .line = error.line, .column = error.column}, "not JSON: %s", error.text);
  sn_code code = read_all(root, arena, diags, file, out);
  json_decref(root);
  return code;
}
