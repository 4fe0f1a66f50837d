/* Arena: memory of one lifetime. Compile-time data is allocated here and dropped all at once. */
#ifndef SN_IR_BASE_ARENA_H
#define SN_IR_BASE_ARENA_H

#include <stddef.h>

#include "ir/base/allocator.h"

#ifdef __GNUC__
#pragma GCC visibility push(default) /* loaded backends call these */
#endif

typedef struct sn_arena sn_arena;

/* Creates an empty arena; NULL when out of memory. Its memory comes from the allocator of the innermost sn_protect.
 *   owns: the caller */
sn_arena *sn_arena_create(void);
/* The same, for memory that the calling function destroys before it returns: when memory runs out meanwhile, the
 * sn_protect that stops it destroys the arena. */
sn_arena *sn_arena_scratch(void);
/* The same, never NULL: for functions that cannot say that memory ran out. needs: as sn_arena_alloc */
sn_arena *sn_arena_needed(void);
/* Frees everything allocated from it. NULL is allowed. */
void sn_arena_destroy(sn_arena *a);

/* `bytes` zeroed bytes, aligned to 16. Never returns NULL: when memory runs out, control goes to the
 * innermost sn_protect of this thread, which returns SN_ERR_LIMIT.   needs: to run inside sn_protect
 * (outside of it the process ends; only tests and tools may do that). */
void *sn_arena_alloc(sn_arena *a, size_t bytes);
/* count * bytes with an overflow check. */
void *sn_arena_array(sn_arena *a, size_t count, size_t bytes);
/* A copy of `bytes` bytes. */
void *sn_arena_copy(sn_arena *a, const void *data, size_t bytes);
char *sn_arena_strdup(sn_arena *a, const char *s);
char *sn_arena_printf(sn_arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes handed out so far. */
size_t sn_arena_bytes(const sn_arena *a);

/* Typed helpers. */
#define SN_NEW(arena, type) ((type *)sn_arena_alloc((arena), sizeof(type)))
#define SN_ARRAY(arena, count, type) ((type *)sn_arena_array((arena), (size_t)(count), sizeof(type)))

/* Makes room for one more element in an arena array that is doubled when full:
 *   SN_GROW(arena, list->at, list->count, list->capacity); list->at[list->count++] = x; */
#define SN_GROW(arena, at, count, capacity) \
  ((at) = sn_arena_grow((arena), (at), (size_t)(count), &(capacity), sizeof *(at)))
void *sn_arena_grow(sn_arena *a, void *at, size_t count, int *capacity, size_t element_bytes);

/* Calls fn(arg) so that an allocation failure inside returns SN_ERR_LIMIT (4) instead of ending the
 * process. Nests. Returns what fn returned otherwise. Resources that are not arenas must not be
 * acquired between allocations inside fn. */
int sn_protect(int (*fn)(void *arg), void *arg);
/* The same; arenas and blocks made inside, also inside of inner sn_protect of this thread, come from `allocator` (NULL:
 * the C library).   keeps: allocator, until all of them are freed */
int sn_protect_with(const sn_allocator *allocator, int (*fn)(void *arg), void *arg);
/* Ends the innermost sn_protect of this thread, which returns `code`, as a failed allocation does; returns where there
 * is none. Also for handlers of signals that the interrupted code cannot go on from. */
void sn_protect_leave(int code);

/* `bytes` zeroed bytes, aligned to 64, from the allocator of the innermost sn_protect; NULL when out of memory.
 *   owns: the caller, sn_block_free */
void *sn_block_alloc(size_t bytes);
void sn_block_free(void *at); /* NULL is allowed; from any thread, inside or outside of sn_protect */

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
