/* What encoder-decoders share: two lengths in one graph, padding on both sides, losses of the decoder's rows, and keys
 * and values of the source that are computed once. A model gives its encoder, decoder and head, and makes questions of
 * texts. Graphs read source i32[B, S], source_length i32[B] and tokens i32[B, T]:
 *
 *   train, eval  no source: tokens are any text, of which the model makes source and targets (denoise.h) -> loss
 *
 *   pairs, eval_pairs
 *                also targets i32[B, T], length i32[B] -> loss
 *
 *   train_slots, eval_slots
 *                slots, slot_targets i32[B, K], slot_count i32[B] instead of targets and length: the loss at some
 *                places, whose rows are gathered before the product with the vocabulary
 *
 *   weighted     weight [B, T] instead of length -> loss, and its derivatives by the logits
 *
 *   logits       -> logits [B, T, V]
 *
 *   encode       the source only -> state: its keys and values for every layer of the decoder
 *
 *   prefill      tokens i32[B, T], start i32[B] -> logits [B, T, V], from that state and caches of the tokens before
 *
 *   decode       the same of one row */
#ifndef SINTER_MODELS_ENCDEC_H
#define SINTER_MODELS_ENCDEC_H

#include "denoise.h"

/* Rows of the source, of which the first `length` i32[B] are there: its tokens [B, S], or what the encoder made of them
 * [B, S, D]. Without rows: keys and values are in the state. */
typedef struct encdec_source {
  sn_t rows, length;
} encdec_source;

typedef struct encdec {
  sn_t (*encoder)(sn_scope m, encdec_source tokens, const void *c);              /* -> [B, S, D] */
  sn_t (*decoder)(sn_scope m, encdec_source memory, sn_t tokens, const void *c); /* -> [B, T, D] */
  void (*keep)(sn_scope m, sn_t memory, const void *c);                          /* encdec_keys of every layer */
  sn_t (*head)(sn_scope m, sn_t rows, const void *c);                            /* -> logits [.., V] */
  denoise_pair (*question)(sn_scope m, sn_t text, const void *c);                /* of a text [B, T] */
  int begin;                                                                     /* what the decoder reads first */
  const void *c;                                                                 /* settings */
  int64_t context;                                                               /* longest source and target */
} encdec;

/* ---- for models --------------------------------------------------------------------------------------------- */

/* Mask of keys that are tokens of the source, in the encoder and from the decoder. opt: encdec_source */
static inline sn_t encdec_seen(sn_site at, const void *opt) {
  return sn_lt(at.k, sn_index(((const encdec_source *)opt)->length, at.batch));
}

/* Keys or values of the source in a layer of the decoder, `made` from its rows. A scope with .cache and rows keeps
 * them; without rows they are what was kept, [B, most, H, d]. */
static inline sn_t encdec_kept(sn_scope m, const char *name, int64_t most, int64_t heads, int64_t d) {
  return sn_state(m, name, (sn_sym(m, "B"), most, heads, d));
}

/* ---- graphs ------------------------------------------------------------------------------------------------- */

static inline sn_t encdec_ids(sn_scope m, const encdec *e, const char *name, const char *rows) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, rows, .max = e->context)));
}
static inline sn_t encdec_numbers(sn_scope m, const char *name) { return sn_input(m, name, SN_I32, (sn_sym(m, "B"))); }

/* 1 in the first `count` i32[B] of the columns of x [B, n], 0 behind them. */
static inline sn_t encdec_there(sn_scope m, sn_t x, sn_t count) {
  return sn_cast(sn_lt(sn_arange(m, sn_size(x, 1)), sn_rearrange(count, "b->b1")), SN_REAL);
}

static inline encdec_source encdec_memory(sn_scope m, const encdec *e) {
  encdec_source x = {encdec_ids(m, e, "source", "S"), encdec_numbers(m, "source_length")};
  return (encdec_source){e->encoder(m, x, e->c), x.length};
}
static inline sn_t encdec_rows(sn_scope m, const encdec *e) {
  return e->decoder(m, encdec_memory(m, e), encdec_ids(m, e, "tokens", "T"), e->c);
}

/* Of any text: what the decoder reads is what it wrote before. */
static inline sn_t encdec_text_loss(sn_scope m, const encdec *e) {
  denoise_pair x = e->question(m, encdec_ids(m, e, "tokens", "T"), e->c);
  sn_t tokens = sn_slice(sn_pad(x.targets, 1, 1, 0, e->begin), 1, 0, sn_size(x.targets, 1));
  encdec_source source = {x.source, x.source_length}, memory = {e->encoder(m, source, e->c), x.source_length};
  sn_t logits = e->head(m, e->decoder(m, memory, tokens, e->c), e->c);
  return sn_cross_entropy(logits, x.targets, .weight = encdec_there(m, x.targets, x.length));
}

