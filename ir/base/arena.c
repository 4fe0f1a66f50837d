/* Arena: chunked bump allocation, and the escape that turns a failed allocation into SN_ERR_LIMIT. Below everything
 * else. */
#include "ir/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ir/base/memory.h"
#include "ir/base/status.h"

#if defined(__SANITIZE_ADDRESS__)
#define SN_ARENA_GUARDED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SN_ARENA_GUARDED 1
#endif
#endif

/* With the address sanitizer every block is followed by bytes that may not be touched. */
#ifdef SN_ARENA_GUARDED
#include <sanitizer/asan_interface.h>
enum { GUARD = 16 };
static void guard(void *at, size_t bytes) { __asan_poison_memory_region(at, bytes); }
static void unguard(void *at, size_t bytes) { __asan_unpoison_memory_region(at, bytes); }
#else
enum { GUARD = 0 };
static void guard(void *at, size_t bytes) { (void)at, (void)bytes; }
static void unguard(void *at, size_t bytes) { (void)at, (void)bytes; }
#endif

enum { ALIGN = 16 /* calloc's */, BLOCK_ALIGN = 64, CHUNK_FIRST = 4096, CHUNK_LAST = 16 << 20 };

typedef struct chunk {
  _Alignas(ALIGN) struct chunk *next; /* older; NULL: the one that is part of the arena's own block */
  size_t used, capacity;              /* bytes after the header */
} chunk;

struct sn_arena {
  const sn_allocator *allocator; /* NULL: the C library */
  chunk *newest;
  size_t next_capacity;    /* bytes of the next chunk */
  size_t bytes;            /* handed out */
  sn_arena **link, *after; /* of scratch: its place in the list of its sn_protect */
};

typedef struct frame {
  struct frame *outer;
  const sn_allocator *allocator;
  sn_arena *volatile scratch; /* dies when it is left early */
  volatile int code;          /* that it is left with */
  jmp_buf jump;
} frame;

/* The innermost sn_protect of each thread. */
static _Thread_local frame *innermost;

/* For sn_memory_wanted. */
static _Thread_local size_t wanted;

size_t sn_memory_wanted(void) { return wanted; }

void sn_protect_leave(int code) {
  if (!innermost) return;
  innermost->code = code;
  longjmp(innermost->jump, 1);
}

static _Noreturn void out_of_memory(size_t bytes) {
  wanted = bytes < SIZE_MAX ? bytes : 0; /* SIZE_MAX: not a size that anyone asked for */
  sn_protect_leave(SN_ERR_LIMIT);
  abort();
}

/* Large blocks lie in large pages where the system gives them: rows of tensors are often a page apart, and every page
 * needs an entry of the address cache. A hint only. */
