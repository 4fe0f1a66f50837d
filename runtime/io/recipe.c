/* run.json, written and read. */
#include "runtime/io/recipe.h"

#include <inttypes.h>

enum { ENTRIES_MAX = 1000000 };

/* ---- options ------------------------------------------------------------------------------------ */

void sn_run_options_print(sn_text *t, int count, const sn_run_option *option) {
  sn_text_char(t, '[');
  for (int i = 0; i < count; i++) {
    sn_text_add(t, i ? ", [" : "[");
    sn_json_quote(t, option[i].name);
    sn_text_add(t, ", ");
    sn_json_quote(t, option[i].value);
    sn_text_char(t, ']');
  }
  sn_text_char(t, ']');
}

static sn_code bad(sn_diags *diags, const char *file, const char *member, const char *expected) {
  sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "member \"%s\" is missing or of the wrong type", member);
  sn_fail_expected(diags, "%s", expected);
  return SN_ERR_INPUT;
}

sn_code sn_run_options_read(sn_arena *arena, sn_diags *diags, const char *file, const json_t *object, int *out_count,
                            const sn_run_option **out) {
  static const char expected[] = "a list of pairs [\"name\", \"value\"]";
  const json_t *list = json_object_get(object, "options");
  if (!json_is_array(list) || json_array_size(list) > ENTRIES_MAX) return bad(diags, file, "options", expected);
  int count = (int)json_array_size(list);
  sn_run_option *option = SN_ARRAY(arena, count + 1, sn_run_option);
  for (int i = 0; i < count; i++) {
    const json_t *pair = json_array_get(list, (size_t)i);
    const char *name = json_string_value(json_array_get(pair, 0)), *value = json_string_value(json_array_get(pair, 1));
    if (json_array_size(pair) != 2 || !name || !value) return bad(diags, file, "options", expected);
    option[i] = (sn_run_option){.name = sn_arena_strdup(arena, name), .value = sn_arena_strdup(arena, value)};
  }
  *out_count = count, *out = option;
  return SN_OK;
}

/* ---- the file ----------------------------------------------------------------------------------- */

void sn_recipe_print(sn_text *t, const sn_recipe *r) {
  sn_text_add(t, "{\"options\": ");
  sn_run_options_print(t, r->option_count, r->option);
  sn_text_add(t, ",\n \"data\": [");
  for (int i = 0; i < r->data_count; i++) {
    sn_text_add(t, i ? ",\n          {\"path\": " : "{\"path\": ");
    sn_json_quote(t, r->data[i].path);
    sn_text_add(t, ", \"bytes\": %" PRId64 ", \"hash\": \"%016" PRIx64 "\"}", r->data[i].bytes, r->data[i].hash);
  }
  sn_text_add(t, "]}\n");
}

static sn_code read_data(sn_arena *arena, sn_diags *diags, const char *file, const json_t *root, sn_recipe *out) {
  const json_t *list = json_object_get(root, "data");
  if (!json_is_array(list) || json_array_size(list) > ENTRIES_MAX) return bad(diags, file, "data", "a list of files");
  out->data_count = (int)json_array_size(list);
  sn_run_data *data = SN_ARRAY(arena, out->data_count + 1, sn_run_data);
  for (int i = 0; i < out->data_count; i++) {
    const json_t *entry = json_array_get(list, (size_t)i);
    const char *path;
    SN_TRY(sn_json_string(diags, file, entry, "path", &path));
    SN_TRY(sn_json_int(diags, file, entry, "bytes", 0, INT64_MAX, &data[i].bytes));
    SN_TRY(sn_json_hex(diags, file, entry, "hash", &data[i].hash));
    data[i].path = sn_arena_strdup(arena, path);
  }
  out->data = data;
  return SN_OK;
}

sn_code sn_recipe_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                        sn_recipe *out) {
  json_t *root;
  sn_recipe r;
  sn_arena *own = sn_arena_scratch();
  sn_code code = sn_json_parse(own, diags, file, text, bytes, 0, &root);
  if (!code) code = sn_run_options_read(arena, diags, file, root, &r.option_count, &r.option);
  if (!code) code = read_data(arena, diags, file, root, &r);
  sn_arena_destroy(own);
  if (!code) *out = r;
  return code;
}
