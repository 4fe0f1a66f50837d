/* From a model file to graphs: loading, settings, building. The other side of sinter.h. */
#ifndef SN_FRONTEND_BUILD_H
#define SN_FRONTEND_BUILD_H

#include "ir/graph/graph.h"

struct sn_model; /* sinter.h */

/* A model file compiled with $CC into a shared object and loaded. Model files are programs: they run with the user's
 * rights. The object is cached by content below cache_dir (NULL: $XDG_CACHE_HOME/sinter or ~/.cache/sinter, made with
 * mode 0700; "": nowhere, it is made in a folder of $TMPDIR that is gone when this returns). errors: SN_ERR_INPUT: the
 * compiler's messages are the diagnostic; no SN_MODEL in the file. */
typedef struct sn_model_file sn_model_file;
SN_MUST sn_code sn_model_load(const char *path, const char *cache_dir, sn_diags *diags, sn_model_file **out);
void sn_model_unload(sn_model_file *f);
const struct sn_model *sn_model_of(const sn_model_file *f);

typedef struct sn_model_opt {
  int set_count;
  const char *const *set; /* "layers=4": overrides of declared settings */
  const char *graphs;     /* "train|decode"; NULL: all */
  sn_elem real;           /* what SN_REAL is: SN_ELEM_F32, or SN_ELEM_F64 for the oracle */
  const char *trainable;  /* pattern of sn_minimize: of the parameters that the model trains, only these; NULL: all */
} sn_model_opt;

/* Builds the graphs of a model: one module, finished (sn_func_finish) and checked.
 * errors: every mistake at the user's line; unknown settings name the nearest and list all; SN_ERR_USAGE `trainable`
 * leaves nothing to train in a graph that trains. */
SN_MUST sn_code sn_model_build(const struct sn_model *model, const sn_model_opt *opt, sn_arena *arena, sn_diags *diags,
                               sn_module **out);

/* Settings as text "layers=4 heads=4 ...", defaults and overrides merged. */
SN_MUST sn_code sn_model_settings(const struct sn_model *model, const sn_model_opt *opt, sn_arena *arena,
                                  sn_diags *diags, const char **out);

#endif
