/* Where memory comes from: two functions that a program may give. */
#ifndef SN_IR_BASE_ALLOCATOR_H
#define SN_IR_BASE_ALLOCATOR_H

#include <stddef.h>

/* Both functions may be called from several threads at once. */
typedef struct sn_allocator {
  /* `bytes` bytes aligned to `align` (a power of two, at most 64); NULL when there are none. */
  void *(*alloc)(void *user, size_t bytes, size_t align);
  /* What alloc returned for `bytes`. */
  void (*free)(void *user, void *at, size_t bytes);
  void *user;
} sn_allocator;

#endif
