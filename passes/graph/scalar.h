/* Elementwise ops on constants: what folding may compute at compile time. */
#ifndef SN_PASSES_GRAPH_SCALAR_H
#define SN_PASSES_GRAPH_SCALAR_H

#include <stdbool.h>

#include "ir/types/dtype.h"
#include "ir/types/op.h"

/* `x` as a value of type `e`: rounded to nearest even; false for integers out of range or fractional. */
bool sn_scalar_round(sn_elem e, double x, double *out);
/* The result, of type `to`, of an elementwise op on operands of type `from` (select: of its second operand), in f64 and
 * then rounded. false: not an elementwise op, or an integer result that f64 or the type does not hold. */
bool sn_scalar_eval(sn_op op, sn_elem from, sn_elem to, const double *x, double *out);
/* Is every value of `narrow` a value of `wide`? */
bool sn_elem_contains(sn_elem wide, sn_elem narrow);

#endif
