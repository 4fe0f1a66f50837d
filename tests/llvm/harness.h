/* What tests and benchmarks of generated CPU code share: loading an image, running it, comparing with the interpreter.
 */
#ifndef SN_TESTS_LLVM_HARNESS_H
#define SN_TESTS_LLVM_HARNESS_H

#include "backends/llvm/llvm_backend.h"
#include "ir/ref/kinterp.h"

typedef void (*hx_fn)(const sn_karg *args, void *ws, int64_t lo, int64_t hi);

/* Executable code of one kernel with a workspace for one thread. */
typedef struct hx_code {
  hx_fn fn;
  void *map, *ws;
  size_t map_bytes;
  int64_t workspace_bytes;
} hx_code;

/* Generates and maps, writable first, then executable. Fails the test with the diagnostics and the kernel's text. */
hx_code hx_build(const sn_target *t, const sn_kernel *k);
void hx_free(hx_code *c);

/* Can this machine run code of a level? */
bool hx_can_run(sn_isa isa);
/* Facts of a level; with bf16 conversions where the host has them and `extras` is set. */
sn_target hx_target(sn_isa isa, bool extras);

/* Runs all instances on the workspace filled with NaN: forwards in one call, or in pieces of one to three from the last
 * to the first, of which a call each runs the first instance and the others. */
void hx_run(const hx_code *c, const sn_kernel *k, const sn_karg *args, bool pieces);

/* One buffer between guard words, 64-byte aligned; filled with 0xff. */
typedef struct hx_buffer {
  void *data;
  int64_t elements;
  sn_elem elem;
  char *base;
  size_t bytes;
} hx_buffer;
hx_buffer hx_buffer_create(sn_elem e, int64_t elements);
void hx_buffer_free(hx_buffer *b);
bool hx_buffer_intact(const hx_buffer *b); /* guard words */
/* Uniform values in [-scale/2, scale/2) from a counter-based generator. */
void hx_fill(hx_buffer *b, uint64_t seed, double scale);
double hx_get(const hx_buffer *b, int64_t i);

/* Runs kernel and interpreter; every output must agree within `tolerance` * (1 + |x|), at once and in pieces with equal
 * bits. `outputs`: which parameters are compared. Sizes in args. */
void hx_check(const sn_target *t, const sn_kernel *k, const sn_karg *args, const hx_buffer *buffers, double tolerance);

double hx_now(void); /* seconds */

#endif
