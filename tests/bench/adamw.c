/* One step of AdamW over the parameters of GPT-2 124M with a clipped norm. Gradients are tensors that are there: what
 * is minimised is their product with the parameters, and ./dev bench cpu asks for no value of it. */
#include "sinter.h"

/* clang-format off */
SN_SETTINGS(adamw,
  (int, layers, 12,    "blocks"),
  (int, width,  768,   "size of the residual stream"),
  (int, vocab,  50257, "tokens"));
/* clang-format on */

static sn_t weight(sn_scope m, const char *name, int rows, int columns) {
  sn_t w = sn_param(m, name, (rows, columns), .init = sn_uniform(.02));
  sn_t g = sn_state(sn_in(m, "gradient"), name, (rows, columns), .init = sn_uniform(.02));
  return sn_sum(sn_mul(w, g), "ab->");
}

static sn_t block(sn_scope m, int width) {
  sn_t a = sn_add(weight(m, "c_attn", width, 3 * width), weight(m, "attn_proj", width, width));
  return sn_add(a, sn_add(weight(m, "c_fc", width, 4 * width), weight(m, "mlp_proj", 4 * width, width)));
}

static void step(sn_scope m, const adamw *c) {
  sn_t loss = weight(m, "wte", c->vocab, c->width);
  sn_layers(h, m, "h", c->layers, &loss) loss = sn_add(loss, block(h, c->width));
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, .1),
                    .beta2 = sn_scalar(m, "beta2", SN_REAL, .99)};
  sn_minimize(m, loss, sn_adamw, &o, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

SN_MODEL(adamw, adamw, step);
