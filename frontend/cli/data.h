/* Texts for training and measuring, as --data names them. */
#ifndef SN_FRONTEND_CLI_DATA_H
#define SN_FRONTEND_CLI_DATA_H

#include "frontend/cli/cli.h"
#include "runtime/io/dataset.h"

/* The files of --data, mapped until the process ends; without --data the embedded corpus. */
SN_MUST sn_code cli_data_parts(cli *c, int *out_count, sn_dataset_part **out);
/* A file that is cut short while it is mapped ends the command with a message and SN_ERR_INPUT; `then` is its last
 * sentence. */
void cli_data_catch_bus_error(const char *then);

/* T of a run of a graph that takes tokens [B, T]: the longest. errors: SN_ERR_INPUT, at `path`. */
SN_MUST sn_code cli_data_window(cli *c, const sn_plan *p, const char *graph, const char *path, int64_t *out);
/* Ids that the embedding covers: the setting vocab, else those of the tokenizer. */
int64_t cli_data_vocab(const char *settings, const sn_tokenizer *t);

#endif
