/* Counter-based random numbers: Philox-4x32-10, the same bits on every device.
 *   source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3" */
#ifndef SN_IR_BASE_RNG_H
#define SN_IR_BASE_RNG_H

#include <stdint.h>

/* out = philox(counter, key), 10 rounds. */
void sn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* The number that op `uniform` gives to one element: counter = (element low, element high,
 * stream low ^ step, stream high), key = seed; the first output word, its high 24 bits times 2^-24:
 * in [0, 1), exact in f32. */
float sn_uniform(uint64_t seed, uint64_t stream, uint32_t step, uint64_t element);

/* The random stream of a full name ("h.3.attn_drop"). */
uint64_t sn_stream_of(const char *name);

/* A sequential generator for hosts (shuffles, sampling, initial values). */
typedef struct sn_rng {
  uint64_t seed, stream, count;
} sn_rng;
uint32_t sn_rng_u32(sn_rng *r);
double sn_rng_f64(sn_rng *r);                 /* [0, 1), 53 bits */
double sn_rng_normal(sn_rng *r);              /* Box-Muller, one of the pair */
uint64_t sn_rng_below(sn_rng *r, uint64_t n); /* unbiased, n > 0 */

#endif
