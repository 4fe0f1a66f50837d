/* BERT: an encoder that sees both sides, learns by guessing hidden tokens and whether one sentence follows another, and
 * is tuned to classify. Devlin et al. 2019. The defaults are bert-base; bert-large: layers=24 heads=16 width=1024.
 *
 *   train, eval            any text: one of `part` tokens is hidden 80/10/10, places of its own for each text and step
 *   mlm, pretrain          train with places that are given: hidden tokens; hidden tokens and next sentences
 *   classify, head         train encoder and classifier; the classifier alone
 *   eval_mlm, eval_pretrain, judged
 *                          losses of the same, and the share of labels that are met
 *   encode                 rows and the pooled row
 *   guess, next, judge     logits of slots, of next sentences, of classes */
#include "bert.h"

/* clang-format off */
SN_SETTINGS(bert,
  BERT_SIZES(12, 12, 768, 30522, 512),
  (int, classes, 2, "of the classifier", SN_SIZE),
  (int, padding, 0, "not train, eval: 1: input `length` [B]; 2: input `part` [B, T], rows see those of theirs", .max = 2),
  (bool, places, 0, "not train, eval: input `place` [B, T], where tokens stand, for texts that share a row"),
  (int, mask, -1, "train, eval: the token that hides others; -1: the last one", .min = -1, .max = 1 << 24),
  (int, part, 7, "train, eval: one of so many tokens is hidden", SN_SIZE));
/* clang-format on */

typedef struct batch {
  bert_sizes size;
  sn_dim B, K;
  sn_t x; /* rows of the encoder, [B, T, width] */
} batch;

static batch encoder(sn_scope m, const bert *c) {
  batch b = {.size = BERT_OF(c), .B = sn_sym(m, "B"), .K = sn_sym(m, "K", .max = c->context)};
  sn_dim T = sn_sym(m, "T", .max = c->context);
  bert_text text = {sn_input(m, "tokens", SN_I32, (b.B, T))};
  if (c->segments) text.segments = sn_input(m, "segments", SN_I32, (b.B, T));
  if (c->places) text.places = sn_input(m, "place", SN_I32, (b.B, T));
  block_view see = {0};
  block_length length;
  block_segment part;
  if (c->padding == 1) {
    length.length = sn_input(m, "length", SN_I32, (b.B));
    see = (block_view){.mask = block_inside, .opt = &length};
  } else if (c->padding == 2) {
    part.segment = sn_input(m, "part", SN_I32, (b.B, T));
    see = (block_view){.mask = block_together, .opt = &part};
  }
  b.x = bert_encoder(m, &b.size, text, see);
  return b;
}

/* ---- heads and losses -------------------------------------------------------------------------------------------- */

/* Rows of hidden tokens are taken out before anything is multiplied by the vocabulary. */
static sn_t slots(sn_scope m, const batch *b) {
  return bert_guess(m, &b->size, sn_slots(b->x, sn_input(m, "slots", SN_I32, (b->B, b->K))));
}
static sn_t mlm_loss(sn_scope m, const batch *b) {
  sn_t logits = slots(m, b), labels = sn_input(m, "labels", SN_I32, (b->B, b->K));
  return bert_slot_loss(logits, labels, sn_input(m, "weight", SN_REAL, (b->B, b->K)));
}

/* Of a hidden token 80 % are shown as `mask`, 10 % as any token (also that one), 10 % as they are. */
static sn_t shown(sn_scope m, sn_t tokens, sn_t hidden, const bert *c) {
  sn_dim B = sn_size(tokens, 0), T = sn_size(tokens, 1);
  sn_t u = sn_random(m, "replace", SN_UNIFORM, (B, T)), v = sn_random(m, "token", SN_UNIFORM, (B, T));
  sn_t any = sn_cast(sn_mul(v, c->vocab), SN_I32);
  sn_t mask = sn_at(sn_arange(m, c->vocab), c->mask < 0 ? c->vocab - 1 : c->mask); /* one of the vocabulary */
  return sn_where(sn_and(hidden, sn_lt(u, .9)), sn_where(sn_lt(u, .8), mask, any), tokens);
}
static sn_t text_loss(sn_scope m, const bert *c) {
  bert_sizes size = BERT_OF(c);
  sn_dim B = sn_sym(m, "B"), T = sn_sym(m, "T", .max = c->context), K = sn_dim_ceildiv(T, c->part);
  sn_t tokens = sn_input(m, "tokens", SN_I32, (B, T));
  sn_t number, slots = block_places(m, "hide", B, T, K, &number), hidden = sn_lt(number, sn_dim_value(K));
  bert_text text = {shown(m, tokens, hidden, c), .segments = sn_zeros(m, SN_I32, (B, T))};
  sn_t x = bert_encoder(m, &size, text, (block_view){0});
  return sn_cross_entropy(bert_guess(m, &size, sn_slots(x, slots)), sn_slots(tokens, slots));
}

