/* sinter inspect: what a file is and what it holds. The kind is told by content, not by name. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/cache.h"
#include "frontend/cli/cli.h"
#include "runtime/io/json.h"
#include "ir/graph/text.h"
#include "runtime/io/checkpoint.h"
#include "runtime/io/dir.h"
#include "runtime/io/file.h"
#include "runtime/io/levels.h"
#include "runtime/io/npy.h"
#include "runtime/io/payload.h"
#include "runtime/io/recipe.h"
#include "runtime/io/safetensors.h"
#include "runtime/io/settings.h"
#include "runtime/io/tokenizer.h"

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

static bool starts(const file *f, const char *magic) {
  size_t n = strlen(magic);
  return f->bytes >= n && !memcmp(f->data, magic, n);
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

/* The plans of a piece with several levels, each read. */
static sn_code read_levels(file *f, const char *name, const void *data, size_t bytes, sn_levels *l, sn_plan **plan) {
  SN_TRY(sn_levels_read(f->c->diags, name, data, bytes, l));
  for (int i = 0; i < l->count; i++)
    SN_TRY(sn_plan_read(f->c->arena, f->c->diags, name, l->at[i].plan, l->at[i].bytes, &plan[i]));
  return SN_OK;
}

/* The level that this machine runs; -1: none. */
static int level_here(const sn_levels *l) {
  const sn_level *best;
  sn_diags *quiet = sn_diags_scratch();
  sn_code code = sn_levels_choose(l, "", quiet, &best);
  sn_diags_destroy(quiet);
  return code ? -1 : (int)(best - l->at);
}

static void print_levels(file *f, const sn_levels *l, sn_plan *const *plan) {
  int here = level_here(l);
  sn_text_add(&f->out, f->json ? ", \"levels\": {" : "");
  for (int i = 0; i < l->count; i++) {
    const char *name = *l->at[i].name ? l->at[i].name : "one";
    if (f->json) {
      sn_text_add(&f->out, "%s", i ? ", " : "");
      sn_json_quote(&f->out, name);
      sn_text_add(&f->out, ": {\"target\": ");
      sn_json_quote(&f->out, plan[i]->target);
      sn_text_add(&f->out, ", \"kernels\": %d, \"bytes\": %zu, \"runs_here\": %s}", plan[i]->code_count, l->at[i].bytes,
                  i == here ? "true" : "false");
    } else {
      sn_text_add(&f->out, "  level %s: %d kernels for %s, %s%s\n", name, plan[i]->code_count, plan[i]->target,
                  cli_human(f->c->arena, (double)l->at[i].bytes, "B"), i == here ? "; runs here" : "");
    }
  }
  sn_text_add(&f->out, f->json ? "}" : "");
}

static void print_graphs(file *f, const sn_plan *p) {
  sn_text_add(&f->out, "  graphs");
  for (int i = 0; i < p->graph_count; i++)
    sn_text_add(&f->out, " %s (%d steps)", p->graph[i].name, p->graph[i].step_count);
  sn_text_add(&f->out, "\n");
}

static sn_code inspect_levels(file *f) {
  sn_levels l;
  sn_plan *plan[SN_LEVELS_MAX];
  SN_TRY(read_levels(f, f->path, f->data, f->bytes, &l, plan));
  kind(f, "plans of several levels");
  if (f->json) {
    sn_text_add(&f->out, ", \"model\": ");
    sn_json_quote(&f->out, plan[0]->model);
  }
  print_levels(f, &l, plan);
  if (f->json)
    sn_text_add(&f->out, "}\n");
  else
    print_graphs(f, plan[0]);
  return SN_OK;
}

