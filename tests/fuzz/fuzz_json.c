/* Fuzz target: any bytes as tokenizer.json, settings.json, run.json and metrics.jsonl, and as the text that a tokenizer
 * is made of. What is accepted must print, and read back the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"
#include "runtime/io/metrics.h"
#include "runtime/io/recipe.h"
#include "runtime/io/settings.h"
#include "runtime/io/tokenizer.h"
#include "tests/fuzz/files.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes);

typedef struct input {
  sn_arena *arena;
  sn_diags *diags;
  const char *text;
  size_t bytes;
} input;

/* Every piece has an id that leads back to it; texts of any bytes are taken or refused. */
static void use_tokenizer(const input *in, const sn_tokenizer *t) {
  int32_t *ids = NULL;
  int64_t count = 0;
  for (int id = 0; id < sn_tokenizer_vocab(t); id++) {
    int length = 0;
    const char *piece = sn_tokenizer_piece(t, id, &length);
    if (!piece || sn_tokenizer_encode(t, in->diags, "piece", piece, (size_t)length, &ids, &count)) abort();
    if (count != 1 || ids[0] != id) abort();
    free(ids);
  }
  if (sn_tokenizer_piece(t, sn_tokenizer_vocab(t), &(int){0}) || sn_tokenizer_piece(t, -1, &(int){0})) abort();
  if (!sn_tokenizer_encode(t, in->diags, "text", in->text, in->bytes, &ids, &count)) free(ids);
}

/* A tokenizer of the text's own characters takes it, and gives it back. */
static int characters(void *arg) {
  const input *in = arg;
  sn_tokenizer *t;
  int32_t *ids = NULL;
  int64_t count = 0;
  if (sn_tokenizer_char(in->arena, in->diags, in->text, in->bytes, &t)) return 0;
  if (sn_tokenizer_encode(t, in->diags, "text", in->text, in->bytes, &ids, &count)) abort();
  size_t at = 0;
  for (int64_t i = 0; i < count; i++) {
    int length = 0;
    const char *piece = sn_tokenizer_piece(t, ids[i], &length);
    if (!piece || at + (size_t)length > in->bytes || memcmp(in->text + at, piece, (size_t)length)) abort();
    at += (size_t)length;
  }
  if (at != in->bytes) abort();
  free(ids);
  return 0;
}

static int tokenizer(void *arg) {
  const input *in = arg;
  sn_tokenizer *t, *back;
  if (sn_tokenizer_parse(in->arena, in->diags, "fuzz", in->text, in->bytes, &t)) return 0;
  sn_text text = sn_text_begin(in->arena);
  sn_tokenizer_print(&text, t);
  if (sn_tokenizer_parse(in->arena, in->diags, "again", text.at, (size_t)text.count, &back)) abort();
  if (sn_tokenizer_vocab(t) != sn_tokenizer_vocab(back)) abort();
  use_tokenizer(in, t);
  return 0;
}

static int settings(void *arg) {
  const input *in = arg;
  sn_run_settings s, back;
  if (sn_run_settings_parse(in->arena, in->diags, "fuzz", in->text, in->bytes, &s)) return 0;
  sn_text text = sn_text_begin(in->arena);
  sn_run_settings_print(&text, &s);
  if (sn_run_settings_parse(in->arena, in->diags, "again", text.at, (size_t)text.count, &back)) abort();
  if (strcmp(s.model, back.model) || strcmp(s.settings, back.settings) || s.seed != back.seed) abort();
  for (int64_t ids = 0; ids <= 512; ids += 256) (void)!sn_run_settings_check_ids(&s, in->diags, "fuzz", ids, 256);
  return 0;
}

/* A run that goes on at step 10 keeps no later lines, and adds its own. */
static void go_on(const input *in) {
  sn_metrics *m;
  int count;
  double *x, *y;
  const char *path = path_to_write();
  if (sn_file_write_all(path, in->text, in->bytes, in->diags)) return; /* the disk is full */
  if (sn_metrics_open(path, 10, in->diags, &m)) abort();
  const sn_metric line[] = {{"step", 10}, {"val_loss", 0.1}, {"train_loss", NAN}};
  if (!sn_metrics_add(m, 3, line)) abort();
  sn_metrics_close(m);
  if (sn_metrics_read(in->arena, in->diags, path, "step", "val_loss", &count, &x, &y)) abort();
  if (count < 1 || x[count - 1] != 10 || y[count - 1] != 0.1) abort();
  for (int i = 0; i < count; i++)
    if (x[i] > 10) abort();
  unlink(path);
}

/* Columns have one length; numbers are finite. */
static int metrics(void *arg) {
  const input *in = arg;
  int count;
  double *x, *y;
  const char *path = file_of(in->text, in->bytes);
  if (sn_metrics_read(in->arena, in->diags, path, "step", "val_loss", &count, &x, &y)) return 0;
  for (int i = 0; i < count; i++)
    if (!isfinite(x[i]) || !isfinite(y[i])) abort();
  if (count) go_on(in);
  return 0;
}

static int recipe(void *arg) {
  const input *in = arg;
  sn_recipe r, back;
  if (sn_recipe_parse(in->arena, in->diags, "fuzz", in->text, in->bytes, &r)) return 0;
  sn_text text = sn_text_begin(in->arena), again = sn_text_begin(in->arena);
  sn_recipe_print(&text, &r);
  if (sn_recipe_parse(in->arena, in->diags, "again", text.at, (size_t)text.count, &back)) abort();
  sn_recipe_print(&again, &back);
  if (strcmp(text.at, again.at)) abort();
  return 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes) {
  input in = {sn_arena_create(), sn_diags_create(), (const char *)data, bytes};
  (void)sn_protect(tokenizer, &in);
  (void)sn_protect(settings, &in);
  (void)sn_protect(recipe, &in);
  (void)sn_protect(metrics, &in);
  (void)sn_protect(characters, &in);
  sn_diags_destroy(in.diags);
  sn_arena_destroy(in.arena);
  return 0;
}
