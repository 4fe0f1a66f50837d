/* Ids given to `sinter run`: inputs that number rows of a table, and how many rows there are. */
#ifndef SN_FRONTEND_CLI_IDS_H
#define SN_FRONTEND_CLI_IDS_H

#include "frontend/cli/cli.h"

typedef struct cli_id_input {
  const char *name;    /* of the input */
  int64_t rows;        /* ids are 0 .. rows - 1 */
  const sn_node *user; /* the op that looks them up */
} cli_id_input;

typedef struct cli_ids {
  int count, capacity;
  cli_id_input *at;
} cli_ids;

/* Inputs of a graph that reach the index of a gather, pick or cross entropy through views alone. owns: arena of c. */
void cli_ids_find(cli *c, const sn_func *f, cli_ids *out);
/* errors: SN_ERR_INPUT the first id out of range, at the line of the op. data: count elements of the input. */
SN_MUST sn_code cli_ids_check(cli *c, const cli_ids *ids, const char *name, sn_elem elem, const void *data,
                              int64_t count);

#endif