static sn_code inspect_plan(file *f, bool text) {
  sn_plan *p;
  SN_TRY((text ? sn_plan_parse(f->c->arena, f->c->diags, f->path, f->data, f->bytes, &p)
               : sn_plan_read(f->c->arena, f->c->diags, f->path, f->data, f->bytes, &p)));
  kind(f, text ? "plan text" : "plan");
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

/* A curve or a ladder. */
static sn_code inspect_chart(file *f) {
  kind(f, "chart");
  sn_text_add(&f->out, f->json ? ", \"holds\": \"SVG\"}\n" : "  SVG, for a browser\n");
  return SN_OK;
}

/* The empty file that a run holds locked while it writes its folder. */
static sn_code inspect_lock(file *f) {
  kind(f, "lock of a run");
  sn_text_add(&f->out, f->json ? ", \"holds\": \"nothing\"}\n" : "  empty; a run that writes the folder holds it\n");
  return SN_OK;
}

static bool is_lock(const file *f) {
  const char *slash = strrchr(f->path, '/');
  return !f->bytes && !strcmp(slash ? slash + 1 : f->path, ".lock");
}

static sn_code unknown_kind(const file *f) {
  return sn_fail(
      f->c->diags, SN_ERR_INPUT, (sn_loc){.file = f->path},
      "unknown kind of file: expected .safetensors, .npy, a plan, a checkpoint, a graph, kernel or plan text, an "
      "executable of a model, a cache entry, a chart or a file of a run folder");
}

static void close_payload(void *what) { sn_payload_close(what); }

static int count_lines(const char *s) {
  int n = 0;
  for (; *s; s++) n += *s == '\n';
  return n;
}

/* Kernels one after another, as `dump --emit kernel` writes them. */
static sn_code inspect_kernels(file *f) {
  sn_kernel **list;
  int count;
  SN_TRY(sn_kernel_parse_all(f->c->arena, f->c->diags, f->path, f->data, f->bytes, &count, &list));
  kind(f, "kernel text");
  sn_text_add(&f->out, f->json ? ", \"kernels\": {" : "");
  for (int i = 0; i < count; i++)
    sn_text_add(&f->out, f->json ? "%s\"%s\": %d" : "%s  kernel %s: %d instructions\n", f->json && i ? ", " : "",
                list[i]->name, list[i]->ins_count - 1);
  sn_text_add(&f->out, f->json ? "}}\n" : "");
  return SN_OK;
}

static const char *code_kind_name(sn_code_kind k) {
  return k == SN_CODE_CPU ? "cpu" : k == SN_CODE_SPIRV ? "spirv" : "kernel text";
}

/* A plan under the text of its module; its first line says what made it. */
static sn_code inspect_cached_plan(file *f, const sn_cache_entry *e) {
  char *key = sn_arena_copy(f->c->arena, e->key, e->key_bytes + 1);
  key[e->key_bytes] = 0;
  key[strcspn(key, "\n")] = 0;
  kind(f, "cached plan");
  if (f->json) {
    sn_text_add(&f->out, ", \"by\": ");
    sn_json_quote(&f->out, key);
    sn_text_add(&f->out, ", \"plan_bytes\": %lld}\n", (long long)e->blob.byte_count);
  } else {
    sn_text_add(&f->out, "  %lld bytes\n  %s\n", (long long)e->blob.byte_count, key);
  }
  return SN_OK;
}

/* Texts of the cache that are no code: the first line of the key names them, the second is the processor. */
static bool inspect_measured(file *f, const char *key) {
  bool limits = !strncmp(key, "limits 1\n", 9), tuned = !strncmp(key, "tuned 1\n", 8);
  if (!limits && !tuned) return false;
  const char *name = limits ? "cached limits of a machine" : "cached choices of tuning", *cpu = strchr(key, '\n') + 1;
  if (f->json) {
    kind(f, name);
    sn_text_add(&f->out, ", \"processor\": ");
    sn_json_quote(&f->out, sn_arena_printf(f->c->arena, "%.*s", (int)strcspn(cpu, "\n"), cpu));
    sn_text_add(&f->out, "}\n");
  } else {
    sn_text_add(&f->out, "%s: %s, measured on %.*s\n", f->path, name, (int)strcspn(cpu, "\n"), cpu);
  }
  return true;
}

/* Lines of the key: code generator and target; then the kernel. */
static sn_code inspect_cache(file *f) {
  sn_cache_entry e;
  SN_TRY(sn_cache_entry_read(f->c->arena, f->c->diags, f->path, f->data, f->bytes, &e));
  if (e.is_plan) return inspect_cached_plan(f, &e);
  char *key = sn_arena_copy(f->c->arena, e.key, e.key_bytes + 1);
  key[e.key_bytes] = 0;
  if (inspect_measured(f, key)) return SN_OK;
  char *kernel = strstr(key, "\nkernel ");
  if (kernel) *kernel++ = 0;
  const char *name = kernel ? kernel + 7 : "?";
  kind(f, "cached code");
  if (f->json) {
    sn_text_add(&f->out, ", \"kernel\": \"%.*s\", \"for\": ", (int)strcspn(name, "("), name);
    sn_json_quote(&f->out, key);
    sn_text_add(&f->out, ", \"code\": \"%s\", \"code_bytes\": %lld, \"workspace_bytes\": %lld}\n",
                code_kind_name(e.blob.kind), (long long)e.blob.byte_count, (long long)e.blob.workspace_bytes);
    return SN_OK;
  }
  sn_text_add(&f->out, "  %lld bytes of %s code, %lld bytes of workspace per thread\n", (long long)e.blob.byte_count,
              code_kind_name(e.blob.kind), (long long)e.blob.workspace_bytes);
  sn_text_add(&f->out, "  made by %s\n%s\n", key, kernel ? kernel : "");
  return SN_OK;
}

/* A program with plan, weights, tokenizer and settings behind it. */
static sn_code inspect_executable(file *f) {
  cli *c = f->c;
  sn_payload *p = SN_NEW(c->arena, sn_payload);
  sn_run_settings s;
  sn_tokenizer *t;
  sn_levels l;
  sn_plan *plan[SN_LEVELS_MAX];
  sn_safetensors w;
  SN_TRY(sn_payload_open(f->path, c->diags, p));
  cli_hold(c, close_payload, p);
  SN_TRY(sn_run_settings_parse(c->arena, c->diags, "settings.json", p->part[SN_PAYLOAD_SETTINGS].data,
                               p->part[SN_PAYLOAD_SETTINGS].bytes, &s));
  SN_TRY(sn_tokenizer_parse(c->arena, c->diags, "tokenizer.json", p->part[SN_PAYLOAD_TOKENIZER].data,
                            p->part[SN_PAYLOAD_TOKENIZER].bytes, &t));
  SN_TRY(read_levels(f, "plan", p->part[SN_PAYLOAD_PLAN].data, p->part[SN_PAYLOAD_PLAN].bytes, &l, plan));
  SN_TRY(sn_safetensors_read(c->arena, c->diags, "weights", p->part[SN_PAYLOAD_WEIGHTS].data,
                             p->part[SN_PAYLOAD_WEIGHTS].bytes, &w));
  kind(f, "executable of a model");
  if (f->json) {
    sn_text_add(&f->out, ", \"model\": ");
    sn_json_quote(&f->out, s.model);
    sn_text_add(&f->out, ", \"settings\": ");
    sn_json_quote(&f->out, s.settings);
    print_levels(f, &l, plan);
    sn_text_add(&f->out, ", \"tensors\": %d, \"tokenizer\": \"%s\", \"vocab\": %d}\n", w.count, sn_tokenizer_type(t),
                sn_tokenizer_vocab(t));
    return SN_OK;
  }
  sn_text_add(&f->out, "  model %s: %s\n", s.model, s.settings);
  print_levels(f, &l, plan);
  print_graphs(f, plan[0]);
  sn_text_add(&f->out, "  weights: %d tensors, %s\n  tokenizer: %s, %d ids\n", w.count,
              cli_human(c->arena, (double)p->part[SN_PAYLOAD_WEIGHTS].bytes, "B"), sn_tokenizer_type(t),
              sn_tokenizer_vocab(t));
  return SN_OK;
}

/* The JSON files of a run folder, told apart by what they must hold. */
static sn_code inspect_json(file *f) {
  cli *c = f->c;
  sn_diags *quiet = sn_diags_scratch();
  sn_run_settings s;
  sn_tokenizer *t = NULL;
  sn_recipe r;
  const char *found = NULL, *text = "";
  if (!sn_run_settings_parse(c->arena, quiet, f->path, f->data, f->bytes, &s))
    found = "settings of a run", text = sn_arena_printf(c->arena, "model %s: %s", s.model, s.settings);
  else if (!sn_recipe_parse(c->arena, quiet, f->path, f->data, f->bytes, &r))
    found = "options of a run",
    text = sn_arena_printf(c->arena, "%d options, %d data files", r.option_count, r.data_count);
  else if (!sn_tokenizer_parse(c->arena, quiet, f->path, f->data, f->bytes, &t))
    found = "tokenizer", text = sn_arena_printf(c->arena, "%s, %d ids", sn_tokenizer_type(t), sn_tokenizer_vocab(t));
  else if (!strncmp(f->data, "{\"step\": ", 9))
    found = "metrics of a run", text = sn_arena_printf(c->arena, "%d evaluations", count_lines(f->data));
  else if (!strncmp(f->data, "{\"traceEvents\"", 14))
    found = "Chrome trace", text = "for Perfetto or chrome://tracing";
  sn_diags_destroy(quiet);
  if (!found) return unknown_kind(f);
  kind(f, found);
  sn_text_add(&f->out, f->json ? ", \"holds\": " : "  ");
  if (f->json)
    sn_json_quote(&f->out, text);
  else
    sn_text_add(&f->out, "%s", text);
  sn_text_add(&f->out, f->json ? "}\n" : "\n");
  return SN_OK;
}

static sn_code inspect_file(file *f) {
  SN_TRY(cli_read_file(f->c, f->path, (size_t)1 << 40, &f->data, &f->bytes));
  if (starts(f, "SNPLAN1")) return inspect_plan(f, false);
  if (starts(f, "SNLEVEL1")) return inspect_levels(f);
  if (starts(f, "\x93NUMPY")) return inspect_npy(f);
  if (starts(f, "SNCKPT")) return inspect_checkpoint(f);
  if (starts(f, "SNCACHE1")) return inspect_cache(f);
  if (starts(f,
             "\x7f"
             "ELF"))
    return inspect_executable(f);
  if (f->bytes > 9 && f->data[8] == '{') return inspect_safetensors(f);
  if (memchr(f->data, 0, f->bytes)) return unknown_kind(f);
  if (is_lock(f)) return inspect_lock(f);
  if (starts(f, "<svg") || (starts(f, "<?xml") && strstr(f->data, "<svg"))) return inspect_chart(f);
  if (starts(f, "{")) return inspect_json(f);
  if (cli_text_begins(f->data, "plan")) return inspect_plan(f, true);
  if (cli_text_begins(f->data, "kernel")) return inspect_kernels(f);
  return strstr(f->data, "sinter") ? inspect_graph(f) : unknown_kind(f);
}

/* Bytes of the files in a folder and the folders in it, links not followed. */
static size_t folder_bytes(const char *path, int depth) {
  enum { DEPTH = 8 };
  size_t bytes = 0;
  DIR *d = depth < DEPTH ? opendir(path) : NULL;
  for (struct dirent *e; d && (e = readdir(d));) {
    char below[4200];
    struct stat st;
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    if (snprintf(below, sizeof below, "%s/%s", path, e->d_name) >= (int)sizeof below || lstat(below, &st)) continue;
    if (S_ISREG(st.st_mode)) bytes += (size_t)st.st_size;
    if (S_ISDIR(st.st_mode)) bytes += folder_bytes(below, depth + 1);
  }
  if (d) closedir(d);
  return bytes;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int is_checkpoint(const struct dirent *e) {
  size_t n = strlen(e->d_name);
  return n > 5 && !strncmp(e->d_name, "step-", 5) && !strcmp(e->d_name + n - 5, ".ckpt");
}

/* A checkpoint of the folder: its step, or that it is damaged. */
static void list_checkpoint(file *f, const char *name, bool first) {
  file one = *f;
  sn_checkpoint_info i;
  sn_diags *quiet = sn_diags_scratch();
  one.path = sn_arena_printf(f->c->arena, "%s/%s", f->path, name);
  bool whole = quiet && !sn_file_read(one.path, SIZE_MAX / 4, quiet, &one.data, &one.bytes);
  char *image = whole ? one.data : NULL;
  whole = whole && !sn_checkpoint_read_info(f->c->arena, quiet, one.path, one.data, one.bytes, &i);
  if (f->json) {
    sn_text_add(&f->out, "%s{\"file\": ", first ? "" : ", ");
    sn_json_quote(&f->out, name);
    sn_text_add(&f->out, ", \"step\": %s}", whole ? sn_arena_printf(f->c->arena, "%lld", (long long)i.step) : "null");
  } else if (whole) {
    sn_text_add(&f->out, "  %s: step %lld, model %s: %s\n", name, (long long)i.step, i.model, i.settings);
  } else {
    sn_text_add(&f->out, "  %s: damaged\n", name);
  }
  free(image);
  sn_diags_destroy(quiet);
}

/* A folder of checkpoints. -> false: it holds none */
static bool inspect_checkpoints(file *f) {
  struct dirent **entry;
  int count = scandir(f->path, &entry, is_checkpoint, by_name);
  if (count > 0) {
    f->bytes = folder_bytes(f->path, 0);
    kind(f, "checkpoints of a run");
    if (f->json) sn_text_add(&f->out, ", \"checkpoints\": [");
    for (int i = 0; i < count; i++) list_checkpoint(f, entry[i]->d_name, i == 0);
    if (f->json) sn_text_add(&f->out, "]}\n");
  }
  for (int i = 0; i < count; i++) free(entry[i]);
  if (count >= 0) free(entry);
  return count > 0;
}

static sn_code inspect_folder(file *f) {
  sn_dir d = sn_dir_of(f->c->arena, f->path);
  sn_run_settings s;
  if (access(d.settings, F_OK)) {
    if (inspect_checkpoints(f)) return SN_OK;
    (void)sn_fail(f->c->diags, SN_ERR_INPUT, (sn_loc){.file = f->path}, "unknown kind of folder");
    sn_fail_expected(f->c->diags, "a run folder, with settings.json, or checkpoints, step-*.ckpt");
    return SN_ERR_INPUT;
  }
  SN_TRY(cli_read_file(f->c, d.settings, 1 << 20, &f->data, &f->bytes));
  SN_TRY(sn_run_settings_parse(f->c->arena, f->c->diags, d.settings, f->data, f->bytes, &s));
  f->bytes = folder_bytes(f->path, 0);
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
  return cli_print(c, &f.out);
}
