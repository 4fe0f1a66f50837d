/* Private to the C interface: what its handles consist of, and how a call begins and ends. Inner things that have the
 * same names as the interface's are meant by the bare names; the interface's own are spelled sn_v1_*. */
#ifndef SN_HOST_INSIDE_H
#define SN_HOST_INSIDE_H

#include "host/sinter_host.h"
#include "ir/base/str.h"

#undef sn_run
#undef sn_compile
#undef sn_compile_opt
#undef sn_model_load
#undef sn_store
#undef sn_store_create
#undef sn_store_destroy
#undef sn_store_load
#undef sn_store_save
#undef sn_store_reset
#undef sn_store_reorder

#include "runtime/runtime.h"

/* What dies with the context, the newest first. */
typedef struct sn_owned {
  struct sn_owned *next;
  void (*destroy)(void *what);
  void *what;
} sn_owned;

struct sn_ctx {
  sn_arena *arena; /* of what lives as long as this */
  sn_ctx_opt opt;
  sn_diags *diags;      /* of the newest call */
  const char *error;    /* the same as text */
  sn_program *programs; /* newest first */
  sn_owned *owned;      /* models */
};

struct sn_program {
  sn_ctx *ctx;
  sn_program *next;
  sn_arena *arena; /* of the plan and what the compiler leaves */
  const sn_plan *plan;
  const char **type_text; /* of each slot */
  sn_runtime *runtime;
  sn_v1_store *stores;            /* newest first */
  void (*release)(void *backend); /* undoes the loading of a backend; NULL: none */
  void *backend;
};

struct sn_v1_store {
  sn_program *program;
  sn_v1_store *next;
  sn_store *store;
};

/* Does fn(arg) as one call of the interface: with the allocator of the context and an empty list of problems; reports
 * what it left there. */
sn_code sn_host_call(sn_ctx *c, int (*fn)(void *arg), void *arg);
/* printf to the log. needs: to run inside sn_host_call */
void sn_host_log(sn_ctx *c, const char *format, ...) SN_PRINTF(2, 3);

/* Copies options of `bytes` bytes as the caller knows them over defaults that are zero.
 * errors: SN_ERR_USAGE when the caller sets what this library does not know */
SN_MUST sn_code sn_host_options(sn_diags *diags, void *to, size_t to_bytes, const void *from, size_t bytes);

/* A program of the context with an arena and nothing else; NULL: out of memory. needs: to run inside sn_host_call */
sn_program *sn_host_program(sn_ctx *c);
/* Gives it its runtime and puts it on the context's list. errors: those of sn_runtime_create */
SN_MUST sn_code sn_host_program_start(sn_program *p, const sn_plan *plan, const sn_runtime_opt *opt);

/* Value of each symbol of the program: its maximum, or what "B=8 T=64" says. errors: SN_ERR_USAGE
 * needs: to run inside sn_host_call */
SN_MUST sn_code sn_host_dims(const sn_program *p, const char *text, int64_t **out);

#endif
