/* Facts of a device as plain numbers: all that schedule writers may know of it. */
#ifndef SN_IR_TYPES_TARGET_H
#define SN_IR_TYPES_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/base/status.h"
#include "ir/base/str.h"

#ifdef __GNUC__
#pragma GCC visibility push(default) /* loaded backends call these */
#endif

typedef enum sn_isa {                  /* CPU feature levels, ascending */
                      SN_ISA_BASELINE, /* what every machine of the architecture has (x86-64: SSE2) */
                      SN_ISA_AVX2,     /* AVX2, FMA, F16C */
                      SN_ISA_AVX512,   /* AVX-512 F BW DQ VL */
                      SN_ISA_AMX,      /* AVX-512 with BF16 and AMX tiles */
} sn_isa;

typedef struct sn_gpu_matrix { /* a product of cooperative matrices of a subgroup, m 0: there is none; sums in f32, of
                                  i8 in i32 */
  int m, n, k;
} sn_gpu_matrix;

typedef struct sn_gpu {        /* facts of a Vulkan device */
  int subgroup;                /* invocations; 0: no shuffles between them */
  int shared_bytes;            /* of a workgroup */
  int subgroups;               /* most of a workgroup; 0: any number */
  int invocations;             /* most of a workgroup */
  bool float64;                /* arithmetic */
  bool storage8, storage16;    /* access to single elements of 1 and 2 bytes */
  sn_gpu_matrix f16, bf16, i8; /* by the type of the factors */
  bool no_int64;               /* arithmetic of 64-bit integers is missing */
  bool keeps_nan;              /* signed zeros, infinities and NaN of f32 can be asked for */
  bool keeps_nan64;            /* the same of f64 */
  bool idle_loads;             /* where no invocation is left, loads at one address for all are done nevertheless */
} sn_gpu;

typedef struct sn_target {
  char name[16];                        /* "cpu", "vulkan", "ref", "template" */
  char features[192];                   /* canonical text of what code generation may use: part of cache keys */
  sn_isa isa;                           /* CPU only */
  int lanes;                            /* f32 per vector register; 1 when unknown */
  int threads;                          /* workers of the machine; part of choices among kernels of equal bits only */
  int64_t l1_bytes, l2_bytes, l3_bytes; /* data caches of one core; defaults when unknown */
  /* schedule parameters (KERNEL_IR.md, decision 6) */
  int bm, bn, bk;       /* contract: macro tile; bk 0 = whole K in one product */
  int k_whole, k_block; /* contract: the longest K that is one product, steps of longer and unknown ones; 0: default */
  int wide, tiles;      /* contract: tiles of up to wide x wide that leave so many of them; 0: bm x bn */
  int made;             /* contract: most elements of an operand's tile that is computed, not only loaded; 0: any */
  int few_tiles, part;  /* contract: results of fewer tiles have sums in parts of at least so many steps; 0: none */
  int thin;             /* contract: results of at most so many rows or columns have narrow tiles; 0: none */
  int thin_instances;   /* contract: instances that are enough for such a result */
  int bq, bkv;          /* attend: queries and keys per block */
  int bkv_one;          /* attend: keys per block of a single query; 0: bkv */
  int one_part;         /* attend: keys of an instance of a single query, for all heads that share them; 0: all, and an
                           instance per head */
  int rows;             /* rows kernels: rows per instance, of rows that are walked in pieces or reduced down */
  int row_tile;         /* rows kernels: elements of a tile of several whole rows, at most */
  int cols;             /* map kernels: columns per tile */
  int tile_bytes;       /* map kernels: of the widest elements of a tile, instead of rows x cols; 0: as those say */
  int instances;        /* that keep the device busy: with fewer, work is split in more steps; 0: any number will do */
  int unit;             /* columns of tiles are multiples of this where there are more of them, even if none divides */
  int fold, fold_rows;  /* rows kernels: elements of a reduced row, rows of reduced columns per step of a loop */
  bool fold_late;       /* such loops carry whole tiles, which are reduced behind them */
  bool scores_keys_major; /* attend: scores as [keys, queries] (CPU) */
  int scratch_bytes;      /* attend: scratch that one instance may take for the gradients of a head's queries */
  int scratch_most;       /* .. where there are heads for all threads */
  bool packed_b;          /* contract: constant operands are packed ahead of time */
  bool vnni;              /* packed bf16 operands pair rows of K (AMX) */
  int panel;              /* contract: most columns of a packed panel of such pairs; 0: bn */
  sn_gpu gpu;             /* Vulkan only */
  bool debug_info;        /* code has names and lines for people: Vulkan only, no part of `features` */
} sn_target;

/* Facts of a generic CPU of a feature level: what tests and cross compilation use. */
sn_target sn_target_cpu(sn_isa isa);
/* Facts of a Vulkan device; numbers that are 0: the least that Vulkan 1.2 promises. */
sn_target sn_target_vulkan(const sn_gpu *gpu);
/* The facts that sn_target.features of such a target lists: "subgroup=32,shared=49152,threads=1024,no_int64,f64,
 * 16,8,nan,nan64,idle,f16=16x16x16,i8=16x16x32".
 *   errors: SN_ERR_USAGE an unknown word */
SN_MUST sn_code sn_gpu_read(const char *text, sn_diags *diags, sn_gpu *out);
/* One line of all facts that code and schedules may hang on: not `threads`. */
void sn_target_print(sn_text *out, const sn_target *t);
const char *sn_isa_name(sn_isa isa);
/* The levels that code is made for, ascending: baseline, avx2, avx512, avx512bf16 (the same with products of bf16
 * pairs), amx. -> its name, and the facts of a generic CPU of it; NULL: there are no more. out may be NULL. */
const char *sn_target_level(int i, sn_target *out);
/* The position of a level by name, and its facts; -1: there is none of that name. out may be NULL. */
int sn_target_find_level(const char *name, sn_target *out);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
