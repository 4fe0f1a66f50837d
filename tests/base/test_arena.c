/* Arena, protected calls and maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/arena.h"
#include "ir/base/map.h"
#include "ir/base/rng.h"
#include "ir/base/status.h"

static void blocks_are_apart(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  unsigned char *block[600];
  sn_rng r = {.seed = 1};
  size_t bytes[600];
  for (int i = 0; i < 600; i++) {
    bytes[i] = (size_t)sn_rng_below(&r, i % 50 == 0 ? 100000 : 300);
    block[i] = sn_arena_alloc(a, bytes[i]);
    assert_int_equal((uintptr_t)block[i] % 16, 0);
    for (size_t k = 0; k < bytes[i]; k++) assert_int_equal(block[i][k], 0);
    memset(block[i], i & 255, bytes[i]);
  }
  for (int i = 0; i < 600; i++) {
    for (size_t k = 0; k < bytes[i]; k++) assert_int_equal(block[i][k], i & 255);
  }
  assert_true(sn_arena_bytes(a) > 600 * 100);
  sn_arena_destroy(a);
  sn_arena_destroy(NULL);
}

typedef struct ledger {
  size_t bytes; /* out at this moment */
  int calls, fail_at;
} ledger;

static void *ledger_alloc(void *user, size_t bytes, size_t align) {
  ledger *l = user;
  if (++l->calls == l->fail_at) return NULL;
  l->bytes += bytes;
  void *at = aligned_alloc(align, (bytes + align - 1) / align * align);
  memset(at, 0xa5, bytes);
  return at;
}

static void ledger_free(void *user, void *at, size_t bytes) {
  ((ledger *)user)->bytes -= bytes;
  free(at);
}

typedef struct made {
  sn_arena *arena;
  unsigned char *block;
} made;

static int make(void *arg) {
  made *m = arg;
  if (!(m->arena = sn_arena_create())) return 4;
  m->block = sn_block_alloc(1000);
  sn_arena_alloc(m->arena, 100000);
  return m->block ? 0 : 4;
}

static int make_inside(void *arg) { return sn_protect(make, arg); }

static int scratch_and_fail(void *arg) {
  made *m = arg;
  sn_arena *kept = sn_arena_scratch(), *gone = sn_arena_scratch(), *also = sn_arena_scratch();
  sn_arena_destroy(gone);
  sn_arena_alloc(kept, 100);
  m->arena = also;
  sn_arena_alloc(kept, PTRDIFF_MAX); /* does not return */
  return 0;
}

static int scratch_and_return(void *arg) {
  made *m = arg;
  m->arena = sn_arena_scratch();
  return 0;
}

static void scratch_dies_with_a_failure(void **state) {
  (void)state;
  ledger l = {0};
  sn_allocator a = {ledger_alloc, ledger_free, &l};
  made m = {0};
  assert_int_equal(sn_protect_with(&a, scratch_and_fail, &m), 4);
  assert_int_equal(l.bytes, 0);
  assert_int_equal(sn_protect_with(&a, scratch_and_return, &m), 0);
  assert_true(l.bytes > 0);
  sn_arena_destroy(m.arena);
  assert_int_equal(l.bytes, 0);
  sn_arena_destroy(sn_arena_scratch());
}

static void memory_comes_from_the_allocator(void **state) {
  (void)state;
  ledger l = {0};
  sn_allocator a = {ledger_alloc, ledger_free, &l};
  made m = {0};
  assert_int_equal(sn_protect_with(&a, make_inside, &m), 0);
  assert_true(l.bytes > 101000);
  assert_int_equal((uintptr_t)m.block % 64, 0);
  for (int i = 0; i < 1000; i++) assert_int_equal(m.block[i], 0);
  sn_block_free(m.block);
  sn_block_free(NULL);
  size_t before = l.bytes;
  sn_arena_alloc(m.arena, 1 << 20); /* outside: still from there */
  assert_true(l.bytes > before + (1 << 20));
  sn_arena_destroy(m.arena);
  assert_int_equal(l.bytes, 0);
  for (int n = l.calls; n > 0; n--) { /* none of its failures ends the process */
    l = (ledger){.fail_at = n};
    m = (made){0};
    int code = sn_protect_with(&a, make_inside, &m);
    assert_true(code == 4 || !m.arena || n > l.calls);
    sn_block_free(m.block);
    sn_arena_destroy(m.arena);
    assert_int_equal(l.bytes, 0);
  }
}

