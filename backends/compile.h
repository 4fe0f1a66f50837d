/* The driver: module + target -> plan with code. Passes, lowering, code generation (parallel, cached on disk). */
#ifndef SN_BACKENDS_COMPILE_H
#define SN_BACKENDS_COMPILE_H

#include "backends/backend.h"
#include "ir/graph/graph.h"
#include "passes/lower/lower.h"
#include "passes/passes.h"
#include "runtime/runtime.h"

/* A stage as text, of a file of the user. */
typedef struct sn_stage_text {
  const char *file, *text;
  size_t bytes;
} sn_stage_text;

typedef struct sn_compile_opt {
  const char *target;           /* "cpu" (default), "vulkan", "template", "ref" */
  const sn_backend *backend;    /* one that was loaded: decides instead of `target`; NULL: none */
  const char *isa;              /* level of sn_target_level: at most this; NULL: what the host has */
  bool exact;                   /* isa: this level of a generic processor, whatever the host has */
  const char *precision;        /* "f32" (NULL): as written; "bf16": operands of products and attention, not for ref */
  const char *quantize;         /* "none" (NULL) or "int8": weights of products, as sn_pass_env.weights */
  const char *vocab;            /* "auto" (NULL), "whole", "parts", "fused": as sn_pass_env.vocab */
  const char *scan;             /* "auto" (NULL), "sequential", "associative", "chunked", and :N, steps of a chunk */
  const char *disabled;         /* as sn_pass_env.disabled */
  const char *fuse;             /* as sn_pass_env.fuse */
  const char *model;            /* recorded in the plan */
  const char *settings;         /* recorded in the plan */
  const char *cache_dir;        /* object cache; NULL: $XDG_CACHE_HOME/sinter or ~/.cache/sinter; "": no cache */
  int threads;                  /* of code generation; 0: all cores */
  sn_map *hits;                 /* as sn_pass_env.hits */
  const sn_stage_text *kernels; /* of the user, in place of those of the same names; NULL: none */
  const sn_stage_text *plan;    /* of the user, in place of the one that was made; NULL: none */
  int schedule;                 /* 0: the best of the kernels of equal bits that a node could be, by what was measured
                                   or the cost model; n > 0: candidate n - 1 where there is one; -1: always the usual one */
  bool debug_info;              /* names and lines of the model in the code, for people; target vulkan */
  bool plan_only;               /* of the result only the plan is wanted, and it may come whole from the cache */
  bool interpret;               /* kernels made for the target are run by the kernel interpreter, not by its code */
  /* Called after each pass (dumps); NULL: none. */
  void (*after)(void *user, const char *pass, const sn_module *m, double ms);
  void *user;
  /* Called after each kernel, of one thread at a time; NULL: none. */
  void (*on_kernel)(void *user, const char *kernel, bool cached, int done, int count);
  void *kernel_user; /* of on_kernel */
} sn_compile_opt;

typedef struct sn_compiled { /* from the cache, see plan_only: plan, target, backend and the counts of kernels */
  sn_arena *arena;
  sn_plan *plan;
  sn_target target;
  const sn_backend *backend; /* NULL for ref */
  sn_module *flat;           /* graphs without call and grad: what the interpreter runs (ref target, blame) */
  int kernel_count;
  sn_kernel **kernel; /* of plan->code[i]; none for ref */
  int edited_count;
  bool *edited;     /* by kernel: it is one of opt->kernels that differs from what was lowered */
  sn_module *fused; /* after all passes; NULL for ref */
  int mark_count;
  const sn_lower_mark *mark;       /* where the plan holds its values */
  const char *disabled;            /* rules that were off */
  const struct sn_choice **choice; /* by kernel: the choice that it is of; NULL: there was none */
  int cache_hits, cache_misses;
  double pass_ms, lower_ms, code_ms;
} sn_compiled;

struct sn_vulkan_facts;
/* The facts of a device that code is made for. */
sn_gpu sn_vulkan_gpu(const struct sn_vulkan_facts *f);
/* Facts of the device called opt->target, or of opt->backend. errors: SN_ERR_DEVICE with the reason (unknown, built
 * without LLVM). */
SN_MUST sn_code sn_compile_target(const sn_compile_opt *opt, sn_diags *diags, sn_target *target,
                                  const sn_backend **backend);

/* "f32" or NULL, "bf16". errors: SN_ERR_USAGE any other name. */
SN_MUST sn_code sn_compile_precision(const char *name, sn_diags *diags, sn_elem *out);

/* "none" or NULL: SN_ELEM_NONE; "int8". errors: SN_ERR_USAGE any other name. */
SN_MUST sn_code sn_compile_quantize(const char *name, sn_diags *diags, sn_elem *out);

/* "auto" or NULL, "whole", "parts", "fused". errors: SN_ERR_USAGE any other name. */
SN_MUST sn_code sn_compile_vocab(const char *name, sn_diags *diags, sn_vocab *out);

/* Sets env->scan and env->scan_chunk from "auto" or NULL, "sequential", "associative", "chunked", "chunked:16".
 * errors: SN_ERR_USAGE any other name. */
SN_MUST sn_code sn_compile_scan(const char *name, sn_diags *diags, sn_pass_env *env);

/* Compiles every graph of the module (which is consumed: its functions are replaced). owns: everything lives in
 * `arena`. */
SN_MUST sn_code sn_compile(sn_module *m, const sn_compile_opt *opt, sn_arena *arena, sn_diags *diags, sn_compiled *out);

/* 128-bit identity of everything that decides results: as sn_plan_hash, but the same whichever of the kernels of equal
 * bits the plan has, so that a run goes on after its kernels were tuned.  errors: SN_ERR_LIMIT memory */
SN_MUST sn_code sn_compile_identity(sn_compiled *c, sn_diags *diags, uint64_t out[2]);

/* Runtime options with the hooks that `c` needs (host steps, kernel text). keeps: c. */
sn_runtime_opt sn_compile_runtime_opt(sn_compiled *c, int threads);

/* Names the first node that gives NaN or Inf when `graph` runs on these data, at the user's line. Data of every slot of
 * the plan that is an input, parameter or state of the graph; dims by symbol. -> SN_ERR_NUMERIC with the diagnostic,
 * SN_OK if none does. */
SN_MUST sn_code sn_compile_blame(sn_compiled *c, const char *graph, const int64_t *dims, void *const *slot_data,
                                 sn_diags *diags);

#endif
