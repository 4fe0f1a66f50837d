/* --data -> texts in memory. */
#include "frontend/cli/data.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/cli/corpus.h"
#include "runtime/io/file.h"

/* What is mapped; a signal handler has to find it. */
static struct {
  int count;
  const sn_dataset_part *part;
  sn_file_map *map;
  const char *then;    /* what a user can do about a file that changed */
  const char *spoiled; /* that file, for good: it may have been read even if its bytes are put back. NULL: none */
} held;

static bool say(const char *s) { return write(2, s, strlen(s)) >= 0; }

static void on_bus_error(int number, siginfo_t *info, void *context) {
  const unsigned char *at = info->si_addr;
  (void)number, (void)context;
  for (int i = 0; i < held.count; i++) {
    if (at < held.map[i].data || at >= held.map[i].data + held.map[i].bytes) continue;
    bool said = say("\n") && say(held.part[i].name) &&
                say(": error: the data file became shorter while it was read\n") && say("  note: ") && say(held.then) &&
                say("\n");
    _exit(said ? SN_ERR_INPUT : SN_ERR_FAIL);
  }
  signal(SIGBUS, SIG_DFL); /* not ours: the fault comes again, and ends the process */
}

static void catch_bus_errors(void) {
  struct sigaction a = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
  sigemptyset(&a.sa_mask);
  sigaction(SIGBUS, &a, NULL);
}

sn_code cli_data_parts(cli *c, const char *then, int *out_count, sn_dataset_part **out) {
  const cli_values *v = &c->value[CLI_DATA];
  sn_dataset_part *parts = SN_ARRAY(c->arena, v->count + 1, sn_dataset_part);
  if (!v->count) parts[0] = (sn_dataset_part){"the embedded corpus", sn_corpus, (size_t)sn_corpus_bytes};
  held.part = parts, held.then = then, held.spoiled = NULL, held.count = 0;
  held.map = SN_ARRAY(c->arena, v->count + 1, sn_file_map);
  if (v->count) catch_bus_errors();
  for (int i = 0; i < v->count; i++) {
    sn_file_map *map = &held.map[i];
    SN_TRY(sn_file_map_open(v->at[i], c->diags, map));
    parts[i] = (sn_dataset_part){v->at[i], (const char *)map->data, map->bytes};
    held.count++;
  }
  *out_count = v->count ? v->count : 1;
  *out = parts;
  return SN_OK;
}

void cli_data_close(void) {
  for (int i = 0; i < held.count; i++) sn_file_map_close(&held.map[i]);
  held.count = 0;
}

sn_code cli_data_check(const sn_dataset *d, sn_diags *diags) {
  for (int i = 0; i < held.count && !held.spoiled; i++) {
    sn_file_map *m = &held.map[i];
    if (!sn_file_map_changed(m) || (sn_file_map_renew(m) && sn_dataset_part_same(d, i, m->data, m->bytes))) continue;
    held.spoiled = held.part[i].name;
  }
  if (!held.spoiled) return SN_OK;
  sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = held.spoiled}, "the data file changed while it was read");
  sn_fail_note(diags, "%s", held.then);
  return SN_ERR_INPUT;
}

sn_code cli_data_window(cli *c, const sn_plan *p, const char *graph, const char *path, int64_t *out) {
  int slot = sn_plan_find_slot(p, sn_plan_find_graph(p, graph), "tokens");
  if (slot < 0 || p->slot[slot].type->rank != 2)
    return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = path}, "the graph %s needs the input tokens i32[B, T]",
                   graph);
  int64_t window = sn_dimx_max_value(p->slot[slot].type->dim[1]);
  if (window < 1 || window > 1 << 20)
    return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = path},
                   "dim T of the graph %s has no usable maximum: sn_sym(m, \"T\", .max = ...)", graph);
  *out = window;
  return SN_OK;
}

/* Of "layers=2 vocab=256": the number of one of them. */
static int64_t setting_of(const char *settings, const char *name, int64_t otherwise) {
  size_t n = strlen(name);
  for (const char *at = settings; (at = strstr(at, name)); at += n)
    if (at[n] == '=' && (at == settings || at[-1] == ' ')) return atoll(at + n + 1);
  return otherwise;
}

int64_t cli_data_vocab(const char *settings, const sn_tokenizer *t) {
  return setting_of(settings, "vocab", sn_tokenizer_vocab(t));
}

int64_t cli_data_marks(const char *settings, int64_t otherwise) { return setting_of(settings, "marks", otherwise); }

sn_code cli_data_ids(const char *settings, const sn_tokenizer *t, sn_diags *diags, int64_t *out) {
  int64_t vocab = cli_data_vocab(settings, t), marks = cli_data_marks(settings, 0);
  *out = vocab - marks;
  if (*out > 0) return SN_OK;
  (void)sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "no id is left for texts");
  sn_fail_expected(diags, "a vocabulary of more than %lld marks", (long long)marks);
  sn_fail_found(diags, "vocab=%lld marks=%lld", (long long)vocab, (long long)marks);
  return SN_ERR_INPUT;
}
