/* Predicted times of kernels, for reports. */
#ifndef SN_FRONTEND_CLI_PREDICT_H
#define SN_FRONTEND_CLI_PREDICT_H

#include "frontend/cli/cli.h"
#include "ir/types/limits.h"

/* Milliseconds of each step of a graph by the cost model; NULL where it does not apply: a plan without its kernels,
 * another target than cpu. measure: a machine that was not measured yet is, when there is a cache to keep that.
 * owns: the command's arena */
SN_MUST sn_code cli_predict(cli *c, const sn_compiled *k, int graph, const int64_t *dims, int threads, bool measure,
                            double **out_ms, sn_limits *out_limits);

/* Operations of each step; of attention those of blocks that loops reach, where there are kernels.
 * owns: the command's arena */
SN_MUST sn_code cli_flops(cli *c, const sn_compiled *k, int graph, const int64_t *dims, double **out);

/* sn_calibrate; says it where nothing sound could be measured. */
SN_MUST sn_code cli_calibrate(cli *c, const sn_compile_opt *opt, sn_limits *out);

#endif
