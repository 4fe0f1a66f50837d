/* sinter inspect: what a file is and what it holds. The kind is told by content, not by name. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/cli/cli.h"
#include "runtime/io/json.h"
#include "ir/graph/text.h"
#include "runtime/io/checkpoint.h"
#include "runtime/io/dir.h"
#include "runtime/io/npy.h"
#include "runtime/io/safetensors.h"
#include "runtime/io/settings.h"

typedef struct file {
  cli *c;
  const char *path;
  char *data;
  size_t bytes;
  sn_text out;
  bool json;
} file;

static void kind(file *f, const char *name) {
  if (f->json) {
    sn_text_add(&f->out, "{\"file\": ");
    sn_json_quote(&f->out, f->path);
    sn_text_add(&f->out, ", \"kind\": \"%s\", \"bytes\": %zu", name, f->bytes);
  } else {
    sn_text_add(&f->out, "%s: %s, %s\n", f->path, name, cli_human(f->c->arena, (double)f->bytes, "B"));
  }
}

static void shape(sn_text *t, sn_elem e, int rank, const int64_t *extent) {
  sn_text_add(t, "%s[", sn_elem_name(e));
  for (int i = 0; i < rank; i++) sn_text_add(t, "%s%lld", i ? ", " : "", (long long)extent[i]);
  sn_text_char(t, ']');
}

static sn_code inspect_safetensors(file *f) {
  sn_safetensors s;
  int64_t elements = 0;
  SN_TRY(sn_safetensors_read(f->c->arena, f->c->diags, f->path, f->data, f->bytes, &s));
  kind(f, "safetensors");
  if (f->json) sn_text_add(&f->out, ", \"tensors\": {");
  for (int i = 0; i < s.count; i++) {
    const sn_tensor_entry *e = &s.tensor[i];
    if (f->json) {
      sn_text_add(&f->out, i ? ", " : "");
      sn_json_quote(&f->out, e->name);
      sn_text_add(&f->out, ": \"");
    } else {
      sn_text_add(&f->out, "  %-40s ", e->name);
    }
    shape(&f->out, e->elem, e->rank, e->extent);
    sn_text_add(&f->out, f->json ? "\"" : "\n");
    elements += e->bytes / (int64_t)sn_elem_bytes(e->elem);
  }
  if (f->json)
    sn_text_add(&f->out, "}, \"elements\": %lld}\n", (long long)elements);
  else
    sn_text_add(&f->out, "%d tensors, %s elements\n", s.count, cli_human(f->c->arena, (double)elements, ""));
  return SN_OK;
}

static sn_code inspect_npy(file *f) {
  sn_npy a;
  SN_TRY(sn_npy_read(f->c->diags, f->path, f->data, f->bytes, &a));
  kind(f, "npy");
  sn_text_add(&f->out, f->json ? ", \"array\": \"" : "  ");
  shape(&f->out, a.elem, a.rank, a.extent);
  sn_text_add(&f->out, f->json ? "\"}\n" : "\n");
  return SN_OK;
}

static sn_code inspect_plan(file *f) {
  sn_plan *p;
  SN_TRY(sn_plan_read(f->c->arena, f->c->diags, f->path, f->data, f->bytes, &p));
  kind(f, "plan");
  if (f->json) {
    sn_text_add(&f->out, ", \"model\": ");
    sn_json_quote(&f->out, p->model);
    sn_text_add(&f->out, ", \"target\": ");
    sn_json_quote(&f->out, p->target);
    sn_text_add(&f->out, ", \"kernels\": %d, \"slots\": %d, \"graphs\": {", p->code_count, p->slot_count);
    for (int i = 0; i < p->graph_count; i++) {
      sn_text_add(&f->out, i ? ", " : "");
      sn_json_quote(&f->out, p->graph[i].name);
      sn_text_add(&f->out, ": %d", p->graph[i].step_count);
    }
    sn_text_add(&f->out, "}}\n");
    return SN_OK;
  }
  sn_plan_print(&f->out, p, false);
  return SN_OK;
}

static sn_code inspect_checkpoint(file *f) {
  sn_checkpoint_info i;
  SN_TRY(sn_checkpoint_read_info(f->c->arena, f->c->diags, f->path, f->data, f->bytes, &i));
  kind(f, "checkpoint");
  if (f->json) {
    sn_text_add(&f->out, ", \"step\": %lld, \"seed\": %llu, \"model\": ", (long long)i.step,
                (unsigned long long)i.seed);
    sn_json_quote(&f->out, i.model);
    sn_text_add(&f->out, ", \"settings\": ");
    sn_json_quote(&f->out, i.settings);
    sn_text_add(&f->out, "}\n");
  } else {
    sn_text_add(
        &f->out, "  step %lld, seed %llu, batch %lld x %lld\n  model %s: %s\n  plan %016llx%016llx, data %016llx\n",
        (long long)i.step, (unsigned long long)i.seed, (long long)i.batch, (long long)i.window, i.model, i.settings,
        (unsigned long long)i.plan_hash[0], (unsigned long long)i.plan_hash[1], (unsigned long long)i.data_hash);
  }
  return SN_OK;
}

static sn_code inspect_graph(file *f) {
  sn_module *m;
  SN_TRY(sn_module_parse(f->c->arena, f->c->diags, f->path, f->data, f->bytes, &m));
  kind(f, "graph text");
  sn_text_add(&f->out, f->json ? ", \"graphs\": {" : "");
  bool first = true;
  for (int i = 0; i < m->func_count; i++) {
    const sn_func *g = m->func[i];
    if (g->kind != SN_FUNC_GRAPH) continue;
    if (f->json)
      sn_text_add(&f->out, "%s\"%s\": %d", first ? "" : ", ", g->name, g->node_count);
    else
      sn_text_add(&f->out, "  graph %s: %d nodes, %d outputs, %d updates\n", g->name, g->node_count, g->output_count,
                  g->update_count);
    first = false;
  }
  sn_text_add(&f->out, f->json ? "}}\n" : "");
  return SN_OK;
}

static sn_code inspect_file(file *f) {
  SN_TRY(cli_read_file(f->c, f->path, (size_t)1 << 40, &f->data, &f->bytes));
  if (f->bytes >= 7 && !memcmp(f->data, "SNPLAN1", 7)) return inspect_plan(f);
  if (f->bytes >= 6 && !memcmp(f->data, "\x93NUMPY", 6)) return inspect_npy(f);
  if (f->bytes >= 6 && !memcmp(f->data, "SNCKPT", 6)) return inspect_checkpoint(f);
  if (f->bytes > 9 && f->data[8] == '{') return inspect_safetensors(f);
  if (!memchr(f->data, 0, f->bytes) && strstr(f->data, "sinter")) return inspect_graph(f);
  return sn_fail(f->c->diags, SN_ERR_INPUT, (sn_loc){.file = f->path},
                 "unknown kind of file: expected .safetensors, .npy, a plan, a checkpoint or a graph text");
}

static sn_code inspect_folder(file *f) {
  sn_dir d = sn_dir_of(f->c->arena, f->path);
  sn_run_settings s;
  SN_TRY(cli_read_file(f->c, d.settings, 1 << 20, &f->data, &f->bytes));
  SN_TRY(sn_run_settings_parse(f->c->arena, f->c->diags, d.settings, f->data, f->bytes, &s));
  kind(f, "run folder");
  if (f->json) {
    sn_text_add(&f->out, ", \"model\": ");
    sn_json_quote(&f->out, s.model);
    sn_text_add(&f->out, ", \"settings\": ");
    sn_json_quote(&f->out, s.settings);
    sn_text_add(&f->out, ", \"precision\": ");
    sn_json_quote(&f->out, s.precision);
    sn_text_add(&f->out, "}\n");
    return SN_OK;
  }
  sn_text_add(&f->out, "  model %s: %s\n  seed %lld, %s%s\n", s.model, s.settings, (long long)s.seed, s.precision,
              s.ring ? ", ring caches" : "");
  f->path = d.weights;
  return inspect_file(f);
}

sn_code cli_inspect(cli *c) {
  file f = {.c = c, .out = sn_text_begin(c->arena), .json = cli_has(c, CLI_JSON)};
  struct stat st;
  SN_TRY(cli_word(c, "FILE or DIR", &f.path));
  SN_TRY(!stat(f.path, &st) && S_ISDIR(st.st_mode) ? inspect_folder(&f) : inspect_file(&f));
  fputs(f.out.at, stdout);
  return SN_OK;
}
