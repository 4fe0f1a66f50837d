/* Plans of one program for several feature levels of the processor, as one piece of a file; the best that the processor
 * and the system offer is taken when it is loaded. Weights are not in it: they are the same for all levels.
 *   head:  "SNLEVEL1", u32 number of levels, u32 zero, u64 bytes of the whole, u64 hash of the table
 *   table: per level, ascending: char[16] name, char[192] features that its code needs, u64 offset, u64 bytes
 *   plans: each as ir/plan/write.c has it, at a multiple of 64 bytes */
#ifndef SN_RUNTIME_IO_LEVELS_H
#define SN_RUNTIME_IO_LEVELS_H

#include "ir/plan/plan.h"

enum { SN_LEVELS_MAX = 8, SN_LEVEL_NAME_BYTES = 16, SN_LEVEL_FEATURES_BYTES = 192 };

typedef struct sn_level {
  const char *name;     /* "avx2"; "" for a plan that stands alone */
  const char *features; /* as sn_code_blob.features; "": what the code says itself */
  const void *plan;     /* in binary form */
  size_t bytes;         /* of it */
} sn_level;

typedef struct sn_levels {
  int count;
  sn_level at[SN_LEVELS_MAX]; /* ascending: the last that runs is the best */
} sn_levels;

/* needs: 1 to SN_LEVELS_MAX levels, names and features that fit. owns: arena; out of memory ends as in sn_protect. */
void sn_levels_write(sn_arena *arena, const sn_levels *l, unsigned char **out, size_t *out_bytes);
/* Finds the plans in such a piece; a plan alone is one level without a name. `out` points into data.
 *   errors: SN_ERR_INPUT the table is damaged (expected, found). Plans are checked when they are read. */
SN_MUST sn_code sn_levels_read(sn_diags *diags, const char *file, const void *data, size_t bytes, sn_levels *out);
/* The last level whose features the processor and the system offer.
 *   errors: SN_ERR_DEVICE none: what the lowest one lacks; SN_ERR_USAGE as sn_cpu_check */
SN_MUST sn_code sn_levels_choose(const sn_levels *l, const char *file, sn_diags *diags, const sn_level **out);
/* The plan of the level that is chosen. */
SN_MUST sn_code sn_levels_plan(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                               sn_plan **out);

#endif