static void helpers(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  assert_string_equal(sn_arena_strdup(a, "abc"), "abc");
  assert_string_equal(sn_arena_printf(a, "%d-%s", 5, "x"), "5-x");
  int *at = NULL, count = 0, capacity = 0;
  for (int i = 0; i < 1000; i++) {
    SN_GROW(a, at, count, capacity);
    at[count++] = i;
  }
  for (int i = 0; i < 1000; i++) assert_int_equal(at[i], i);
  sn_arena_destroy(a);
}

typedef struct request {
  sn_arena *arena;
  size_t count, bytes;
  int returns;
} request;

static int allocate(void *arg) {
  request *q = arg;
  sn_arena_array(q->arena, q->count, q->bytes);
  return q->returns;
}

static int nested(void *arg) {
  request *q = arg;
  int inner = sn_protect(allocate, q);
  q->count = 1;
  return inner == SN_ERR_LIMIT ? sn_protect(allocate, q) : SN_ERR_FAIL;
}

static void out_of_memory(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  assert_int_equal(sn_protect(allocate, &(request){a, 10, 10, 7}), 7);
  assert_int_equal(sn_protect(allocate, &(request){a, 1, SIZE_MAX / 2, 0}), SN_ERR_LIMIT);
  assert_int_equal(sn_protect(allocate, &(request){a, SIZE_MAX / 2, 3, 0}), SN_ERR_LIMIT);
  assert_int_equal(sn_protect(allocate, &(request){a, SIZE_MAX, SIZE_MAX, 0}), SN_ERR_LIMIT);
  assert_int_equal(sn_protect(nested, &(request){a, SIZE_MAX / 2, 1, 0}), SN_OK);
  assert_non_null(sn_arena_alloc(a, 16)); /* still usable */
  sn_arena_destroy(a);
}

static void maps(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_map *m = sn_map_create(a);
  static int value[2000];
  char name[32];
  assert_null(sn_map_get(m, 0));
  assert_null(sn_map_get_str(m, ""));
  for (int i = 0; i < 1000; i++) {
    snprintf(name, sizeof name, "key%d", i);
    sn_map_put(m, (uint64_t)i * 1024, &value[2 * i]);
    sn_map_put_str(m, name, &value[2 * i + 1]);
  }
  for (int i = 0; i < 1000; i++) {
    const char *key = "";
    snprintf(name, sizeof name, "key%d", i);
    assert_ptr_equal(sn_map_get(m, (uint64_t)i * 1024), &value[2 * i]);
    assert_ptr_equal(sn_map_get_str(m, name), &value[2 * i + 1]);
    assert_null(sn_map_get(m, (uint64_t)i * 1024 + 1));
    assert_ptr_equal(sn_map_at(m, 2 * i, &key), &value[2 * i]);
    assert_null(key);
    assert_ptr_equal(sn_map_at(m, 2 * i + 1, &key), &value[2 * i + 1]);
    assert_string_equal(key, name);
  }
  sn_map_put(m, 0, &value[5]);
  assert_ptr_equal(sn_map_get(m, 0), &value[5]);
  assert_int_equal(sn_map_count(m), 2000);
  sn_arena_destroy(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_are_apart),
      cmocka_unit_test(memory_comes_from_the_allocator),
      cmocka_unit_test(scratch_dies_with_a_failure),
      cmocka_unit_test(helpers),
      cmocka_unit_test(out_of_memory),
      cmocka_unit_test(maps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
