/* Private to passes/graph: a step whose states are matrices of the form
 *
 *   S' = S (diag(w) + a b') + v k'      as  S' = S diag(w) + sum over sources (c p + v) y',  p = S a
 *
 * and what is read of them, S x. All reads are of the state before the step. */
#ifndef SN_PASSES_GRAPH_SCAN_MATRIX_H
#define SN_PASSES_GRAPH_SCAN_MATRIX_H

#include "passes/graph/scan_step.h"

enum { SN_MATRIX_SOURCES = 4, SN_MATRIX_READS = 8, SN_MATRIX_SUMS = 12 };

/* coef times factors, as a vector along `label` or a number (0). */
typedef struct sn_product {
  double coef;
  int label;
  int count;
  sn_factor factor[SN_TERM_FACTORS];
} sn_product;

typedef struct sn_product_sum {
  int count;
  sn_product at[SN_MATRIX_SUMS];
} sn_product_sum;

typedef struct sn_source {
  sn_product y;        /* along k */
  sn_product_sum c, v; /* numbers; along the values */
} sn_source;

typedef struct sn_matrix {
  int rank, k_axis;     /* k_axis -1: not known yet */
  sn_product_sum decay; /* w, along k or numbers; none: 0 */
  int source_count;
  sn_source source[SN_MATRIX_SOURCES];
  int read_count;
  sn_product read[SN_MATRIX_READS]; /* x, along k */
  int low_rank;                     /* the read that is a, -1: none */
} sn_matrix;

typedef struct sn_matrix_plan {
  sn_scan_step *s;
  sn_matrix *state; /* by state; those that shift have none */
  bool *seen;       /* by value id of the step */
} sn_matrix_plan;

/* -> false: s->why says what stops the form */
bool sn_matrix_plan_make(sn_scan_step *s, sn_matrix_plan *out);

/* A term of a linear value with a state, taken apart: the read, and what it is multiplied by. -> the number of the
 * read, -1: s->why */
int sn_matrix_read_of(sn_matrix_plan *p, const sn_linear *value, const sn_term_of *t, sn_product *rest);

#endif
