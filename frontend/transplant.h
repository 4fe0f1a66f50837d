/* Functions of one module copied into another: dims and types of the other table, leaves under a name of their own. */
#ifndef SN_FRONTEND_TRANSPLANT_H
#define SN_FRONTEND_TRANSPLANT_H

#include "ir/ops/ops.h"

typedef struct sn_transplant {
  const sn_module *from;
  sn_module *to;
  const sn_dimx **symbol; /* by index of a symbol of `from`: the dim of `to` that takes its place */
  const char *prefix;     /* "teacher.": before the names of leaves, random streams and layers; "": none */
  sn_map *bodies;         /* private */
} sn_transplant;

/* Symbols of `from` stand for those of the same name in `to`, which are declared there unless they are.
 * errors: SN_ERR_INPUT a symbol with other bounds in `to` */
SN_MUST sn_code sn_transplant_begin(sn_transplant *t, const sn_module *from, sn_module *to, const char *prefix,
                                    sn_diags *diags);
const sn_type *sn_transplant_type(sn_transplant *t, const sn_type *type);
/* A node with operands in `to`: bodies it uses are copied. -> its first result */
sn_val sn_transplant_node(sn_transplant *t, sn_func *to, const sn_node *n, const sn_val *arg);
/* A whole graph under its name, with outputs, updates and guard; not finished. */
sn_func *sn_transplant_graph(sn_transplant *t, const sn_func *f);

#endif
