/* Steps of recurrences as their papers have them, for the tests of scans. */
#ifndef SN_TESTS_RECURRENT_H
#define SN_TESTS_RECURRENT_H

#include "frontend/sinter.h"

/* Gated linear attention: S = diag(w) S + k v', o = S' q. Yang et al. 2023, eq. 3. */
static inline sn_t gla(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(sn_einsum("k,kv->kv", x[3], h[0]), sn_einsum("k,v->kv", x[1], x[2]));
  return sn_einsum("kv,k->v", h[0], x[0]);
}

/* Gated delta rule: S = a S (I - b k k') + b v k', o = S q. Yang et al. 2024. */
static inline sn_t delta(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  sn_t old = sn_mul(x[3], sn_einsum("vk,k->v", h[0], x[1]));
  h[0] = sn_add(sn_mul(x[3], h[0]), sn_einsum("v,k->vk", sn_mul(x[4], sn_sub(x[2], old)), x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}

typedef struct {
  sn_t w, b;
} weights;

/* LSTM: Hochreiter & Schmidhuber 1997. */
static inline sn_t lstm(sn_t h[], const sn_t x[], const void *opt) {
  const weights *p = opt;
  sn_t z = sn_add(sn_einsum("i,ig->g", sn_concat(0, x[0], h[0]), p->w), p->b);
  z = sn_rearrange(z, "(nd)->nd", .n = 4);
  sn_t i = sn_sigmoid(sn_at(z, 0)), f = sn_sigmoid(sn_at(z, 1)), o = sn_sigmoid(sn_at(z, 2)), g = sn_tanh(sn_at(z, 3));
  h[1] = sn_add(sn_mul(f, h[1]), sn_mul(i, g));
  h[0] = sn_mul(o, sn_tanh(h[1]));
  return h[0];
}

/* GRU: Cho et al. 2014; the candidate's product is with the gated state. */
static inline sn_t gru(sn_t h[], const sn_t x[], const void *opt) {
  const weights *p = opt;
  sn_t u = sn_einsum("i,ndi->nd", sn_concat(0, x[0], h[0]), sn_slice(p->w, 0, 0, 2));
  sn_t r = sn_sigmoid(sn_at(u, 0)), z = sn_sigmoid(sn_add(sn_at(u, 1), p->b));
  sn_t n = sn_gelu(sn_einsum("i,di->d", sn_concat(0, x[0], sn_mul(r, h[0])), sn_at(p->w, 2)));
  return h[0] = sn_add(sn_mul(z, h[0]), sn_mul(sn_sub(1, z), n));
}

/* States that swap and a counter; the output is the state before the step. */
static inline sn_t swap(sn_t h[], const sn_t x[], const void *opt) {
  sn_t a = h[0];
  (void)opt;
  h[0] = sn_add(h[1], sn_mul(x[0], sn_cast(h[2], SN_REAL)));
  h[1] = a;
  h[2] = sn_add(h[2], 1);
  return a;
}

#endif
