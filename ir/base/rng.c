/* Random numbers: Philox-4x32-10 and what is drawn from it, the same bits on every device. */
#include "ir/base/rng.h"

#include <math.h>
#include <string.h>

#include "ir/base/str.h"

/* Multipliers and key increments of the paper, table 2 and section 3. */
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u

void sn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)PHILOX_M0 * c[0], p1 = (uint64_t)PHILOX_M1 * c[2];
    c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
    c[3] = (uint32_t)p0;
    k0 += PHILOX_W0, k1 += PHILOX_W1;
  }
  memcpy(out, c, sizeof c);
}

float sn_uniform(uint64_t seed, uint64_t stream, uint32_t step, uint64_t element) {
  uint32_t counter[4] = {(uint32_t)element, (uint32_t)(element >> 32), (uint32_t)stream ^ step,
                         (uint32_t)(stream >> 32)};
  uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, out[4];
  sn_philox(counter, key, out);
  return (float)(out[0] >> 8) * 0x1p-24f;
}

uint64_t sn_stream_of(const char *name) { return sn_hash_bytes(name, strlen(name), 0); }

/* The next n words. Words come in blocks of four, each of which is computed once. */
static void next_words(sn_rng *r, int n, uint32_t *words) {
  const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
  uint32_t out[4];
  for (int i = 0; i < n; i++, r->count++) {
    uint64_t block = r->count / 4;
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)r->stream, (uint32_t)(r->stream >> 32)};
    if (!i || r->count % 4 == 0) sn_philox(counter, key, out);
    words[i] = out[r->count % 4];
  }
}

uint32_t sn_rng_u32(sn_rng *r) {
  uint32_t word;
  next_words(r, 1, &word);
  return word;
}

static uint64_t join(const uint32_t words[2]) { return (uint64_t)words[0] << 32 | words[1]; }

static uint64_t next_u64(sn_rng *r) {
  uint32_t words[2];
  next_words(r, 2, words);
  return join(words);
}

static double f64_of(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }

double sn_rng_f64(sn_rng *r) { return f64_of(next_u64(r)); }

double sn_rng_normal(sn_rng *r) {
  uint32_t words[4];
  next_words(r, 4, words);
  double u = 1.0 - f64_of(join(words)), v = f64_of(join(words + 2)); /* u in (0, 1] */
  return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t sn_rng_below(sn_rng *r, uint64_t n) {
  uint64_t excess = (0 - n) % n, x; /* 2^64 mod n numbers too many */
  do x = next_u64(r);
  while (x < excess);
  return x % n;
}
