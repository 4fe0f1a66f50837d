/* A graph with its data and options as a case: shared by `run --check`, `reduce` and `bisect`. */
#ifndef SN_FRONTEND_CLI_FAULTS_H
#define SN_FRONTEND_CLI_FAULTS_H

#include "backends/faults/check.h"
#include "backends/faults/isolate.h"
#include "frontend/cli/cli.h"

/* The model or graph text of the command line, --graph, --dim, --in, and what is not given drawn from --seed. */
SN_MUST sn_code cli_case(cli *c, sn_case *out);
/* --target, --backend, --fuse, --isa, --disable, --kernels, --threads (1). */
SN_MUST sn_code cli_variant(cli *c, sn_variant *out);

#endif
