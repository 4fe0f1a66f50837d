/* Settings: the table that SN_SETTINGS declares, overrides "layers=4", and their text. */
#include "frontend/settings.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ------------------------------------------------------------------------------------------- */

static bool is(const sn_setting *s, const char *type) { return !strcmp(s->type, type); }

static bool is_bool(const sn_setting *s) { return is(s, "_Bool") || is(s, "bool"); } /* bool is a macro of C17 */

static void store(const sn_setting *s, void *at, double value) {
  char *field = (char *)at + s->offset;
  if (is(s, "double"))
    memcpy(field, &value, sizeof value);
  else if (is(s, "int"))
    memcpy(field, &(int){(int)value}, sizeof(int));
  else if (is(s, "int64_t"))
    memcpy(field, &(int64_t){(int64_t)value}, sizeof(int64_t));
  else
    memcpy(field, &(bool){value != 0}, sizeof(bool));
}

static double load(const sn_setting *s, const void *at) {
  const char *field = (const char *)at + s->offset;
  union {
    double f;
    int i;
    int64_t l;
    bool b;
  } u;
  memset(&u, 0, sizeof u);
  if (is(s, "double")) return memcpy(&u.f, field, sizeof u.f), u.f;
  if (is(s, "int")) return memcpy(&u.i, field, sizeof u.i), u.i;
  if (is(s, "int64_t")) return memcpy(&u.l, field, sizeof u.l), (double)u.l;
  return memcpy(&u.b, field, sizeof u.b), u.b;
}

static bool has_range(const sn_setting *s) { return s->min != 0 || s->max != 0; }

static bool fits(const sn_setting *s, double value) {
  if (!isfinite(value) || (has_range(s) && (value < s->min || (s->max >= s->min && value > s->max)))) return false;
  if (is(s, "double")) return true;
  if (value != floor(value)) return false;
  if (is(s, "int")) return value >= INT_MIN && value <= INT_MAX;
  if (is(s, "int64_t")) return fabs(value) < 9007199254740992.0 /* beyond it doubles skip integers */;
  return value == 0 || value == 1;
}

static bool read_value(const sn_setting *s, const char *text, double *out) {
  if (is_bool(s) && (!strcmp(text, "true") || !strcmp(text, "false"))) return *out = text[0] == 't', true;
  double value;
  if (!sn_real_in(text, -DBL_MAX, DBL_MAX, &value) || !fits(s, value)) return false;
  *out = value;
  return true;
}

/* ---- overrides -------------------------------------------------------------------------------------------- */

static void print_settings(sn_text *out, const sn_model *model, const void *at) {
  for (const sn_setting *s = model->settings; s->name; s++) {
    sn_text_add(out, "%s%s=", s == model->settings ? "" : " ", s->name);
    sn_text_number(out, load(s, at));
  }
}

static int count_settings(const sn_model *model) {
  int n = 0;
  while (model->settings[n].name) n++;
  return n;
}

static sn_code unknown(const sn_model *model, const char *set, const char *name, const void *at, sn_arena *arena,
                       sn_diags *diags) {
  int n = count_settings(model);
  const char **names = SN_ARRAY(arena, n + 1, const char *);
  for (int i = 0; i < n; i++) names[i] = model->settings[i].name;
  sn_text all = sn_text_begin(arena);
  print_settings(&all, model, at);
  sn_code code = sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "model %s has no setting in \"%s\"; it has: %s", model->name,
                         set, all.at);
  const char *near = sn_nearest(name, names, n);
  if (near) sn_fail_note(diags, "did you mean %s?", near);
  return code;
}

static const char *values_of(const sn_setting *s, sn_arena *arena) {
  if (is_bool(s)) return "true, false, 1 or 0";
  const char *kind = is(s, "double") ? "a number" : "a whole number";
  if (has_range(s) && s->max >= s->min) return sn_arena_printf(arena, "%s, %.15g to %.15g", kind, s->min, s->max);
  if (has_range(s)) return sn_arena_printf(arena, "%s, %.15g or more", kind, s->min);
  return is(s, "double") ? kind : sn_arena_printf(arena, "%s (%s)", kind, s->type);
}

static sn_code override(const sn_model *model, const char *set, void *at, sn_arena *arena, sn_diags *diags) {
  const char *equals = strchr(set, '=');
  size_t length = equals ? (size_t)(equals - set) : strlen(set);
  char *name = sn_arena_alloc(arena, length + 1);
  memcpy(name, set, length);
  for (const sn_setting *s = model->settings; s->name; s++) {
    if (strcmp(s->name, name) != 0) continue;
    double value;
    if (!equals || !read_value(s, equals + 1, &value)) {
      sn_code code = sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "setting %s of model %s does not take \"%s\"", s->name,
                             model->name, equals ? equals + 1 : "");
      sn_fail_expected(diags, "%s=VALUE, where VALUE is %s", s->name, values_of(s, arena));
      if (s->help && *s->help) sn_fail_note(diags, "%s: %s", s->name, s->help);
      return code;
    }
    store(s, at, value);
    return SN_OK;
  }
  return unknown(model, set, name, at, arena, diags);
}

static sn_code check_table(const sn_model *model, sn_diags *diags) {
  for (const sn_setting *s = model->settings; s->name; s++) {
    size_t bytes = is(s, "double") || is(s, "int64_t") ? 8 : is(s, "int") ? sizeof(int) : is_bool(s) ? 1 : 0;
    if (bytes && s->offset + bytes <= model->settings_bytes && fits(s, s->value)) continue;
    sn_code code = sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = model->file}, "setting %s of model %s does not fit",
                           s->name, model->name);
    sn_fail_expected(diags, "type int, int64_t, double or bool, and a default of that type and in its range");
    sn_fail_found(diags, "type %s", s->type);
    return code;
  }
  return SN_OK;
}

sn_code sn_settings_fill(const sn_model *model, const sn_model_opt *opt, sn_arena *arena, sn_diags *diags, void **out) {
  void *at = sn_arena_alloc(arena, model->settings_bytes + 1);
  SN_TRY(check_table(model, diags));
  for (const sn_setting *s = model->settings; s->name; s++) store(s, at, s->value);
  for (int i = 0; opt && i < opt->set_count; i++) SN_TRY(override(model, opt->set[i], at, arena, diags));
  *out = at;
  return SN_OK;
}

typedef struct settings_job {
  const sn_model *model;
  const sn_model_opt *opt;
  sn_arena *arena;
  sn_diags *diags;
  const char *text;
} settings_job;

static int run_settings(void *arg) {
  settings_job *j = arg;
  void *at;
  SN_TRY(sn_settings_fill(j->model, j->opt, j->arena, j->diags, &at));
  sn_text t = sn_text_begin(j->arena);
  print_settings(&t, j->model, at);
  j->text = t.at;
  return SN_OK;
}

sn_code sn_model_settings(const sn_model *model, const sn_model_opt *opt, sn_arena *arena, sn_diags *diags,
                          const char **out) {
  settings_job j = {model, opt, arena, diags, NULL};
  SN_TRY((sn_code)sn_protect(run_settings, &j));
  *out = j.text;
  return SN_OK;
}
