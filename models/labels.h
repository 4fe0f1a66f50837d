/* What models that are tuned on labels have in common: AdamW on some of the parameters, a head classify.*, its loss and
 * accuracy. Labels below 0: none. */
#ifndef SN_MODELS_LABELS_H
#define SN_MODELS_LABELS_H

#include "sinter.h"

/* Learns the parameters named `on`, at the share `rate` of the learning rate. */
static inline void labels_learn(sn_scope m, sn_t loss, const char *on, double rate) {
  sn_adamw_opt o = {.lr = sn_mul(rate, sn_scalar(m, "lr", SN_REAL, 1e-3)),
                    .min_lr = sn_mul(rate, sn_scalar(m, "min_lr", SN_REAL, 1e-4)),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, 0)};
  sn_minimize(m, loss, sn_adamw, &o, .on = on, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

/* x [B, T, width] -> scores [B, T, classes] */
static inline sn_t labels_scores(sn_scope m, sn_t x, int classes) { return sn_affine(m, "classify", x, classes); }

static inline sn_t labels_counted(sn_t labels) { return sn_cast(sn_ge(labels, 0), SN_REAL); }
static inline sn_t labels_loss(sn_t scores, sn_t labels) {
  return sn_cross_entropy(scores, sn_max(labels, 0), .weight = labels_counted(labels));
}

/* The loss and ridge / 2 |w|^2 of the head: with the head alone trained (`--trainable "classify.*"`), logistic
 * regression on x [B, T, width]. */
static inline sn_t labels_ridge(sn_scope m, sn_t loss, double ridge, int width, int classes) {
  if (ridge <= 0) return loss;
  sn_t w = sn_param(m, "classify.weight", (width, classes)), b = sn_param(m, "classify.bias", (classes));
  return sn_add(loss, sn_mul(ridge / 2, sn_add(sn_sum(sn_square(w), "wc->"), sn_sum(sn_square(b), "c->"))));
}

/* Learns labels: the head at the learning rate, all else at the share `trunk` of it. */
static inline void labels_tune(sn_scope m, sn_t loss, double trunk) {
  labels_learn(m, loss, "-classify.*", trunk);
  labels_learn(m, loss, "classify.*", 1);
}

/* Loss and accuracy as outputs. */
static inline void labels_judge(sn_scope m, sn_t scores, sn_t labels) {
  sn_t counts = labels_counted(labels), right = sn_cast(sn_eq(sn_argmax(scores), labels), SN_REAL);
  sn_output(m, "loss", labels_loss(scores, labels));
  sn_output(m, "accuracy", sn_div(sn_sum(sn_mul(counts, right), "bt->"), sn_sum(counts, "bt->")));
}

#endif
