/* Measured choice among kernels of equal bits. */
#ifndef SN_FRONTEND_CLI_TUNE_H
#define SN_FRONTEND_CLI_TUNE_H

#include "backends/choose.h"
#include "frontend/cli/cli.h"

enum { CLI_CANDIDATES = SN_SCHEDULES };

/* A kernel of the graph, with what it could be instead. */
typedef struct cli_tuned {
  const char *name, *kind, *where;
  sn_choice choice;                /* of the usual kernel */
  uint64_t kernel[CLI_CANDIDATES]; /* hashes of candidates */
  double place[CLI_CANDIDATES][2]; /* time by that of the usual one in the same rounds, in two places of memory */
  double ratio[CLI_CANDIDATES];    /* the mean of both; 0: not measured */
  bool doubtful[CLI_CANDIDATES];   /* places disagree, or it is too good to be true */
  double us;                       /* of the usual one, all its launches in a run */
  int best;
} cli_tuned;

typedef struct cli_tuning {
  int count, rounds, refused;   /* refused: sets of candidates whose results were not those of the usual kernels */
  bool refuses[CLI_CANDIDATES]; /* which */
  int missed;                   /* kernels with candidates that time was over for */
  double seconds;
  const char *what; /* the graph and its dims: "train, B=4 T=16" */
  cli_tuned *at;
} cli_tuning;

/* A model as the command that tunes it compiles it. */
typedef struct cli_tune_model {
  const char *path; /* a model or graph text */
  int set_count;    /* settings */
  const char *const *set;
  int64_t batch; /* value of the dim B; 0: as --dim says */
} cli_tune_model;

/* With the settings of --set. */
cli_tune_model cli_tune_model_of(const cli *c, const char *path);

/* Times the candidates of every kernel of the graph (as cli_graph finds it), in turns with the usual ones, checks that
 * results are the same bits, and keeps the best in the cache: later compilations use them. For --tune-seconds.
 *   errors: those of compiling and running; SN_ERR_USAGE where nothing can be tuned */
SN_MUST sn_code cli_tune(cli *c, const cli_tune_model *m, cli_tuning *out);
/* The same before a command that compiles, once, when it has --tune; says what came of it on stderr. */
SN_MUST sn_code cli_tune_first(cli *c, const cli_tune_model *m);
/* For a call with --tune that compiles nothing which could be tuned.   why: what it does instead, and what helps */
SN_MUST sn_code cli_tune_refuse(cli *c, const char *why);

#endif
