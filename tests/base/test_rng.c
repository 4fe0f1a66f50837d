/* Philox against its published vectors, drawn numbers, and narrow floats against arithmetic. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/half.h"
#include "ir/base/rng.h"

/* source: kat_vectors of the authors' Random123 library */
static void known_answers(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], out[4];
  } cases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint32_t out[4];
    sn_philox(cases[i].counter, cases[i].key, out);
    assert_memory_equal(out, cases[i].out, sizeof out);
  }
}

static void uniform(void **state) {
  (void)state;
  double sum = 0;
  assert_true(sn_uniform(0, 0, 0, 0) == (float)(0x6627e8d5 >> 8) * 0x1p-24f);
  for (uint64_t i = 0; i < 20000; i++) {
    float x = sn_uniform(7, sn_stream_of("h.3.attn_drop"), 5, i);
    assert_true(x >= 0 && x < 1);
    sum += (double)x;
  }
  assert_true(fabs(sum / 20000 - 0.5) < 0.01);
  assert_true(sn_uniform(7, 1, 0, 3) != sn_uniform(7, 1, 1, 3));
  assert_true(sn_stream_of("a") != sn_stream_of("b"));
}

static void sequential(void **state) {
  (void)state;
  sn_rng a = {.seed = 3, .stream = 9}, b = a, c = {.seed = 3, .stream = 10};
  double sum = 0, squares = 0;
  int seen[7] = {0}, equal = 0;
  for (int i = 0; i < 100; i++) {
    uint32_t x = sn_rng_u32(&a);
    assert_int_equal(x, sn_rng_u32(&b));
    equal += x == sn_rng_u32(&c);
  }
  assert_int_equal(equal, 0);
  for (int i = 0; i < 20000; i++) {
    double x = sn_rng_normal(&a), u = sn_rng_f64(&a);
    assert_true(u >= 0 && u < 1);
    sum += x, squares += x * x;
    seen[sn_rng_below(&a, 7)]++;
  }
  assert_true(fabs(sum / 20000) < 0.03 && fabs(squares / 20000 - 1) < 0.05);
  for (int i = 0; i < 7; i++) assert_in_range(seen[i], 2500, 3200);
  assert_int_equal(sn_rng_below(&a, 1), 0);
}

static double f64_of(const uint32_t w[2]) { return (double)(((uint64_t)w[0] << 32 | w[1]) >> 11) * 0x1p-53; }

/* Whatever is drawn, and wherever in a block of four words: it takes the next words of the sequence. */
static void draws_take_words_in_order(void **state) {
  (void)state;
  for (int skip = 0; skip < 8; skip++) {
    sn_rng a = {.seed = 3, .stream = 9}, b = a;
    uint32_t w[6];
    for (int i = 0; i < skip; i++) assert_int_equal(sn_rng_u32(&a), sn_rng_u32(&b));
    for (int i = 0; i < 6; i++) w[i] = sn_rng_u32(&b);
    assert_true(sn_rng_normal(&a) == sqrt(-2 * log(1 - f64_of(w))) * cos(6.283185307179586 * f64_of(w + 2)));
    assert_true(sn_rng_f64(&a) == f64_of(w + 4));
    assert_true(a.count == b.count);
  }
}

static float float_of(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

/* Every pattern comes back; between neighbours the nearer one is taken, ties go to the even one. */
static void check_narrow(float (*wide)(uint16_t), uint16_t (*narrow)(float), uint16_t infinity) {
  for (uint32_t u = 0; u < 65536; u++) {
    float x = wide((uint16_t)u);
    if (isnan(x)) {
      assert_true(isnan(wide(narrow(x))));
    } else {
      assert_int_equal(narrow(x), u);
    }
  }
  for (uint16_t u = 0; u < infinity - 1; u++) {
    float middle = (float)(((double)wide(u) + (double)wide((uint16_t)(u + 1))) / 2);
    assert_int_equal(narrow(middle), u + (u & 1));
    assert_int_equal(narrow(nextafterf(middle, 0)), u);
    assert_int_equal(narrow(nextafterf(middle, INFINITY)), u + 1);
    assert_int_equal(narrow(-middle), 0x8000 | (u + (u & 1)));
  }
}

/* The same for one byte: every pattern, every middle between neighbours, and what is too large. */
static void check_byte(float (*wide)(uint8_t), uint8_t (*narrow)(float), uint8_t largest) {
  for (uint32_t u = 0; u < 256; u++) {
    float x = wide((uint8_t)u);
    if (isnan(x))
      assert_true(isnan(wide(narrow(x))) && !signbit(wide(narrow(x))) == (u < 128));
    else
      assert_int_equal(narrow(x), u);
  }
  for (uint8_t u = 0; u < largest; u++) {
    float middle = (wide(u) + wide((uint8_t)(u + 1))) / 2;
    assert_int_equal(narrow(middle), u + (u & 1));
    assert_int_equal(narrow(nextafterf(middle, 0)), u);
    assert_int_equal(narrow(nextafterf(middle, INFINITY)), u + 1);
    assert_int_equal(narrow(-middle), 0x80 | (u + (u & 1)));
  }
  assert_int_equal(narrow(FLT_MAX), largest);
  assert_int_equal(narrow(-FLT_MAX), 0x80 | largest);
  assert_int_equal(narrow(wide(largest) * 1.01f), largest);
  assert_int_equal(narrow(1e-30f), 0);
}

static void floats_of_one_byte(void **state) {
  (void)state;
  check_byte(sn_f32_from_f8e4m3, sn_f8e4m3_from_f32, 0x7e);
  check_byte(sn_f32_from_f8e5m2, sn_f8e5m2_from_f32, 0x7b);
  assert_true(sn_f32_from_f8e4m3(0x7e) == 448 && sn_f32_from_f8e4m3(0x01) == 0x1p-9f && sn_f32_from_f8e4m3(0x38) == 1);
  assert_true(sn_f32_from_f8e5m2(0x7b) == 57344 && sn_f32_from_f8e5m2(0x01) == 0x1p-16f);
  assert_int_equal(sn_f8e4m3_from_f32(INFINITY), 0x7f); /* it has no infinity: NaN */
  assert_int_equal(sn_f8e5m2_from_f32(-INFINITY), 0xfc);
  assert_true(isinf(sn_f32_from_f8e5m2(0x7c)) && isnan(sn_f32_from_f8e5m2(0x7d)));
}

static void narrow_floats(void **state) {
  (void)state;
  check_narrow(sn_f32_from_bf16, sn_bf16_from_f32, 0x7f80);
  check_narrow(sn_f32_from_f16, sn_f16_from_f32, 0x7c00);
  assert_int_equal(sn_f16_from_f32(65519), 0x7bff);
  assert_int_equal(sn_f16_from_f32(65520), 0x7c00);
  assert_int_equal(sn_f16_from_f32(1e-10f), 0);
  assert_int_equal(sn_bf16_from_f32(3.4e38f), 0x7f80);
  assert_int_equal(sn_bf16_from_f32(float_of(0x7f800001)), 0x7fc0); /* stays a NaN, and quiet */
  assert_int_equal(sn_f16_from_f32(float_of(0xff800001)), 0xfe00);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_answers), cmocka_unit_test(uniform),
      cmocka_unit_test(sequential),    cmocka_unit_test(draws_take_words_in_order),
      cmocka_unit_test(narrow_floats), cmocka_unit_test(floats_of_one_byte),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
