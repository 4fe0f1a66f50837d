/* See save.h. */
#include "backends/faults/save.h"

#include <string.h>

#include "ir/graph/text.h"
#include "runtime/io/file.h"
#include "runtime/io/npy.h"

static const char *stem_of(const char *file, sn_arena *arena) {
  char *stem = sn_arena_strdup(arena, file);
  size_t n = strlen(stem);
  if (n > 3 && !strcmp(stem + n - 3, ".sn")) stem[n - 3] = 0;
  return stem;
}

static const char *path_of(const char *stem, const char *name, sn_arena *arena) {
  char *safe = sn_arena_strdup(arena, name);
  for (char *p = safe; *p; p++)
    if (*p == '/') *p = '_';
  return sn_arena_printf(arena, "%s.%s.npy", stem, safe);
}

/* Names of the symbols: those of the text, in order. */
static void add_dims(sn_text *t, const sn_case *c, sn_arena *arena) {
  sn_diags *diags = sn_diags_scratch();
  sn_module *m;
  if (!sn_case_parse(c, arena, diags, &m))
    for (int i = 0; i < sn_types_symbol_count(m->types) && i < c->dim_count; i++)
      sn_text_add(t, " --dim %s=%lld", sn_dimx_symbol_name(sn_types_symbol(m->types, i)), (long long)c->dims[i]);
  sn_diags_destroy(diags);
}

const char *sn_case_command(const sn_case *c, const sn_variant *v, const char *file, sn_arena *arena) {
  const char *stem = stem_of(file, arena);
  sn_text t = sn_text_begin(arena);
  sn_text_add(&t, "sinter %s %s --graph %s", v->source ? "bisect" : "run --check", file, c->graph);
  add_dims(&t, c, arena);
  for (int i = 0; i < c->data_count; i++)
    sn_text_add(&t, " --in %s=%s", c->data[i].name, path_of(stem, c->data[i].name, arena));
  sn_text_add(&t, " %s", sn_variant_text(v, arena));
  return t.at;
}

/* Every line of it as a comment. */
static void add_comment(sn_text *t, const char *text) {
  for (const char *p = text; *p;) {
    size_t n = strcspn(p, "\n");
    sn_text_add(t, "// %.*s\n", (int)n, p);
    p += n + (p[n] == '\n');
  }
}

/* Without source lines: those of the file itself count. */
static const char *plain_text(const sn_case *c, sn_arena *arena) {
  sn_diags *diags = sn_diags_scratch();
  sn_module *m;
  sn_text t = sn_text_begin(arena);
  if (!sn_case_parse(c, arena, diags, &m)) sn_module_print(&t, m, (sn_print_opt){0});
  sn_diags_destroy(diags);
  return t.count ? t.at : c->text;
}

sn_code sn_case_save(const sn_case *c, const sn_variant *v, const char *file, const char *note, sn_arena *arena,
                     sn_diags *diags) {
  const char *stem = stem_of(file, arena);
  sn_text t = sn_text_begin(arena);
  add_comment(&t, note);
  add_comment(&t, sn_case_command(c, v, file, arena));
  sn_text_add(&t, "%s", plain_text(c, arena));
  SN_TRY(sn_file_write_all(file, t.at, (size_t)t.count, diags));
  for (int i = 0; i < c->data_count; i++) {
    const sn_tensor *x = c->data[i].tensor;
    void *data = sn_arena_array(arena, (size_t)x->count + 1, sn_elem_bytes(x->elem));
    sn_tensor_store(x, data);
    SN_TRY(sn_npy_write(path_of(stem, c->data[i].name, arena), x->elem, x->rank, x->extent, data, diags));
  }
  return SN_OK;
}