static void want_large_pages(void *at, size_t bytes) {
#ifdef MADV_HUGEPAGE
  uintptr_t large = (uintptr_t)2 << 20, from = ((uintptr_t)at + large - 1) & -large,
            to = ((uintptr_t)at + bytes) & -large;
  if (from < to) (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
  (void)at, (void)bytes;
#endif
}

/* Zeroed bytes from an allocator. The C library's are not touched where the system gave them as zeros. */
static void *take(const sn_allocator *a, size_t bytes, size_t align) {
  if (!a) return calloc(1, bytes);
  void *at = a->alloc(a->user, bytes, align);
  return at ? memset(at, 0, bytes) : NULL;
}

static void give(const sn_allocator *a, void *at, size_t bytes) {
  if (a)
    a->free(a->user, at, bytes);
  else
    free(at);
}

static const sn_allocator *current(void) { return innermost ? innermost->allocator : NULL; }

static unsigned char *chunk_data(chunk *c) { return (unsigned char *)(c + 1); }

static void chunk_add(sn_arena *a, size_t bytes) {
  size_t capacity = a->next_capacity;
  if (a->next_capacity < CHUNK_LAST) a->next_capacity *= 2;
  if (capacity < bytes) capacity = bytes;
  chunk *c = take(a->allocator, sizeof *c + capacity, ALIGN);
  if (!c) out_of_memory(bytes);
  if (!a->allocator) want_large_pages(c, sizeof *c + capacity);
  c->capacity = capacity;
  c->next = a->newest;
  a->newest = c;
  guard(chunk_data(c), capacity);
}

/* What every arena starts with: small things made right after sn_arena_create never fail. */
typedef struct block_first {
  sn_arena arena;
  chunk first;
  unsigned char room[CHUNK_FIRST];
} block_first;

sn_arena *sn_arena_create(void) {
  const sn_allocator *allocator = current();
  block_first *b = take(allocator, sizeof *b, ALIGN);
  if (!b) return NULL;
  b->first.capacity = CHUNK_FIRST;
  b->arena = (sn_arena){.allocator = allocator, .newest = &b->first, .next_capacity = 2 * CHUNK_FIRST};
  guard(chunk_data(&b->first), CHUNK_FIRST);
  return &b->arena;
}

static void unlink_scratch(sn_arena *a) {
  if (a->link) *a->link = a->after;
  if (a->after) a->after->link = a->link;
  a->link = NULL, a->after = NULL;
}

sn_arena *sn_arena_scratch(void) {
  sn_arena *a = sn_arena_create();
  if (!a || !innermost) return a;
  a->link = (sn_arena **)&innermost->scratch;
  a->after = innermost->scratch;
  if (a->after) a->after->link = &a->after;
  innermost->scratch = a;
  return a;
}

sn_arena *sn_arena_needed(void) {
  sn_arena *a = sn_arena_scratch();
  if (!a) out_of_memory(sizeof(block_first));
  return a;
}

void sn_arena_destroy(sn_arena *a) {
  if (!a) return;
  unlink_scratch(a);
  for (chunk *c = a->newest, *next; c; c = next) {
    next = c->next;
    unguard(chunk_data(c), c->capacity);
    if (next) give(a->allocator, c, sizeof *c + c->capacity);
  }
  give(a->allocator, a, sizeof(block_first));
}

void *sn_arena_alloc(sn_arena *a, size_t bytes) {
  if (bytes > PTRDIFF_MAX / 2) out_of_memory(bytes);
  size_t need = (bytes + (bytes == 0) + ALIGN - 1) / ALIGN * ALIGN;
  if (a->newest->capacity - a->newest->used < need + GUARD) chunk_add(a, need + GUARD);
  chunk *c = a->newest;
  void *at = chunk_data(c) + c->used;
  unguard(at, bytes);
  c->used += need + GUARD;
  a->bytes += need;
  return at;
}

void *sn_arena_array(sn_arena *a, size_t count, size_t bytes) {
  if (bytes && count > SIZE_MAX / bytes) out_of_memory(SIZE_MAX);
  return sn_arena_alloc(a, count * bytes);
}

void *sn_arena_copy(sn_arena *a, const void *data, size_t bytes) {
  void *at = sn_arena_alloc(a, bytes);
  if (bytes) memcpy(at, data, bytes);
  return at;
}

char *sn_arena_strdup(sn_arena *a, const char *s) { return sn_arena_copy(a, s, strlen(s) + 1); }

char *sn_arena_printf(sn_arena *a, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int count = vsnprintf(NULL, 0, format, args);
  char *at = sn_arena_alloc(a, count < 0 ? 1 : (size_t)count + 1);
  if (count >= 0) vsnprintf(at, (size_t)count + 1, format, again);
  va_end(again);
  va_end(args);
  return at;
}

size_t sn_arena_bytes(const sn_arena *a) { return a->bytes; }

void *sn_arena_grow(sn_arena *a, void *at, size_t count, int *capacity, size_t element_bytes) {
  if (count < (size_t)*capacity) return at;
  if (count > INT32_MAX / 2) out_of_memory(2 * count * element_bytes);
  size_t grown = count < 4 ? 8 : count * 2;
  void *to = sn_arena_array(a, grown, element_bytes);
  if (count) memcpy(to, at, count * element_bytes);
  *capacity = (int)grown;
  return to;
}

/* What stands before a block. */
typedef struct block {
  _Alignas(BLOCK_ALIGN) const sn_allocator *allocator;
  void *start;  /* of what the allocator gave */
  size_t bytes; /* of it */
} block;

void *sn_block_alloc(size_t bytes) {
  if (bytes > PTRDIFF_MAX / 2) return NULL;
  const sn_allocator *a = current();
  size_t all = sizeof(block) + bytes + (a ? 0 : BLOCK_ALIGN - ALIGN);
  char *start = take(a, all, BLOCK_ALIGN);
  if (!start) return NULL;
  if (!a) want_large_pages(start, all);
  block *b = (block *)(start + -(uintptr_t)start % BLOCK_ALIGN);
  *b = (block){a, start, all};
  guard(b, sizeof *b);
  return b + 1;
}

void sn_block_free(void *at) {
  if (!at) return;
  block *b = (block *)at - 1;
  unguard(b, sizeof *b);
  give(b->allocator, b->start, b->bytes);
}

int sn_protect_with(const sn_allocator *allocator, int (*fn)(void *arg), void *arg) {
  frame here = {.outer = innermost, .allocator = allocator};
  if (setjmp(here.jump)) {
    innermost = here.outer;
    while (here.scratch) sn_arena_destroy(here.scratch);
    return here.code;
  }
  innermost = &here;
  int code = fn(arg);
  innermost = here.outer;
  while (here.scratch) unlink_scratch(here.scratch);
  return code;
}

int sn_protect(int (*fn)(void *arg), void *arg) { return sn_protect_with(current(), fn, arg); }
