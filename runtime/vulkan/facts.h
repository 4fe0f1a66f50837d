/* What a Vulkan device can do, as plain numbers and words: what the compiler makes code for, what a blob may ask for,
 * and what `sinter doctor` prints. No Vulkan types. */
#ifndef SN_RUNTIME_VULKAN_FACTS_H
#define SN_RUNTIME_VULKAN_FACTS_H

#include "ir/base/status.h"
#include "ir/base/str.h"

enum { SN_VULKAN_MATRICES = 64, SN_VULKAN_HEAPS = 16, SN_VULKAN_WORD = 64 };

/* A product that cooperative matrices of a subgroup offer: r [m, n] = a [m, k] * b [k, n] + c [m, n]. */
typedef struct sn_vulkan_matrix {
  char a[8], b[8], c[8], r[8]; /* "f16" "bf16" "f32" "f64" "i8" "u8" "i32" ... */
  int m, n, k;
} sn_vulkan_matrix;

typedef struct sn_vulkan_facts {
  char name[256];           /* of the device */
  char uuid[40];            /* hex with dashes */
  char kind[12];            /* "discrete" "integrated" "virtual" "cpu" "other" */
  char driver[320];         /* name and version of the driver */
  int api[3];               /* Vulkan major, minor, patch */
  const char *refused;      /* why no plan can run on it; NULL: it can. Static */
  int64_t subgroup;         /* invocations of a subgroup when nothing is asked for; 0: subgroups are not to be used */
  int64_t subgroups;        /* most subgroups of a workgroup whose size is asked for */
  int64_t subgroup_min;     /* sizes that can be asked for, with size_control */
  int64_t subgroup_max;     /* same as `subgroup` without */
  bool size_control;        /* a pipeline may ask for a size of subgroups */
  bool full_subgroups;      /* and that all of them are full */
  bool basic;               /* subgroup operations: election, barrier */
  bool arithmetic;          /* reductions, scans */
  bool shuffle;             /* any lane, xor */
  int64_t shared;           /* bytes of shared memory of a workgroup */
  int64_t invocations;      /* of a workgroup, at most */
  int64_t push;             /* bytes of push constants */
  bool int64, int16, int8;  /* arithmetic of these */
  bool float64, float16;    /* same */
  bool storage16, storage8; /* loads and stores of these through buffer addresses */
  bool preserve64;          /* signed zero, infinity and NaN are kept in f64 arithmetic when it is asked for */
  bool preserve32;          /* f32 */
  bool preserve16;          /* f16 */
  bool rte64, rte32, rte16; /* rounding to nearest even, when it is asked for */
  bool sync2;               /* synchronization2 */
  bool memory_model;        /* the Vulkan memory model */
  bool memory_model_device; /* its device scope */
  bool explicit_shared;     /* shared memory with explicit layout */
  bool bf16;                /* the bf16 type in shaders */
  bool masked_loads;        /* where no invocation is left, nothing is loaded: docs/vulkan.md, Devices */
  int64_t matrix_count;     /* of the list; 0: no cooperative matrices */
  sn_vulkan_matrix matrix[SN_VULKAN_MATRICES];
  int64_t heap_count;
  int64_t heap_bytes[SN_VULKAN_HEAPS];
  bool heap_local[SN_VULKAN_HEAPS]; /* memory of the device */
  int64_t local_bytes;              /* largest heap of the device */
  int64_t allocation_bytes;         /* one allocation, at most */
  bool mapped;                      /* the device's memory is written and read by the host directly */
  double timestamp_ns;              /* one tick of its clock; 0: it has none */
} sn_vulkan_facts;

/* Takes away what the words of a list name: `subgroup`, `matrix` or the word of any fact, or lowers a number
 * (shared=16384). subgroup=16: subgroups of 16 or fewer where the device lets kernels choose, else none.   errors:
 * SN_ERR_USAGE an unknown word, naming it and those that are known */
SN_MUST sn_code sn_vulkan_facts_without(sn_vulkan_facts *f, const char *list, sn_diags *diags);

/* Does the device have what code asks for? `features`: words separated by blanks, `int64` or `shared=12288` or
 * `subgroup=8` or `matrix=f16,f16,f32,f32,16x16x16` (types of a, b, c, r).
 *   owns: false leaves the first word that it lacks or does not know in out_missing */
bool sn_vulkan_facts_allow(const sn_vulkan_facts *f, const char *features, char out_missing[SN_VULKAN_WORD]);

/* One line: the facts that code may ask for, as words, without matrices. */
void sn_vulkan_facts_print(sn_text *out, const sn_vulkan_facts *f);
/* The products, separated by blanks; "none". */
void sn_vulkan_matrices_print(sn_text *out, const sn_vulkan_facts *f);

#endif
