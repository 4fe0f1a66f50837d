/* What the commands need of the graphs of a model, told at the user's line. */
#ifndef SN_FRONTEND_CLI_PORTS_H
#define SN_FRONTEND_CLI_PORTS_H

#include "frontend/cli/cli.h"

/* Has the graph, if the module has it, the inputs and outputs that its command binds?
 *   train, eval     (tokens i32[B, T], targets i32[B, T], scalars) -> loss f32[], and nothing else is read; without
 *                   targets the graph makes its own of the tokens: it hides some, or writes them again
 *   logits          tokens i32[B, T], scalars; nothing else is read
 *   prefill, decode (tokens i32[B, T], start i32[B]) -> logits f32[B, T, V]
 * path: the model, for graphs without a line. errors: SN_ERR_INPUT */
SN_MUST sn_code cli_check_ports(cli *c, const sn_module *m, const char *graph, const char *path);

/* The state of the graph decode, other for each sequence, that neither it nor prefill makes but another graph, as an
 * encoder does for its decoder: then a prompt alone is not enough. out_graph: that one.   -> its name; NULL: none */
const char *cli_given_state(const sn_module *m, const char **out_graph);

#endif
