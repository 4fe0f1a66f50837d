/* GPT by its definition. */
#include "models/recipes/gpt_definition.h"

#include <stdio.h>
#include <string.h>

enum { D = GPT_WIDTH, T = GPT_LENGTH, V = GPT_WORDS };

static const char *const outside[] = {"wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias"};
static const char *const inside[] = {"ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"};

gpt_oracle gpt_oracle_of(recipe *r, net *n) {
  gpt_oracle o = {.w = weights_of(r, n), .placement = LAYERS_PRE, .curve = LAYERS_GELU};
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) weights_add(&o.w, "%s", outside[i]);
  for (int l = 0; l < GPT_LAYERS; l++) {
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
      weights_add(&o.w, "h.%d.%s.weight", l, inside[i]);
      weights_add(&o.w, "h.%d.%s.bias", l, inside[i]);
    }
  }
  return o;
}

static layers_norm norm_of(const gpt_oracle *o, const char *name) {
  return (layers_norm){LAYERS_LAYER_NORM, 1e-5, false, weights_at(&o->w, "%s.weight", name),
                       weights_at(&o->w, "%s.bias", name)};
}

static layers_norm layer_norm(const gpt_oracle *o, int l, const char *name) {
  char full[32];
  snprintf(full, sizeof full, "h.%d.%s", l, name);
  return norm_of(o, full);
}

/* c_attn is three matrices side by side: columns of queries, keys, values. */
static void split(const double *all, double out[3][D * D]) {
  for (int i = 0; i < 3; i++)
    for (int row = 0; row < D; row++) memcpy(out[i] + row * D, all + row * 3 * D + i * D, sizeof(double) * D);
}

static void run_layer(const gpt_oracle *o, int l, const layers_mask *mask, const double *x, double *out) {
#define PART(name, what) weights_at(&o->w, "h.%d." name "." what, l)
  double in[3][D * D];
  const double *bias = PART("attn.c_attn", "bias");
  split(PART("attn.c_attn", "weight"), in);
  layers_block b = {.placement = o->placement,
                    .heads = {GPT_HEADS, GPT_HEADS, D / GPT_HEADS, 0},
                    .width = D,
                    .query = in[0],
                    .key = in[1],
                    .value = in[2],
                    .output = PART("attn.c_proj", "weight"),
                    .query_bias = bias,
                    .key_bias = bias + D,
                    .value_bias = bias + 2 * D,
                    .output_bias = PART("attn.c_proj", "bias"),
                    .feed = {.width = D,
                             .hidden = 4 * D,
                             .curve = o->curve,
                             .up = PART("mlp.c_fc", "weight"),
                             .down = PART("mlp.c_proj", "weight"),
                             .up_bias = PART("mlp.c_fc", "bias"),
                             .down_bias = PART("mlp.c_proj", "bias")},
                    .attend_norm = layer_norm(o, l, "ln_1"),
                    .feed_norm = layer_norm(o, l, "ln_2")};
  layers_run(&b, mask, T, x, out);
#undef PART
}

/* out [T][V]: of one row of tokens. */
static void row_logits(const gpt_oracle *o, const int32_t *tokens, double *out) {
  const double *words = weights_at(&o->w, "wte.weight"), *places = weights_at(&o->w, "wpe.weight");
  layers_norm last = norm_of(o, "ln_f");
  layers_mask mask = {o->open ? NULL : layers_causal, NULL, NULL};
  double x[T * D], y[T * D];
  for (int i = 0; i < T * D; i++) x[i] = words[tokens[i / D] * D + i % D] + places[i];
  for (int l = 0; l < GPT_LAYERS; l++) {
    run_layer(o, l, &mask, x, y);
    memcpy(x, y, sizeof x);
  }
  for (int t = 0; t < T; t++) {
    layers_normalise(&last, D, x + t * D, y);
    for (int v = 0; v < V; v++) {
      out[t * V + v] = 0;
      for (int i = 0; i < D; i++) out[t * V + v] += y[i] * words[v * D + i];
    }
  }
}

void gpt_oracle_logits(const gpt_oracle *o, double *out) {
  for (int b = 0; b < GPT_ROWS; b++) row_logits(o, o->tokens + b * T, out + b * T * V);
}

double gpt_oracle_loss(void *user) {
  const gpt_oracle *o = user;
  double logits[GPT_ROWS * T * V];
  gpt_oracle_logits(o, logits);
  return layers_cross_entropy(GPT_ROWS * T, V, logits, o->targets, NULL);
}
