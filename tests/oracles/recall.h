/* D4: tasks of recall. Every sample is tokens [n] and answers [n]: answers[t] is what a model that has read
 * tokens[0..t] must say, or -1 where nothing is asked. All of them can be answered without fault; what a model scores
 * that cannot see far enough is stated at each task, as is the number of tokens before t that an answer may need (its
 * reach). */
#ifndef ORACLES_RECALL_H
#define ORACLES_RECALL_H

#include <stdbool.h>
#include <stdint.h>

/* Associative recall with several queries (MQAR), and overwrite-recall. The text is pairs key value, then queries among
 * filler: gaps between the pairs and a query follow a power law. With `overwrite` each key is written twice, its values
 * differ, in any order, and the last one is the answer: what adds up all it was told cannot tell which. tokens: 0
 * filler; 1 .. keys; then values    chance: 1 / values    reach: length - 1 source: Arora et al. 2023 (Zoology),
 * section 4 */
typedef struct recall {
  int pairs;      /* different keys in a sample, each asked once; at most 64 */
  int keys;       /* at least pairs */
  int values;     /* answers are values counted from 0 */
  int length;     /* tokens; at least recall_shortest */
  bool overwrite; /* each key is written twice */
} recall;

int recall_symbols(const recall *r);
int recall_shortest(const recall *r);
void recall_sample(const recall *r, uint64_t seed, uint64_t index, int *tokens, int *answers);

/* Induction: a trigger once, anywhere, with a token behind it; the trigger again at the end: what came behind it?
 *   tokens: 0 trigger; 1 .. symbols - 1    answers: the token itself    chance: 1 / (symbols - 1)    reach: length - 2
 */
void induction_sample(uint64_t seed, uint64_t index, int symbols, int length, int *tokens, int *answers);

/* Passkey: a marker and `digits` tokens at a random depth of filler, asked for at the end, one digit per question mark.
 * With digits = 1, values = 2 and depth 0 it is a bit that has to be carried. tokens: 0 question, 1 marker, 2 .. 1 +
 * values digits, then filler    answers: digits counted from 0 chance: 1 / values    reach: length - 1 */
typedef struct passkey {
  int digits; /* length of the key */
  int values; /* of a digit */
  int filler; /* different tokens of filler, at least 1 */
  int length; /* tokens, at least 2 * digits + 1 */
  int depth;  /* where the marker stands; -1: anywhere */
} passkey;

int passkey_symbols(const passkey *p);
void passkey_sample(const passkey *p, uint64_t seed, uint64_t index, int *tokens, int *answers);

#endif
