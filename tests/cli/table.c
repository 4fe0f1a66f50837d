/* The smallest model that trains on text: a table of the tokens that follow each token. */
#include "sinter.h"

SN_SETTINGS(opts, (int, vocab, 256, "tokens"), (int, context, 8, "positions"), (double, spread, .02, "of the start"));

static sn_t loss(sn_scope m, const opts *c) {
  sn_dim B = sn_sym(m, "B"), T = sn_sym(m, "T", .max = c->context);
  sn_t table = sn_param(m, "table", (c->vocab, c->vocab), .init = sn_normal(c->spread));
  return sn_cross_entropy(sn_gather(table, sn_input(m, "tokens", SN_I32, (B, T))),
                          sn_input(m, "targets", SN_I32, (B, T)));
}

static void train(sn_scope m, const opts *c) {
  sn_minimize(m, loss(m, c), sn_sgd, &(sn_sgd_opt){.lr = sn_scalar(m, "lr", SN_REAL, 10)});
}

static void eval(sn_scope m, const opts *c) { sn_output(m, "loss", loss(m, c)); }

SN_MODEL(table, opts, train, eval);
