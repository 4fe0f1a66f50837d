/* Rebuilds a kernel with replacements: what every kernel pass is made of. Values keep their order; nothing is shared
 * with the old kernel except strings' contents.
 *
 *   static sn_kv visit(sn_krewrite *w, sn_kv v) { ... sn_krewrite_value(w, operand) ... return new value, or 0 to copy;
 * } sn_krewrite w = {.visit = visit, .fold = true}; sn_kernel *result = sn_krewrite_run(&w, arena, old); */
#ifndef SN_IR_KERNEL_REWRITE_H
#define SN_IR_KERNEL_REWRITE_H

#include "ir/kernel/kernel.h"

typedef struct sn_krewrite sn_krewrite;
struct sn_krewrite {
  const sn_kernel *from;
  sn_kernel *to;
  sn_kv *map;                /* per old value: its new value, 0: none yet */
  bool fold;                 /* index values and limits go through the folding builder, else stay as they are */
  const unsigned char *live; /* per old value: keep it; NULL: keep all */
  const int *inline_names;   /* constants with name 0 are made anew in front of each user; NULL: copied in place */
  sn_kv (*visit)(sn_krewrite *w,
                 sn_kv v); /* called before a listed instruction is copied: its replacement, 0: copy; may be NULL */
  void (*enter)(sn_krewrite *w, sn_kv statement, int side); /* in a body, before its first instruction; may be NULL */
  void (*leave)(sn_krewrite *w, sn_kv statement, int side); /* in a body, after its yields were mapped; may be NULL */
  void *user;
};

sn_kernel *sn_krewrite_run(sn_krewrite *w, sn_arena *arena, const sn_kernel *from);
/* New value of an old one: buffers, tiles and index expressions. */
sn_kv sn_krewrite_value(sn_krewrite *w, sn_kv v);
/* Copies one listed instruction with mapped operands; 0 for statements. */
sn_kv sn_krewrite_copy(sn_krewrite *w, sn_kv v);
/* Copies the instructions of a block to the insertion point; the loop variable and carried values around it must be
 * mapped. */
void sn_krewrite_block(sn_krewrite *w, const sn_kblock *b);

/* One instruction exactly as given at the insertion point. */
sn_kv sn_k_emit(sn_kernel *k, sn_kop op, sn_ktype t, int count, const sn_kv *a, int64_t i, double f);
/* The value of element type e nearest to v (integers: truncated and saturated): what a constant of that type holds. */
double sn_k_round_to(sn_elem e, double v);
/* Least value that index a - b can have; INT64_MIN when unknown. b 0: that of a. */
int64_t sn_k_least_difference(const sn_kernel *k, sn_kv a, sn_kv b);

#endif
