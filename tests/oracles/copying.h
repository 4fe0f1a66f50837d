/* D4: tasks of copying, counting and tracking. Samples are tokens [n] and answers [n] as in recall.h, or numbers. */
#ifndef ORACLES_COPYING_H
#define ORACLES_COPYING_H

#include <stdint.h>

/* Copy at a lag: tokens are independent and uniform, the answer at t is token t - lag.
 *   chance: 1 / symbols    reach: lag: a model that sees fewer tokens back is at chance, whatever it is */
void lag_sample(uint64_t seed, uint64_t index, int symbols, int lag, int length, int *tokens, int *answers);

/* Selective copy: `content` tokens at random places among noise, then as many questions: answer them in order. What
 * treats all times alike cannot leave the noise out. tokens: 0 noise, 1 question, 2 .. 1 + values    answers: values
 * counted from 0    chance: 1 / values reach: length - 1    needs: length >= 2 * content    source: Gu & Dao 2023,
 * section 3.1 */
void selective_sample(uint64_t seed, uint64_t index, int values, int content, int length, int *tokens, int *answers);

/* Majority of the last `window` tokens, which are 0 or 1: the answer is 1 if more than half of them are.
 *   chance: majority_chance    reach: window - 1 */
void majority_sample(uint64_t seed, uint64_t index, int window, int length, int *tokens, int *answers);
double majority_chance(int window);

/* Word problem of S3: token t swaps two of three things (0: the first two, 1: the outer two, 2: the last two), the
 * answer at t is their order now, of 6; s3_step says how tokens act on orders, and order 0 is the start. chance: 1/3,
 * not 1/6: every swap changes the parity, which t alone tells; 1/3 as well for what sees only some of the last tokens
 * reach: t */
void s3_sample(uint64_t seed, uint64_t index, int length, int *tokens, int *answers);
int s3_step(int order, int token);

/* Adding problem: value [n] uniform in (0, 1), mark [n] is 1 at two places, one in each half, 0 elsewhere. Returns the
 * sum of the two marked values; 1 is the best constant, with a squared error of 1/6. reach: length - 1    source:
 * Hochreiter & Schmidhuber 1997, section 5.4 */
double adding_sample(uint64_t seed, uint64_t index, int length, double *value, double *mark);

#endif
