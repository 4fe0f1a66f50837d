/* What the files of the kernel interpreter share. */
#ifndef SN_IR_REF_KINTERP_IMPL_H
#define SN_IR_REF_KINTERP_IMPL_H

#include "ir/ref/kinterp.h"

/* One element: f for float types, i for integers and bool. */
typedef union sn_kcell {
  double f;
  int64_t i;
} sn_kcell;

/* What is known of one buffer's elements while checking. */
typedef struct sn_kmem {
  void *data;
  int64_t elements;
  sn_elem elem;
  sn_krole role;                 /* INOUT for scratch */
  int64_t *writer;               /* instance + 1 that stored it; NULL: not recorded */
  int64_t *reader;               /* instance + 1 that loaded it, -1: several; NULL: not recorded */
  unsigned char *defined;        /* scratch: stored since the LOCAL */
  unsigned char *read, *written; /* bitmaps */
} sn_kmem;

typedef struct sn_kenv {
  sn_kinterp *in;
  const sn_kernel *k;
  sn_arena *arena;
  int64_t gid[3], instance;
  int64_t *iv;              /* per value: current loop variable */
  sn_kcell **tile, **other; /* per value: its tile; a second one for carries */
  sn_kmem *param, **local;  /* per parameter; per LOCAL value */
  unsigned char *inexact;   /* per value: floats that depend on rounding */
  sn_code failed;
} sn_kenv;

/* Records the first failure, with the instruction and the instance. */
void sn_kenv_fail(sn_kenv *e, sn_kv v, const char *format, ...) SN_PRINTF(3, 4);
int64_t sn_kenv_index(sn_kenv *e, sn_kv user, sn_kv v);
sn_kcell *sn_kenv_tile(sn_kenv *e, sn_kv v); /* allocated at first use */

/* kinterp_mem.c */
sn_kcell sn_kcell_get(const void *data, sn_elem e, int64_t i);
void sn_kcell_set(void *data, sn_elem e, int64_t i, sn_kcell c);
void sn_kenv_access(sn_kenv *e, sn_kv v); /* LOAD, STORE, GATHER */
void sn_kenv_local(sn_kenv *e, sn_kv v);
void sn_kenv_memory_begin(sn_kenv *e);
void sn_kenv_memory_end(sn_kenv *e);

/* kinterp_ops.c: tiles from tiles */
void sn_kenv_compute(sn_kenv *e, sn_kv v);
void sn_kenv_find_inexact(sn_kenv *e, const sn_kblock *b);

#endif
