/* How positions enter attention, in doubles and by the formulas of the papers. */
#ifndef ORACLES_POSITIONS_H
#define ORACLES_POSITIONS_H

#include <stdbool.h>

/* out [width]: sin and cos of position / 10000^(2k / width), next to each other. */
void positions_sinusoid(double position, int width, double *out);

/* T5's bucket of the distance query - key. Both directions: the upper half of the buckets is for keys behind the query.
 */
int positions_bucket(int distance, int buckets, int farthest, bool both);

/* The form of the book (B8.79), with buckets + 1 of them: a = (buckets + 1) / 2 single distances, then as many in equal
 * ratios, the last from `farthest` on. */
int positions_book_bucket(int distance, int buckets, int farthest);

/* What ALiBi subtracts for each token of distance: 2^(-8 (head + 1) / heads), heads that are no power of two filled up
 * with every other slope of twice as many. */
double positions_alibi(int head, int heads);

/* What is added to the score of a key `distance` before the query. Kerple: -r1 log(1 + r2 distance), or -r1 distance^r2
 * (power). Sandwich: r times what the product of two sinusoids of `width` loses over the distance. FIRE: of the query's
 * place, too; up, bias, down [hidden]: f(x) = sum of down relu(up x + bias), x the quotient of logarithms. */
double positions_kerple(int distance, double r1, double r2, bool power);
double positions_sandwich(int distance, int width, double r);
double positions_fire(int distance, int place, double c, double least, int hidden, const double *up, const double *bias,
                      const double *down);

/* Turns pairs of x [width] by position * frequency[pair]. Pairs are neighbours, or k and k + width / 2 (`halves`). */
void positions_rotate(double position, int width, const double *frequency, bool halves, double *x);

/* frequency [width / 2] of rotations: base^(-2k / width). */
void positions_rope(int width, double base, double *frequency);

/* Ways to read `scale` times as far as in training: all slower; another base; or by how often a pair turns in `trained`
 * tokens, from all slower (below 1 turn) to as it was (above 32). The last returns what cos and sin are multiplied by.
 */
void positions_interpolate(int width, double base, double scale, double *frequency);
double positions_ntk_base(int width, double base, double scale);
double positions_yarn(int width, double base, double scale, int trained, double *frequency);

#endif
