/* D9: linear-Gaussian data, and closed forms by plain dense algebra: eigenvalues and principal components, singular
 * values and the best map of low rank, least squares, and the optimum of logistic regression. Matrices are rows after
 * rows. */
#ifndef ORACLES_LINEAR_H
#define ORACLES_LINEAR_H

#include <stdbool.h>
#include <stdint.h>

enum { LINEAR_WIDTH = 64 };

/* x is normal with a covariance whose deviations along random axes fall like `fall`^k; y = (base + shift) x + noise,
 * where base is any map and shift has rank `rank` and a size of its own. */
typedef struct linear {
  int in, out, rank;
  double noise;
  double axes[LINEAR_WIDTH * LINEAR_WIDTH]; /* [in][in]: x = axes z, z normal */
  double base[LINEAR_WIDTH * LINEAR_WIDTH]; /* [out][in] */
  double shift[LINEAR_WIDTH * LINEAR_WIDTH];
} linear;

void linear_make(uint64_t seed, int in, int out, int rank, double fall, double noise, linear *l);
void linear_sample(const linear *l, uint64_t seed, uint64_t index, double *x, double *y);

/* Covariance [in][in] of x: axes axes^T. */
void linear_covariance(const linear *l, double *out);

/* Eigenvalues [n] of the symmetric a [n][n], the largest first, and vectors [n][n], one a row. source: Jacobi rotations
 */
void linear_eigen(int n, const double *a, double *values, double *vectors);

/* a [m][n] = sum_k values[k] left[k] right[k]^T, the largest first; left [n][m], right [n][n]. needs: m >= n
 * source: one-sided Jacobi rotations (Hestenes 1958) */
void linear_svd(int m, int n, const double *a, double *values, double *left, double *right);

/* Sum of all but the first `rank` values: what a linear autoencoder of covariance eigenvalues `values` cannot keep. */
double linear_tail(int n, const double *values, int rank);

/* Sine of the largest angle between the spaces of rows a [k][n] and b [k][n], both orthonormal. */
double linear_angle(int k, int n, const double *a, const double *b);

/* Minimises |x w - y|^2 + ridge |w|^2: x [m][n], y [m][k], w [n][k]. False if the columns depend on each other. */
bool linear_least_squares(int m, int n, int k, const double *x, const double *y, double ridge, double *w);

/* Minimises the mean of -log softmax(x w)[label] + ridge / 2 |w|^2 by damped Newton steps: x [m][n], w [n][classes].
 * Returns the minimum. needs: n * classes <= LINEAR_WIDTH * 4, ridge > 0 */
double linear_logistic(int m, int n, int classes, const double *x, const int *label, double ridge, double *w);

#endif
