/* Adam, in doubles. */
#include "tests/oracles/adam.h"

#include <math.h>

void adam_step(const adam *a, int t, double rate, int n, const bool *decays, double *gradient, double *m, double *v,
               double *theta) {
  double norm = 0;
  for (int i = 0; i < n; i++) norm += gradient[i] * gradient[i];
  norm = sqrt(norm);
  double early1 = a->corrected ? 1 - pow(a->beta1, t) : 1, early2 = a->corrected ? 1 - pow(a->beta2, t) : 1;
  for (int i = 0; i < n; i++) {
    if (a->clip > 0 && norm > a->clip) gradient[i] *= a->clip / norm;
    m[i] = a->beta1 * m[i] + (1 - a->beta1) * gradient[i];
    v[i] = a->beta2 * v[i] + (1 - a->beta2) * gradient[i] * gradient[i];
    double decay = !decays || decays[i] ? a->decay * theta[i] : 0;
    theta[i] -= rate * (m[i] / early1 / (sqrt(v[i] / early2) + a->epsilon) + decay);
  }
}

double adam_rate_linear(double top, int warm, int all, int t) {
  if (t <= warm) return top * t / warm;
  return t < all ? top * (all - t) / (all - warm) : 0;
}

double adam_rate_cosine(double top, double end, int warm, int all, int t) {
  if (t <= warm) return top * t / warm;
  if (t >= all) return end;
  return end + (top - end) * 0.5 * (1 + cos(3.14159265358979323846 * (t - warm) / (all - warm)));
}
