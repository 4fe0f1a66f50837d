/* Graphs that decoders share: a model gives the logits of each token's successor,
 *
 *   static sn_t said(sn_scope m, sn_t tokens, const mine *c);     tokens i32[B, T] -> [B, T, vocab]
 *
 * and has, with `context` among its settings, these by CAUSAL_MODEL(mine, said, .weight_decay = .1, .beta2 = .99):
 *
 *   train, eval  tokens, targets i32[B, T] -> loss; rates below are defaults of inputs
 *   logits       tokens -> logits
 *   prefill      tokens i32[B, T], start i32[B] -> logits; keys and values stay in caches
 *   decode       the same of one row: the caches are their common state */
#ifndef SINTER_MODELS_CAUSAL_H
#define SINTER_MODELS_CAUSAL_H

#include "sinter.h"

typedef struct causal_rates {
  double weight_decay, beta2;
} causal_rates;

static inline sn_t causal_ids(sn_scope m, const char *name, int context) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = context)));
}

static inline void causal_minimize(sn_scope m, sn_t loss, causal_rates by) {
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 1e-4),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, by.weight_decay),
                    .beta2 = sn_scalar(m, "beta2", SN_REAL, by.beta2)};
  sn_minimize(m, loss, sn_adamw, &o, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

/* The last line of a model. */
#define CAUSAL_MODEL(type, said, ...)                                                                \
  static sn_t causal_loss(sn_scope m, const type *c) {                                               \
    sn_t logits = said(m, causal_ids(m, "tokens", c->context), c);                                   \
    return sn_cross_entropy(logits, causal_ids(m, "targets", c->context));                           \
  }                                                                                                  \
  static void train(sn_scope m, const type *c) {                                                     \
    causal_minimize(m, causal_loss(sn_with(m, .train = true), c), (causal_rates){__VA_ARGS__});      \
  }                                                                                                  \
  static void eval(sn_scope m, const type *c) { sn_output(m, "loss", causal_loss(m, c)); }           \
  static void logits(sn_scope m, const type *c) {                                                    \
    sn_output(m, "logits", said(m, causal_ids(m, "tokens", c->context), c));                         \
  }                                                                                                  \
  static void serve(sn_scope m, const type *c, sn_dim T) {                                           \
    sn_dim B = sn_sym(m, "B");                                                                       \
    sn_t tokens = sn_input(m, "tokens", SN_I32, (B, T)), start = sn_input(m, "start", SN_I32, (B));  \
    sn_output(m, "logits", said(sn_with(m, .cache = c->context, .start = start), tokens, c));        \
  }                                                                                                  \
  static void prefill(sn_scope m, const type *c) { serve(m, c, sn_sym(m, "T", .max = c->context)); } \
  static void decode(sn_scope m, const type *c) { serve(m, c, sn_dim_of(1)); }                       \
  SN_MODEL(type, type, train, eval, logits, prefill, decode)

#endif
