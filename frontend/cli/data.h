/* Texts for training and measuring, as --data names them. */
#ifndef SN_FRONTEND_CLI_DATA_H
#define SN_FRONTEND_CLI_DATA_H

#include "frontend/cli/cli.h"
#include "runtime/io/dataset.h"

/* The files of --data, mapped until they are closed; without --data the embedded corpus. A file that is cut short while
 * it is mapped ends the command with a message and SN_ERR_INPUT. then: what to do about it (a literal). */
SN_MUST sn_code cli_data_parts(cli *c, const char *then, int *out_count, sn_dataset_part **out);
void cli_data_close(void);
/* Do the files hold what the dataset was made of? errors: SN_ERR_INPUT one changed, now or at an earlier check */
SN_MUST sn_code cli_data_check(const sn_dataset *d, sn_diags *diags);

/* T of a run of a graph that takes tokens [B, T]: the longest. errors: SN_ERR_INPUT, at `path`. */
SN_MUST sn_code cli_data_window(cli *c, const sn_plan *p, const char *graph, const char *path, int64_t *out);
/* Ids that the embedding covers: the setting vocab, else those of the tokenizer. */
int64_t cli_data_vocab(const char *settings, const sn_tokenizer *t);
/* The setting marks: how many of them, at the end, stand for other things than texts; without it `otherwise`. */
int64_t cli_data_marks(const char *settings, int64_t otherwise);
/* Ids that texts may have: of the vocabulary without marks. errors: SN_ERR_INPUT none is left */
SN_MUST sn_code cli_data_ids(const char *settings, const sn_tokenizer *t, sn_diags *diags, int64_t *out);

#endif
