/* Parameter counts of published models. */
#include "tests/oracles/params.h"

#include <stddef.h>
#include <string.h>

/* table: sources are the papers and the configuration files that were published with the weights */
// clang-format off
#define BERT(w, l, h) .vocabulary = 30522, .width = w, .encoder = l, .heads = h, .key_heads = h, .hidden = 4 * (w), .positions = 512, .segments = 2, \
  .biases = true, .shift = true, .tied = true, .embedding_norm = true, .pooler = true
#define GPT2(w, l, h) .vocabulary = 50257, .width = w, .decoder = l, .heads = h, .key_heads = h, .hidden = 4 * (w), .positions = 1024, \
  .biases = true, .shift = true, .tied = true, .final_norm = true
#define T5(w, l, h) .vocabulary = 32128, .width = w, .encoder = l, .decoder = l, .heads = h, .key_heads = h, .head_width = 64, .hidden = 4 * (w), \
  .buckets = 32, .tied = true, .final_norm = true
#define BART(w, l, h) .vocabulary = 50265, .width = w, .encoder = l, .decoder = l, .heads = h, .key_heads = h, .hidden = 4 * (w), .positions = 1026, \
  .biases = true, .shift = true, .tied = true, .embedding_norm = true
#define LLAMA(v, w, l, h, k, f) .vocabulary = v, .width = w, .decoder = l, .heads = h, .key_heads = k, .hidden = f, .gated = true, .final_norm = true
#define MAMBA(v, w, l, n) .vocabulary = v, .width = w, .decoder = l, .hidden = 2 * (w), .state = n, .groups = 1, .tied = true, .final_norm = true

const params_config params_table[] = {
  {.name = "bert-base",    .published = 109482240,   BERT(768, 12, 12)},
  {.name = "bert-large",   .published = 335141888,   BERT(1024, 24, 16)},
  {.name = "gpt2",         .published = 124439808,   GPT2(768, 12, 12)},
  {.name = "gpt2-medium",  .published = 354823168,   GPT2(1024, 24, 16)},
  {.name = "gpt2-large",   .published = 774030080,   GPT2(1280, 36, 20)},
  {.name = "gpt2-xl",      .published = 1557611200,  GPT2(1600, 48, 25)},
  {.name = "t5-small",     .published = 60506624,    T5(512, 6, 8)},
  {.name = "t5-base",      .published = 222903552,   T5(768, 12, 12)},
  {.name = "bart-base",    .published = 139420416,   BART(768, 6, 12)},
  {.name = "bart-large",   .published = 406291456,   BART(1024, 12, 16)},
  {.name = "llama-2-7b",   .published = 6738415616,  LLAMA(32000, 4096, 32, 32, 32, 11008)},
  {.name = "llama-2-13b",  .published = 13015864320, LLAMA(32000, 5120, 40, 40, 40, 13824)},
  {.name = "llama-3-8b",   .published = 8030261248,  LLAMA(128256, 4096, 32, 32, 8, 14336)},
  {.name = "mistral-7b",   .published = 7241732096,  LLAMA(32000, 4096, 32, 32, 8, 14336)},
  {.name = "mamba-130m",   .published = 129135360,   .kind = PARAMS_MAMBA, MAMBA(50280, 768, 24, 16), .step_rank = 48},
  {.name = "mamba2-130m",  .published = 128989632,   .kind = PARAMS_MAMBA2, MAMBA(50288, 768, 24, 128), .heads = 24},
  {0},
};
// clang-format on

const params_config *params_find(const char *name) {
  for (const params_config *c = params_table; c->name; c++) {
    if (strcmp(c->name, name) == 0) return c;
  }
  return NULL;
}

typedef struct list {
  const params_config *c;
  params_visit *visit;
  void *user;
} list;

static void tensor(const list *l, const char *name, int64_t rows, int64_t columns, int64_t times) {
  if (rows > 0 && columns > 0 && times > 0) l->visit(l->user, name, rows, columns, times);
}

static void norm(const list *l, int64_t times) {
  tensor(l, "norm.scale", l->c->width, 1, times);
  tensor(l, "norm.shift", l->c->shift ? l->c->width : 0, 1, times);
}

