/* run.json of a run folder: what a run was started with, so that --resume goes on with exactly that. */
#ifndef SN_RUNTIME_IO_RECIPE_H
#define SN_RUNTIME_IO_RECIPE_H

#include "ir/base/status.h"
#include "ir/base/str.h"
#include "runtime/io/json.h"

typedef struct sn_run_option {
  const char *name, *value; /* of an option of the command; a name may appear more than once */
  bool loose;               /* may differ when the run goes on; not stored */
} sn_run_option;

typedef struct sn_run_data { /* one text that the run reads */
  const char *path;          /* absolute; "": the embedded corpus */
  int64_t bytes;
  uint64_t hash;
} sn_run_data;

typedef struct sn_recipe {
  int option_count, data_count;
  const sn_run_option *option;
  const sn_run_data *data;
} sn_recipe;

void sn_recipe_print(sn_text *out, const sn_recipe *r);
/* owns: strings in arena. errors: SN_ERR_INPUT not JSON, a member missing or of another type. */
SN_MUST sn_code sn_recipe_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                                sn_recipe *out);

/* Options alone, as a JSON array of pairs: [["batch", "12"], ...]. Checkpoints hold them, too. */
void sn_run_options_print(sn_text *out, int count, const sn_run_option *option);
SN_MUST sn_code sn_run_options_read(sn_arena *arena, sn_diags *diags, const char *file, const json_t *object,
                                    int *out_count, const sn_run_option **out);

#endif
