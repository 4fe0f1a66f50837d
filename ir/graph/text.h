/* Text form of graphs (.sn): prints, and parses back to an equal module.
 *
 *   sinter 1
 *   dims { B: 1..64, T: 1..64 step 8 }
 *   body @h.score {                                   // bodies stand above their users
 *     %1 = arg index 0 : f32[]
 *     return %1
 *   }
 *   graph @train {
 *     %1 = input name "tokens" : i32[B, T]
 *     %2 = param name "wte.weight" init "normal" a 0.02 : f32[256, 128]
 *     %9 = add %3, %4 : f32[B, T, 128] layer "h.0" group "softmax#3"  @ "gpt.c":41 "gpt.c":57:8
 *     %10, %11 = attention %5, %6, %7 scale 0.125 mask @causal : f32[B, T, 4, 32], f32[B, 4, T]
 *     output "loss" = %9
 *     update %2 = %33
 *     guard %77
 *   }
 *
 * A statement is: values, `=`, op, operands, attributes, `:`, a type per value, then where they are known layer, group
 * and source lines (after @; `none` when locations are printed and there are none). Printed values are the ids of the
 * function; a parsed text may use any %names. Attributes are `name value`, printed in the order of op.def, those not
 * set are left out; a value is by kind: i 12, f 0.02 (reads back to the same bits), s "text", e f32, d 4*T, I [1, 2], D
 * [B, 4*T], R @name
 * (@"any text" when it is not a plain name). Comments run from // to the end of the line. */
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
SN_MUST sn_code sn_module_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                                sn_module **out);

#endif
