/* See faults.h. */
#include "frontend/cli/faults.h"

#include <string.h>

#include "ir/graph/text.h"
#include "runtime/io/npy.h"

static sn_code read_one(cli *c, const sn_func *f, const char *word, sn_binding *out) {
  const char *name, *path;
  char *image;
  size_t bytes;
  sn_npy array;
  SN_TRY(cli_pair(c, CLI_IN, word, &name, &path));
  const sn_node *leaf = NULL;
  for (int i = 0; i < f->node_count && !leaf; i++)
    if (sn_leaf_name(f->node[i]) && !strcmp(sn_leaf_name(f->node[i]), name)) leaf = f->node[i];
  if (!leaf)
    return cli_usage_error(c, "--in %s: graph %s has no input, parameter or state of that name", name, f->name);
  SN_TRY(cli_read_file(c, path, (size_t)1 << 40, &image, &bytes));
  SN_TRY(sn_npy_read(c->diags, path, image, bytes, &array));
  sn_elem e = leaf->type[0]->elem;
  sn_tensor *t;
  SN_TRY(sn_tensor_create(c->arena, e, array.rank, array.extent, &t));
  void *data = sn_arena_array(c->arena, (size_t)t->count + 1, sn_elem_bytes(e));
  SN_TRY(sn_npy_convert(&array, path, e, data, c->diags));
  sn_tensor_load(t, data);
  *out = (sn_binding){name, t};
  return SN_OK;
}

/* Symbols that are lone extents of given arrays; --dim comes first. */
static sn_code find_dims(cli *c, const sn_case *k, const sn_func *f, int64_t *dims) {
  for (int i = 0; i < f->node_count; i++) {
    const char *name = sn_leaf_name(f->node[i]);
    const sn_type *t = f->node[i]->type[0];
    for (int j = 0; name && j < k->data_count; j++) {
      const sn_tensor *x = k->data[j].tensor;
      if (strcmp(k->data[j].name, name) || x->rank != t->rank) continue;
      for (int d = 0; d < t->rank; d++) {
        int symbol = sn_dimx_symbol_index(t->dim[d]);
        bool given = false;
        for (int q = 0; symbol >= 0 && q < c->value[CLI_DIM].count; q++) {
          const char *text = c->value[CLI_DIM].at[q], *symbol_name = sn_dimx_symbol_name(t->dim[d]);
          given |= !strncmp(text, symbol_name, strlen(symbol_name)) && text[strlen(symbol_name)] == '=';
        }
        if (symbol >= 0 && !given) dims[symbol] = x->extent[d];
      }
    }
  }
  return SN_OK;
}

static sn_func *find_graph(cli *c, sn_module *m) {
  const char *name = cli_get(c, CLI_GRAPH, NULL);
  sn_func *only = NULL;
  int count = 0;
  for (int i = 0; i < m->func_count; i++)
    if (m->func[i]->kind == SN_FUNC_GRAPH) only = m->func[i], count++;
  if (name || count != 1) only = sn_module_find(m, name ? name : "train");
  return only && only->kind == SN_FUNC_GRAPH ? only : NULL;
}

sn_code cli_case(cli *c, sn_case *out) {
  const char *path;
  cli_source s;
  int64_t *dims, seed;
  SN_TRY(cli_word(c, "MODEL.c or FILE.sn", &path));
  SN_TRY(cli_int(c, CLI_SEED, 1, INT64_MIN, INT64_MAX, &seed));
  SN_TRY(cli_load(c, path, cli_get(c, CLI_GRAPH, NULL), c->value[CLI_SET].count, c->value[CLI_SET].at, &s));
  sn_func *f = find_graph(c, s.module);
  if (!f) return cli_usage_error(c, "--graph: the model has no graph of that name");
  SN_TRY(cli_dims(c, s.module->types, s.settings, &dims));
  sn_binding *data = SN_ARRAY(c->arena, c->value[CLI_IN].count + 1, sn_binding);
  for (int i = 0; i < c->value[CLI_IN].count; i++) {
    SN_TRY(read_one(c, f, c->value[CLI_IN].at[i], &data[i]));
    for (int k = 0; k < i; k++)
      if (!strcmp(data[k].name, data[i].name)) return cli_usage_error(c, "--in %s is given twice", data[i].name);
  }
  *out = (sn_case){.file = path, .graph = f->name, .dims = dims, .data = data, .data_count = c->value[CLI_IN].count};
  out->dim_count = sn_types_symbol_count(s.module->types);
  SN_TRY(find_dims(c, out, f, dims));
  sn_text t = sn_text_begin(c->arena);
  sn_module_print(&t, s.module, (sn_print_opt){.locations = true});
  out->text = t.at;
  return sn_case_draw(out, (uint64_t)seed, 2, 1, c->arena, c->diags);
}

sn_code cli_variant(cli *c, sn_variant *out) {
  int64_t threads;
  SN_TRY(cli_int(c, CLI_THREADS, 1, 1, 1024, &threads));
  *out = (sn_variant){.backend = c->backend,
                      .backend_file = cli_get(c, CLI_BACKEND, NULL),
                      .target = cli_get(c, CLI_TARGET, "cpu"),
                      .isa = cli_get(c, CLI_ISA, NULL),
                      .fuse = cli_get(c, CLI_FUSE, NULL),
                      .disabled = cli_get(c, CLI_DISABLE, NULL),
                      .vocab = cli_get(c, CLI_VOCAB, NULL),
                      .scan = cli_get(c, CLI_SCAN, NULL),
                      .cache_dir = "",
                      .threads = (int)threads};
  SN_TRY(cli_stage(c, CLI_KERNELS, &out->kernels));
  sn_target target;
  const sn_backend *backend;
  const sn_compile_opt opt = {.target = out->target, .backend = out->backend, .isa = out->isa};
  sn_pass_env env;
  SN_TRY(sn_compile_vocab(out->vocab, c->diags, &env.vocab));
  SN_TRY(sn_compile_scan(out->scan, c->diags, &env));
  return sn_compile_target(&opt, c->diags, &target, &backend);
}
