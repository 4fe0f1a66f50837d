/* Private to passes/graph: what the step of a scan is in its states. Every value of the step is
 *
 *   free     of all states
 *   linear   a sum of terms: factors that are free, at most one state, axes by labels; labels outside of the result
 *            are summed
 *   after    anything of linear values that keep no whole state: made for all steps at once when these are known */
#ifndef SN_PASSES_GRAPH_SCAN_STEP_H
#define SN_PASSES_GRAPH_SCAN_STEP_H

#include "passes/graph/scan_form.h"

enum { SN_TERM_FACTORS = 10, SN_TERM_COUNT = 24 };

/* A free value of the step, a label for each of its axes. */
typedef struct sn_factor {
  sn_val v;
  bool inverse; /* one over it */
  int label[SN_RANK_MAX];
} sn_factor;

typedef struct sn_term_of {
  double coef;
  int state;          /* -1: none */
  int state_label[2]; /* of its axes */
  const sn_node *at;  /* where the term was made, for reasons */
  int factor_count;
  sn_factor factor[SN_TERM_FACTORS];
} sn_term_of;

typedef struct sn_linear {
  int rank, label[SN_RANK_MAX];
  int term_count;
  sn_term_of *term;
} sn_linear;

typedef enum sn_step_class { SN_STEP_FREE, SN_STEP_LINEAR, SN_STEP_AFTER } sn_step_class;

typedef struct sn_scan_step {
  sn_arena *arena;
  sn_scan_layout l;
  const sn_func *f;
  sn_step_class *cls;     /* by value id */
  sn_linear **linear;     /* by value id, of linear ones */
  sn_linear **known;      /* by value id, of free ones that were asked for */
  const sn_node **blamed; /* by value id, of those that come after: the first op that is not linear */
  bool *shifts;           /* by state: what it becomes is free, so that it is known before every step */
  int label_count;
  const char *why; /* the first thing that stops the form; NULL: nothing */
} sn_scan_step;

/* Classes of all values. -> false: s->why says which value keeps a whole state */
bool sn_scan_step_read(sn_arena *arena, const sn_scan_layout *l, sn_scan_step *out);
/* The terms of a value that is free or linear; products of free values are taken apart. NULL: too many. */
sn_linear *sn_scan_terms(sn_scan_step *s, sn_val v);
/* Is the label among those of the value? */
bool sn_linear_has(const sn_linear *x, int label);
bool sn_factor_has(const sn_scan_step *s, const sn_factor *f, int label);

#endif
