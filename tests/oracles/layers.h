/* Parts of transformers in doubles, one loop nest each: norms, feed-forward parts, attention with any mask and bias,
 * blocks with every placement of the norm. What is dense here is the reference of every sparse, tiled or cached form;
 * gradients are those of central differences (layers_slope). Matrices are [in][out], rows after rows; a NULL vector is
 * left out. */
#ifndef ORACLES_LAYERS_H
#define ORACLES_LAYERS_H

#include <stdbool.h>

enum { LAYERS_WIDTH = 256, LAYERS_LENGTH = 128 };

typedef enum layers_norm_kind { LAYERS_LAYER_NORM, LAYERS_RMS_NORM } layers_norm_kind;

/* LAYERS_GELU: x Phi(x); LAYERS_GELU_TANH: the approximation of GPT-2. */
typedef enum layers_curve { LAYERS_RELU, LAYERS_GELU, LAYERS_GELU_TANH, LAYERS_SILU, LAYERS_SIGMOID } layers_curve;

/* y = norm(x + f(x)); x + f(norm(x)); x + norm(f(x)), as B8.5 is printed; x + norm(f(norm(x))). */
typedef enum layers_placement { LAYERS_POST, LAYERS_PRE, LAYERS_INNER, LAYERS_SANDWICH } layers_placement;

typedef struct layers_norm {
  layers_norm_kind kind;
  double epsilon;
  bool outside;                /* epsilon is added to the root, not under it */
  const double *scale, *shift; /* [n] */
} layers_norm;

void layers_normalise(const layers_norm *norm, int n, const double *x, double *out);
double layers_activate(layers_curve curve, double x);

/* out [rows][to] = x [rows][from] w + bias */
void layers_linear(int rows, int from, int to, const double *x, const double *w, const double *bias, double *out);

/* (curve(x up + up_bias) * (x gate + gate_bias)) down + down_bias; without the second factor if gate is NULL. */
typedef struct layers_feed {
  int width, hidden;
  layers_curve curve;
  const double *up, *gate, *down, *up_bias, *gate_bias, *down_bias;
} layers_feed;

void layers_feed_forward(const layers_feed *f, int rows, const double *x, double *out);

/* Whether query i may see key j, and what is added to their score; NULL: all, nothing. */
typedef bool layers_sees(const void *user, int query, int key);
typedef double layers_bias(const void *user, int head, int query, int key);
bool layers_causal(const void *user, int query, int key);

typedef struct layers_mask {
  layers_sees *sees;
  layers_bias *bias;
  const void *user;
} layers_mask;

/* q [queries][heads][d], k and v [keys][key_heads][d] -> out [queries][heads][d]: softmax(q . k * scale + bias) v,
 * where head h reads key head h / (heads / key_heads). A query that sees nothing gives 0. */
typedef struct layers_heads {
  int heads, key_heads, d;
  double scale; /* 0: 1 / sqrt(d) */
} layers_heads;

void layers_attend(const layers_heads *h, const layers_mask *mask, int queries, int keys, const double *q,
                   const double *k, const double *v, double *out);

/* Attention and feed-forward part, each with its norms; `second` is the one behind f of a sandwich. */
typedef struct layers_block {
  layers_placement placement;
  layers_heads heads;
  int width;
  const double *query, *key, *value, *output; /* [width][heads * d], .., [heads * d][width] */
  const double *query_bias, *key_bias, *value_bias, *output_bias;
  layers_feed feed;
  layers_norm attend_norm, attend_second, feed_norm, feed_second;
} layers_block;

void layers_run(const layers_block *b, const layers_mask *mask, int n, const double *x, double *out);

/* Sum of weight * -log softmax(logits [rows][symbols])[target], by the sum of weights (NULL: 1 each); 0 if that is 0.
 */
double layers_cross_entropy(int rows, int symbols, const double *logits, const int *target, const double *weight);

/* Derivative of f at x [n] along `way` by central differences of step h and h / 2, extrapolated: the error is h^4. x is
 * moved and put back. */
double layers_slope(double (*f)(void *user), void *user, int n, double *x, const double *way, double h);

#endif