static inline sn_t encdec_loss(sn_scope m, const encdec *e) {
  sn_t logits = e->head(m, encdec_rows(m, e), e->c), targets = encdec_ids(m, e, "targets", "T");
  return sn_cross_entropy(logits, targets, .weight = encdec_there(m, targets, encdec_numbers(m, "length")));
}
static inline sn_t encdec_slots_loss(sn_scope m, const encdec *e) {
  sn_t slots = encdec_ids(m, e, "slots", "K"), targets = encdec_ids(m, e, "slot_targets", "K");
  sn_t logits = e->head(m, sn_slots(encdec_rows(m, e), slots), e->c);
  return sn_cross_entropy(logits, targets, .weight = encdec_there(m, targets, encdec_numbers(m, "slot_count")));
}

static inline void encdec_minimize(sn_scope m, sn_t loss) {
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 1e-4),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, .1),
                    .beta2 = sn_scalar(m, "beta2", SN_REAL, .99)};
  sn_minimize(m, loss, sn_adamw, &o, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

static inline void encdec_weighted(sn_scope m, const encdec *e) {
  sn_t logits = e->head(m, encdec_rows(m, e), e->c), targets = encdec_ids(m, e, "targets", "T"), by_logits;
  sn_t weight = sn_input(m, "weight", SN_REAL, (sn_size(targets, 0), sn_size(targets, 1)));
  sn_t loss = sn_cross_entropy(logits, targets, .weight = weight);
  sn_grad(loss, (logits), (&by_logits));
  sn_output(m, "loss", loss);
  sn_output(m, "by_logits", by_logits);
}

static inline sn_t encdec_kept_length(sn_scope m) {
  return sn_state(m, "source_length.kept", (sn_sym(m, "B")), .dtype = SN_I32);
}
static inline void encdec_encode(sn_scope m, const encdec *e) {
  encdec_source memory = encdec_memory(m, e);
  e->keep(sn_with(m, .cache = e->context), memory.rows, e->c);
  sn_update(encdec_kept_length(m), memory.length);
  sn_output(m, "memory", memory.rows);
}
static inline void encdec_serve(sn_scope m, const encdec *e, sn_dim T) {
  sn_dim B = sn_sym(m, "B");
  sn_t tokens = sn_input(m, "tokens", SN_I32, (B, T)), start = sn_input(m, "start", SN_I32, (B));
  encdec_source kept = {.length = encdec_kept_length(m)};
  sn_scope cached = sn_with(m, .cache = e->context, .start = start);
  sn_output(m, "logits", e->head(m, e->decoder(cached, kept, tokens, e->c), e->c));
}

/* The last line of a model: its functions are encoder, decoder, keep, head, question and begin. */
#define ENCDEC_GRAPH(type, name, body)                                                                 \
  static void name(sn_scope m, const type *c) {                                                        \
    const encdec made = {encoder, decoder, keep, head, question, begin(c), c, c->context}, *e = &made; \
    body;                                                                                              \
  }
#define ENCDEC_MODEL(type)                                                                                         \
  ENCDEC_GRAPH(type, train, encdec_minimize(m, encdec_text_loss(sn_with(m, .train = true), e)))                    \
  ENCDEC_GRAPH(type, eval, sn_output(m, "loss", encdec_text_loss(m, e)))                                           \
  ENCDEC_GRAPH(type, pairs, encdec_minimize(m, encdec_loss(sn_with(m, .train = true), e)))                         \
  ENCDEC_GRAPH(type, eval_pairs, sn_output(m, "loss", encdec_loss(m, e)))                                          \
  ENCDEC_GRAPH(type, train_slots, encdec_minimize(m, encdec_slots_loss(sn_with(m, .train = true), e)))             \
  ENCDEC_GRAPH(type, eval_slots, sn_output(m, "loss", encdec_slots_loss(m, e)))                                    \
  ENCDEC_GRAPH(type, weighted, encdec_weighted(m, e))                                                              \
  ENCDEC_GRAPH(type, logits, sn_output(m, "logits", head(m, encdec_rows(m, e), c)))                                \
  ENCDEC_GRAPH(type, encode, encdec_encode(m, e))                                                                  \
  ENCDEC_GRAPH(type, prefill, encdec_serve(m, e, sn_sym(m, "T", .max = c->context)))                               \
  ENCDEC_GRAPH(type, decode, encdec_serve(m, e, sn_dim_of(1)))                                                     \
  SN_MODEL(type, type, train, eval, pairs, eval_pairs, train_slots, eval_slots, weighted, logits, encode, prefill, \
           decode)

#endif
