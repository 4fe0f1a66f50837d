/* Optimisation in doubles, step by step: Adam and its kinds, clipping by the norm of all gradients, learning rates over
 * time. */
#ifndef ORACLES_ADAM_H
#define ORACLES_ADAM_H

#include <stdbool.h>

typedef struct adam {
  double beta1, beta2, epsilon, decay;
  bool corrected; /* moments are divided by 1 - beta^t; BERT's own code does not */
  double clip;    /* gradients are shrunk to this norm; 0: they are not */
} adam;

/* Step `t`, from 1: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; theta -= rate (m^ / (sqrt(v^) + epsilon) + decay
 * theta), where decay acts on parameters with decays[i] (NULL: all). All arrays [n]; gradient is clipped in place.
 *   source: Loshchilov & Hutter 2019, algorithm 2 */
void adam_step(const adam *a, int t, double rate, int n, const bool *decays, double *gradient, double *m, double *v,
               double *theta);

/* Up in a line over `warm` steps, then down to 0 at `all`, in a line or along half a cosine. Step t, from 1. */
double adam_rate_linear(double top, int warm, int all, int t);
double adam_rate_cosine(double top, double end, int warm, int all, int t);

#endif
