/* Fuzz target: any lines as overrides --set NAME=VALUE of a model with settings of every type. The text of what was
 * accepted, given again, means the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { SET_MAX = 64 };

SN_SETTINGS(choices, (int, layers, 4, "an int"), (int64_t, vocab, 256, "an int64_t"), (double, rate, 0.5, "a number"),
            (bool, bias, 1, "yes or no"));

static const sn_model model = {"fuzz", __FILE__, sizeof(choices), choices_settings, NULL};

typedef struct input {
  sn_arena *arena;
  sn_diags *diags;
  char *text;
} input;

/* Cuts the text at each of `at`; the number of parts. */
static int cut(char *text, const char *at, const char **part) {
  int count = 0;
  for (char *save = NULL, *p = strtok_r(text, at, &save); p && count < SET_MAX; p = strtok_r(NULL, at, &save))
    part[count++] = p;
  return count;
}

static int one(void *arg) {
  const input *in = arg;
  const char *set[SET_MAX], *text, *again;
  sn_model_opt opt = {.set_count = cut(in->text, "\n", set), .set = set};
  if (sn_model_settings(&model, &opt, in->arena, in->diags, &text)) {
    if (in->diags->count != 1) abort();
    return 0;
  }
  sn_model_opt same = {.set_count = cut(sn_arena_strdup(in->arena, text), " ", set), .set = set};
  if (sn_model_settings(&model, &same, in->arena, in->diags, &again) || strcmp(text, again)) abort();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  input in = {sn_arena_create(), sn_diags_create(), NULL};
  in.text = sn_arena_alloc(in.arena, bytes + 1);
  if (bytes) memcpy(in.text, data, bytes);
  (void)sn_protect(one, &in);
  sn_diags_destroy(in.diags);
  sn_arena_destroy(in.arena);
  return 0;
}
