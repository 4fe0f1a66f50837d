/* A run folder as the command uses it: written by train, read by generate and build. */
#ifndef SN_FRONTEND_CLI_RUNDIR_H
#define SN_FRONTEND_CLI_RUNDIR_H

#include "frontend/cli/cli.h"
#include "runtime/io/dir.h"
#include "runtime/io/payload.h"
#include "runtime/io/settings.h"
#include "runtime/io/tokenizer.h"

/* Graphs that a trained model is used with. */
#define CLI_SERVING_GRAPHS "decode|logits|prefill"

/* Compiles the serving graphs of a module (a fresh one) for `opt`; parameters that nothing updates may be packed. */
SN_MUST sn_code cli_compile_serving(cli *c, sn_module *m, sn_compile_opt *opt, sn_compiled *out);

/* Reads a run folder: parts as an executable would carry them. The plan is the stored one if it was compiled for this
 * target and runs here; otherwise graph.sn is compiled again (compiled->plan is set then, and for targets that need
 * hooks). */
typedef struct cli_rundir {
  sn_payload parts;
  sn_run_settings settings;
  sn_compiled *compiled;
} cli_rundir;
SN_MUST sn_code cli_rundir_read(cli *c, const char *path, cli_rundir *out);
/* graph.sn compiled for a feature level, whatever this machine has. */
SN_MUST sn_code cli_rundir_level(cli *c, const char *path, const cli_rundir *r, const char *level, sn_plan **out);
/* Has the plan what generation needs? errors: SN_ERR_INPUT at the line of the model that lacks it */
SN_MUST sn_code cli_rundir_serves(cli *c, const char *path, const sn_plan *p);
/* The same without the plan, and one graph of graph.sn with the bodies it uses. */
SN_MUST sn_code cli_rundir_graph(cli *c, const char *path, const char *graph, cli_rundir *out, sn_module **out_module);
/* owns: the command's arena */
SN_MUST sn_code cli_rundir_tokenizer(cli *c, const char *path, const cli_rundir *r, sn_tokenizer **out);

#endif
