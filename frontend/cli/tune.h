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
  cli_tuned *at;
} cli_tuning;

/* Times the candidates of every kernel of the graph (--graph, --dim, or as set), in turns with the usual ones, checks
 * that results are the same bits, and keeps the best in the cache: later compilations use them. For --tune-seconds.
 *   path: a model or graph text.   errors: those of compiling and running; SN_ERR_USAGE where nothing can be tuned */
SN_MUST sn_code cli_tune(cli *c, const char *path, const char *graph, cli_tuning *out);
/* The same before a command that compiles, when it has --tune; says what came of it on stderr. */
SN_MUST sn_code cli_tune_first(cli *c, const char *path, const char *graph);

#endif