/* 1: the second sentence is any sentence, as in the published code. */
static sn_t follows(sn_scope m, const batch *b) {
  return bert_dense(m, &b->size, "cls.seq_relationship", bert_pool(m, &b->size, b->x), 2);
}
static sn_t classes(sn_scope m, const batch *b, const bert *c) {
  return bert_dense(m, &b->size, "classifier", sn_dropout(m, "drop", bert_pool(m, &b->size, b->x), c->dropout),
                    c->classes);
}
static sn_t label(sn_scope m, const batch *b) { return sn_input(m, "label", SN_I32, (b->B)); }

static sn_t met(sn_t logits, sn_t label) { return sn_mean(sn_cast(sn_eq(sn_argmax(logits), label), SN_REAL), "b->"); }

/* Adam as in the published code: moments are not corrected, the rate falls in a line, norms and biases do not decay. */
static void learn(sn_scope m, sn_t loss, const char *on) {
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-4),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 0),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 10000),
                    .steps = sn_scalar(m, "steps", SN_I32, 1000000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, .01),
                    .eps = 1e-6,
                    .linear = true,
                    .no_correction = true};
  sn_minimize(m, loss, sn_adamw, &o, .on = on, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

/* ---- graphs ------------------------------------------------------------------------------------------------------ */

static void mlm(sn_scope m, const bert *c) {
  sn_scope t = sn_with(m, .train = true);
  batch b = encoder(t, c);
  learn(m, mlm_loss(t, &b), "*");
}
static void eval_mlm(sn_scope m, const bert *c) {
  batch b = encoder(m, c);
  sn_output(m, "loss", mlm_loss(m, &b));
}

static void train(sn_scope m, const bert *c) { learn(m, text_loss(sn_with(m, .train = true), c), "*"); }
static void eval(sn_scope m, const bert *c) { sn_output(m, "loss", text_loss(m, c)); }

static void pretrain(sn_scope m, const bert *c) {
  sn_scope t = sn_with(m, .train = true);
  batch b = encoder(t, c);
  learn(m, sn_add(mlm_loss(t, &b), sn_cross_entropy(follows(t, &b), label(t, &b))), "*");
}
static void eval_pretrain(sn_scope m, const bert *c) {
  batch b = encoder(m, c);
  sn_t hidden = mlm_loss(m, &b), logits = follows(m, &b), next = sn_cross_entropy(logits, label(m, &b));
  sn_output(m, "mlm", hidden);
  sn_output(m, "nsp", next);
  sn_output(m, "loss", sn_add(hidden, next));
  sn_output(m, "met", met(logits, label(m, &b)));
}

static void classify(sn_scope m, const bert *c) {
  sn_scope t = sn_with(m, .train = true);
  batch b = encoder(t, c);
  learn(m, sn_cross_entropy(classes(t, &b, c), label(t, &b)), "*");
}
static void head(sn_scope m, const bert *c) {
  batch b = encoder(m, c);
  learn(m, sn_cross_entropy(classes(m, &b, c), label(m, &b)), "classifier.*");
}
static void judged(sn_scope m, const bert *c) {
  batch b = encoder(m, c);
  sn_t logits = classes(m, &b, c);
  sn_output(m, "loss", sn_cross_entropy(logits, label(m, &b)));
  sn_output(m, "met", met(logits, label(m, &b)));
}

static void encode(sn_scope m, const bert *c) {
  batch b = encoder(m, c);
  sn_output(m, "rows", b.x);
  sn_output(m, "pooled", bert_pool(m, &b.size, b.x));
}
static void guess(sn_scope m, const bert *c) {
  batch b = encoder(m, c);
  sn_output(m, "logits", slots(m, &b));
}
static void next(sn_scope m, const bert *c) {
  batch b = encoder(m, c);
  sn_output(m, "logits", follows(m, &b));
}
static void judge(sn_scope m, const bert *c) {
  batch b = encoder(m, c);
  sn_output(m, "logits", classes(m, &b, c));
}

SN_MODEL(bert, bert, train, eval, mlm, pretrain, classify, head, eval_mlm, eval_pretrain, judged, encode, guess, next,
         judge);
