/* --data -> texts in memory. */
#include "frontend/cli/data.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/cli/corpus.h"
#include "runtime/io/file.h"

sn_code cli_data_parts(cli *c, int *out_count, sn_dataset_part **out) {
  const cli_values *v = &c->value[CLI_DATA];
  sn_dataset_part *parts = SN_ARRAY(c->arena, v->count + 1, sn_dataset_part);
  if (!v->count) parts[0] = (sn_dataset_part){"the embedded corpus", sn_corpus, (size_t)sn_corpus_bytes};
  for (int i = 0; i < v->count; i++) {
    sn_file_map map;
    SN_TRY(sn_file_map_open(v->at[i], c->diags, &map));
    parts[i] = (sn_dataset_part){v->at[i], (const char *)map.data, map.bytes};
  }
  *out_count = v->count ? v->count : 1;
  *out = parts;
  return SN_OK;
}

static const char *after_bus_error;

static void on_bus_error(int number) {
  static const char text[] = "\nerror: a data file changed while it was read";
  (void)number;
  ssize_t n = write(2, text, sizeof text - 1);
  n += write(2, after_bus_error, strlen(after_bus_error));
  _exit(n < 0 ? SN_ERR_FAIL : SN_ERR_INPUT);
}

void cli_data_catch_bus_error(const char *then) {
  struct sigaction a = {.sa_handler = on_bus_error};
  after_bus_error = then;
  sigemptyset(&a.sa_mask);
  sigaction(SIGBUS, &a, NULL);
}

sn_code cli_data_window(cli *c, const sn_plan *p, const char *graph, const char *path, int64_t *out) {
  int slot = sn_plan_find_slot(p, sn_plan_find_graph(p, graph), "tokens");
  if (slot < 0 || p->slot[slot].type->rank != 2)
    return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = path},
                   "the graph %s needs the inputs tokens and targets i32[B, T]", graph);
  int64_t window = sn_dimx_max_value(p->slot[slot].type->dim[1]);
  if (window < 1 || window > 1 << 20)
    return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = path},
                   "dim T of the graph %s has no usable maximum: sn_sym(m, \"T\", .max = ...)", graph);
  *out = window;
  return SN_OK;
}

int64_t cli_data_vocab(const char *settings, const sn_tokenizer *t) {
  const char *v = strstr(settings, "vocab=");
  return v ? atoll(v + 6) : sn_tokenizer_vocab(t);
}
