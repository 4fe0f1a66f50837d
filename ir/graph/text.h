/* Text form of graphs (.sn): prints, and parses back to an equal module. */
#ifndef SN_IR_GRAPH_TEXT_H
#define SN_IR_GRAPH_TEXT_H

#include "ir/graph/graph.h"

typedef struct sn_print_opt {
  bool locations; /* append  @ "model.c":41 */
  int end_;
} sn_print_opt;

/* The whole module: `sinter 1`, dims, bodies before their users, then graphs. */
void sn_module_print(sn_text *out, const sn_module *m, sn_print_opt opt);
void sn_func_print(sn_text *out, const sn_func *f, sn_print_opt opt);
/* One node as in the text form, without newline: for messages and plan reports. */
void sn_node_print(sn_text *out, const sn_func *f, const sn_node *n, sn_print_opt opt);

/* Parses a text that may hold anything. Types are written in the text and taken as stated: check
 * them with sn_ops_check (ir/ops). Node locations are the lines of the text unless it states others.
 * errors: SN_ERR_INPUT with line and column; SN_ERR_LIMIT above 4 M nodes or 64 nested regions. */
SN_MUST sn_code sn_module_parse(sn_arena *arena, sn_diags *diags, const char *file,
                                const char *text, size_t bytes, sn_module **out);

#endif
