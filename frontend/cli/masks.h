/* What masks of attention leave to do: for `sinter explain`. */
#ifndef SN_FRONTEND_CLI_MASKS_H
#define SN_FRONTEND_CLI_MASKS_H

#include "frontend/cli/explain.h"

/* One mask of a graph; equal ones of several layers are one. */
typedef struct cli_mask {
  const char *name;             /* "attention.NAME" */
  int nodes;                    /* that have it */
  int bq, bk;                   /* queries and keys of a block */
  int64_t empty, partial, full; /* blocks, as far as index expressions say; -1: too many to count */
  const char *data;             /* what decides at run time about the partial ones: "doc (i32[B, T])"; NULL: nothing */
  bool map;                     /* a map says what each block is; else bounds of loops */
} cli_mask;

/* A copy of the module, since compiling consumes it.   owns: c->arena */
SN_MUST sn_code cli_masks_copy(cli *c, const sn_module *m, sn_module **out);
/* Masks of the graph of the report, from a copy of its module. */
SN_MUST sn_code cli_masks_find(cli *c, const cli_report *r, sn_module *copy, const sn_target *target, int *count,
                               cli_mask **out);
/* Operations and times of attention by the share of blocks that are not empty, where one mask has the variant's name:
 * what loops over a map leave out is not seen in their bounds. */
void cli_masks_apply(cli_report *r, int count, const cli_mask *mask);
void cli_masks_text(sn_text *t, int count, const cli_mask *mask);
void cli_masks_json(sn_text *t, int count, const cli_mask *mask);

#endif
