/* An LSTM of 32 units that reads numbers with marks and says a number at the end: the adding problem. */
#include "sinter.h"

#include "tests/recurrent.h"

SN_SETTINGS(adding, (int, width, 32, "units"), (int, length, 100, "numbers read"));

/* shape: value, mark [B, T] -> [B] */
static sn_t said(sn_scope m, const adding *c) {
  int d = c->width;
  sn_dim B = sn_sym(m, "B", .max = 1024);
  sn_t value = sn_input(m, "value", SN_REAL, (B, c->length)), mark = sn_input(m, "mark", SN_REAL, (B, c->length));
  sn_t x = sn_concat(2, sn_rearrange(value, "bt->bt1"), sn_rearrange(mark, "bt->bt1"));
  sn_t zero = sn_zeros(m, SN_REAL, (d)), forget = sn_param(m, "forget", (d), .init = sn_fill(1));
  weights p = {sn_param(m, "w", (2 + d, 4 * d), .init = sn_uniform(1 / sqrt(d))),
               sn_concat(0, zero, forget, zero, zero)};
  sn_t h = sn_zeros(m, SN_REAL, (B, d)), s = sn_zeros(m, SN_REAL, (B, d));
  sn_scan(lstm, "bt", (&h, &s), (x), .opt = &p);
  return sn_rearrange(sn_affine(m, "out", h, 1), "b1->b");
}

static sn_t error(sn_scope m, const adding *c) {
  sn_t sum = sn_input(m, "sum", SN_REAL, (sn_sym(m, "B", .max = 1024)));
  return sn_mean(sn_square(sn_sub(said(m, c), sum)), "b->");
}

static void eval(sn_scope m, const adding *c) { sn_output(m, "loss", error(m, c)); }
static void train(sn_scope m, const adding *c) {
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3)};
  sn_minimize(m, error(m, c), sn_adamw, &o, .clip = 1);
}
SN_MODEL(adding, adding, train, eval);
