/* Runs lowered plans through the kernel interpreter: what tests compare with the graph interpreter. */
#ifndef SN_PASSES_LOWER_RUN_H
#define SN_PASSES_LOWER_RUN_H

#include "passes/lower/lower.h"

typedef struct sn_lower_run {
  sn_arena *arena; /* storage of slots */
  sn_diags *diags;
  const sn_lowered *lowered;
  const int64_t *dims;                       /* value of each symbol */
  bool check;                                /* bounds, races, undefined reads; bytes are counted */
  void **data;                               /* by slot: set by sn_lower_run_begin */
  int64_t bytes_read, bytes_written;         /* out, with check: counted in all launches */
  int64_t predicted_read, predicted_written; /* out: as the steps say */
  /* Called after each launch with its counted bytes; NULL: none. */
  void (*on_step)(void *user, const sn_step *s, int64_t bytes_read, int64_t bytes_written);
  void *user;
} sn_lower_run;

/* Storage of every slot, filled with bytes 0xff (NaN); inputs with a default, and parameters and states that are filled
 * with a value, hold it. */
SN_MUST sn_code sn_lower_run_begin(sn_lower_run *r);
/* Bytes of a slot's storage. */
SN_MUST sn_code sn_lower_run_bytes(const sn_lower_run *r, int slot, int64_t *out);
/* Runs the prepare steps, then every step of a graph.   errors: SN_ERR_NUMERIC when a check step fails */
SN_MUST sn_code sn_lower_run_graph(sn_lower_run *r, int graph);

#endif
