/* Scans by their definition, one step after the other, in doubles: what recurrent, chunked and parallel forms must
 * equal. */
#ifndef ORACLES_SCANS_H
#define ORACLES_SCANS_H

/* State S [v][k] of one head: S_t = S_t-1 (Diag(w_t) + a_t b_t^T) + values_t keys_t^T, out_t = S_t q_t.
 * NULL for w: 1; for a or b: no such term. With `bonus` [k]: out_t = (S_t-1 + values_t (bonus * keys_t)^T) q_t, read
 * before it is written. w, a, b, keys, q [steps][k]; values, out [steps][v]. state is where it begins and, after the
 * run, where it ends. */
typedef struct scans_matrix {
  int steps, k, v;
  const double *w, *a, *b, *keys, *values, *q, *bonus;
} scans_matrix;

void scans_matrix_run(const scans_matrix *s, double *state, double *out);

/* h_t = f_t * h_t-1 + g_t, element by element: f, g, out [steps][n]; state [n] as above. */
void scans_affine_run(int steps, int n, const double *f, const double *g, double *state, double *out);

/* out [top]: the keys [n][d] nearest to the query, by squared distance, then by index. */
void scans_nearest(int n, int d, const double *keys, const double *query, int top, int *out);

#endif