static void linear(const list *l, const char *name, int64_t in, int64_t out, int64_t times) {
  tensor(l, name, out, in, times);
  tensor(l, "bias", l->c->biases ? out : 0, 1, times);
}

static int64_t head_width(const params_config *c) { return c->head_width ? c->head_width : c->width / c->heads; }

static void attention(const list *l, int64_t times) {
  int64_t d = l->c->width, h = head_width(l->c);
  linear(l, "attention.query", d, h * l->c->heads, times);
  linear(l, "attention.key", d, h * l->c->key_heads, times);
  linear(l, "attention.value", d, h * l->c->key_heads, times);
  linear(l, "attention.output", h * l->c->heads, d, times);
  norm(l, times);
}

static void feed_forward(const list *l, int64_t times) {
  linear(l, "feed_forward.up", l->c->width, l->c->hidden, times);
  if (l->c->gated) linear(l, "feed_forward.gate", l->c->width, l->c->hidden, times);
  linear(l, "feed_forward.down", l->c->hidden, l->c->width, times);
  norm(l, times);
}

static void transformer(const list *l) {
  const params_config *c = l->c;
  int64_t stacks = (c->encoder > 0) + (c->decoder > 0);
  tensor(l, "positions", c->positions, c->width, stacks);
  tensor(l, "segments", c->segments, c->width, 1);
  tensor(l, "relative", c->buckets, c->heads, stacks);
  if (c->embedding_norm) norm(l, stacks);
  attention(l, c->encoder + c->decoder);
  if (c->encoder > 0) attention(l, c->decoder); /* from decoder to encoder */
  feed_forward(l, c->encoder + c->decoder);
  if (c->final_norm) norm(l, stacks);
  if (c->pooler) linear(l, "pooler", c->width, c->width, 1);
}

/* source: Gu & Dao 2023, figure 3, and the code that came with it: convolution of 4 with bias, step projection with
 * bias */
static void mamba(const list *l) {
  const params_config *c = l->c;
  int64_t inner = c->hidden, n = c->state, times = c->decoder;
  tensor(l, "in", 2 * inner, c->width, times);
  tensor(l, "convolution", inner, 4 + 1, times);
  tensor(l, "step_b_c", c->step_rank + 2 * n, inner, times);
  tensor(l, "step", inner, c->step_rank + 1, times);
  tensor(l, "a_log", inner, n, times);
  tensor(l, "skip", inner, 1, times);
  tensor(l, "out", c->width, inner, times);
  norm(l, times + 1);
}

/* source: Dao & Gu 2024, section 7: one projection for gate, x, B, C and steps; a norm before the output */
static void mamba2(const list *l) {
  const params_config *c = l->c;
  int64_t inner = c->hidden, mixed = inner + 2 * c->groups * c->state, times = c->decoder;
  tensor(l, "in", inner + mixed + c->heads, c->width, times);
  tensor(l, "convolution", mixed, 4 + 1, times);
  tensor(l, "step_bias", c->heads, 1, times);
  tensor(l, "a_log", c->heads, 1, times);
  tensor(l, "skip", c->heads, 1, times);
  tensor(l, "gated.norm", inner, 1, times);
  tensor(l, "out", c->width, inner, times);
  norm(l, times + 1);
}

void params_list(const params_config *c, params_visit *visit, void *user) {
  list l = {c, visit, user};
  tensor(&l, "embedding", c->vocabulary, c->width, c->tied || c->decoder == 0 ? 1 : 2);
  switch (c->kind) {
    case PARAMS_TRANSFORMER: transformer(&l); break;
    case PARAMS_MAMBA: mamba(&l); break;
    case PARAMS_MAMBA2: mamba2(&l); break;
  }
}

static void add(void *user, const char *name, int64_t rows, int64_t columns, int64_t times) {
  (void)name;
  *(int64_t *)user += rows * columns * times;
}

int64_t params_count(const params_config *c) {
  int64_t sum = 0;
  params_list(c, add, &sum);
  return sum;
}

int64_t params_cache(const params_config *c, int64_t tokens, int64_t shared) {
  return 2 * (c->decoder - shared) * c->key_heads * head_width(c) * tokens;
}
