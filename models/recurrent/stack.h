/* The language model around a recurrent layer: embedding, blocks of norm and layer, head; and its graphs. */
#ifndef SN_MODELS_RECURRENT_STACK_H
#define SN_MODELS_RECURRENT_STACK_H

#include "sinter.h"

/* x [B, T, width] -> the same. carry: the layer's states outlive the call, so that the next one goes on. */
typedef sn_t (*stack_layer)(sn_scope m, sn_t x, bool carry, const void *opt);
typedef struct stack {
  int layers, width, context, vocab;
  stack_layer layer;
  const void *opt;
} stack;

/* A state [B, shape..] of a layer: what the last call left, or zeros. */
#define stack_state(m, name, carry, shape) ((carry) ? sn_state(m, name, shape) : sn_zeros(m, SN_REAL, shape))
static inline void stack_keep(bool carry, sn_t old, sn_t next) {
  if (carry) sn_update(old, next);
}

static inline sn_t stack_logits(sn_scope m, sn_t tokens, bool carry, const stack *s) {
  sn_t embed = sn_param(m, "embed.weight", (s->vocab, s->width), .init = sn_normal(.02)), x = sn_gather(embed, tokens);
  sn_layers(h, m, "layers", s->layers, &x) x = sn_add(x, s->layer(h, sn_rmsnorm(h, "norm", x), carry, s->opt));
  return sn_einsum("btd,vd->btv", sn_rmsnorm(m, "norm", x), embed); /* tied head */
}

static inline sn_t stack_ids(sn_scope m, const char *name, const stack *s) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B", .max = 1024), sn_sym(m, "T", .max = s->context)));
}
static inline void stack_train(sn_scope m, const stack *s) {
  sn_t loss = sn_cross_entropy(stack_logits(m, stack_ids(m, "tokens", s), false, s), stack_ids(m, "targets", s));
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 1e-4),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, .1)};
  sn_minimize(m, loss, sn_adamw, &o, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}
static inline void stack_eval(sn_scope m, const stack *s) {
  sn_output(m, "loss",
            sn_cross_entropy(stack_logits(m, stack_ids(m, "tokens", s), false, s), stack_ids(m, "targets", s)));
}
static inline void stack_prefill(sn_scope m, const stack *s) {
  sn_output(m, "logits", stack_logits(m, stack_ids(m, "tokens", s), true, s));
}
/* One token: the states that it takes up are those that prefill or decode left. */
static inline void stack_decode(sn_scope m, const stack *s) {
  sn_t tokens = sn_input(m, "tokens", SN_I32, (sn_sym(m, "B", .max = 1024), 1));
  sn_output(m, "logits", stack_logits(m, tokens, true, s));
}

/* The graphs of a model whose settings `c` have layers, width, context and vocab. */
#define STACK_GRAPHS(settings, layer)                                                                               \
  static stack stack_of(const settings *c) { return (stack){c->layers, c->width, c->context, c->vocab, layer, c}; } \
  static void train(sn_scope m, const settings *c) {                                                                \
    stack s = stack_of(c);                                                                                          \
    stack_train(m, &s);                                                                                             \
  }                                                                                                                 \
  static void eval(sn_scope m, const settings *c) {                                                                 \
    stack s = stack_of(c);                                                                                          \
    stack_eval(m, &s);                                                                                              \
  }                                                                                                                 \
  static void prefill(sn_scope m, const settings *c) {                                                              \
    stack s = stack_of(c);                                                                                          \
    stack_prefill(m, &s);                                                                                           \
  }                                                                                                                 \
  static void decode(sn_scope m, const settings *c) {                                                               \
    stack s = stack_of(c);                                                                                          \
    stack_decode(m, &s);                                                                                            \
  }

#endif
