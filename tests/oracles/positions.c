/* Positions: sinusoids, buckets, slopes, rotations. */
#include "tests/oracles/positions.h"

#include <math.h>

#define PI 3.14159265358979323846

void positions_sinusoid(double position, int width, double *out) {
  for (int k = 0; k < width / 2; k++) {
    double angle = position * pow(10000, -2.0 * k / width);
    out[2 * k] = sin(angle);
    out[2 * k + 1] = cos(angle);
  }
}

/* Half of the buckets are single distances, the other half share what lies between in equal ratios. */
int positions_bucket(int distance, int buckets, int farthest, bool both) {
  int first = 0;
  if (both) {
    buckets /= 2;
    if (distance < 0) first = buckets, distance = -distance;
  } else if (distance < 0) {
    distance = 0;
  }
  int exact = buckets / 2;
  if (distance < exact) return first + distance;
  double ratio = log((double)distance / exact) / log((double)farthest / exact);
  int shared = exact + (int)(ratio * (buckets - exact));
  return first + (shared < buckets - 1 ? shared : buckets - 1);
}

int positions_book_bucket(int distance, int buckets, int farthest) {
  int exact = (buckets + 1) / 2;
  if (distance < exact) return distance < 0 ? 0 : distance;
  if (distance >= farthest) return buckets;
  double ratio = log((double)distance / exact) / log((double)farthest / exact);
  int shared = exact + (int)(ratio * exact);
  return shared < buckets ? shared : buckets;
}

double positions_alibi(int head, int heads) {
  int whole = 1;
  while (2 * whole <= heads) whole *= 2;
  if (head < whole) return pow(2, -8.0 * (head + 1) / whole);
  return pow(2, -8.0 * (2 * (head - whole) + 1) / (2 * whole));
}

double positions_kerple(int distance, double r1, double r2, bool power) {
  return -r1 * (power ? pow(distance, r2) : log(1 + r2 * distance));
}

double positions_sandwich(int distance, int width, double r) {
  double here[2], there[2], sum = 0;
  for (int k = 0; k < width / 2; k++) { /* two positions, far from 0 */
    double angle = pow(10000, -2.0 * k / width);
    here[0] = sin(50 * angle), here[1] = cos(50 * angle);
    there[0] = sin((50 + distance) * angle), there[1] = cos((50 + distance) * angle);
    sum += here[0] * there[0] + here[1] * there[1] - 1;
  }
  return r * sum;
}

double positions_fire(int distance, int place, double c, double least, int hidden, const double *up, const double *bias,
                      const double *down) {
  double x = log(1 + c * distance) / log(1 + c * fmax(least, place)), y = 0;
  for (int n = 0; n < hidden; n++) y += down[n] * fmax(0, up[n] * x + bias[n]);
  return y;
}

void positions_rotate(double position, int width, const double *frequency, bool halves, double *x) {
  for (int k = 0; k < width / 2; k++) {
    int a = halves ? k : 2 * k, b = halves ? k + width / 2 : 2 * k + 1;
    double c = cos(position * frequency[k]), s = sin(position * frequency[k]), kept = x[a];
    x[a] = c * kept - s * x[b];
    x[b] = s * kept + c * x[b];
  }
}

void positions_rope(int width, double base, double *frequency) {
  for (int k = 0; k < width / 2; k++) frequency[k] = pow(base, -2.0 * k / width);
}

void positions_interpolate(int width, double base, double scale, double *frequency) {
  positions_rope(width, base, frequency);
  for (int k = 0; k < width / 2; k++) frequency[k] /= scale;
}

double positions_ntk_base(int width, double base, double scale) { return base * pow(scale, width / (width - 2.0)); }

/* source: Peng et al. 2023, equations 19 to 23, and their code, which rounds the ends of the ramp outward and clips
 * them */
double positions_yarn(int width, double base, double scale, int trained, double *frequency) {
  double low = width * log(trained / (32 * 2 * PI)) / (2 * log(base)),
         high = width * log(trained / (2 * PI)) / (2 * log(base));
  low = fmax(floor(low), 0), high = fmin(ceil(high), width - 1);
  if (low == high) high += 0.001;
  positions_rope(width, base, frequency);
  for (int k = 0; k < width / 2; k++) {
    double slower = fmin(1, fmax(0, (k - low) / (high - low)));
    frequency[k] = frequency[k] / scale * slower + frequency[k] * (1 - slower);
  }
  return scale > 1 ? 0.1 * log(scale) + 1 : 1;
}
