/* D6: a small language of instructions about strings, and its interpreter, which grades any answer. An instruction is
 * up to three operations, in words, "then" between them; they act on letters a .. h, their capitals, and digits: copy,
 * reverse, sort, upper     sort: by character, capitals and digits first shift N                        letters move by
 * N = 1 .. 3, h becomes a last                           the last character count                          how many
 * characters, in digits drop X                         without the letter X, small and capital */
#ifndef ORACLES_INSTR_H
#define ORACLES_INSTR_H

#include <stdbool.h>
#include <stdint.h>

typedef enum instr_kind {
  INSTR_COPY,
  INSTR_REVERSE,
  INSTR_SORT,
  INSTR_UPPER,
  INSTR_SHIFT,
  INSTR_LAST,
  INSTR_COUNT,
  INSTR_DROP,
  INSTR_KINDS,
} instr_kind;

enum { INSTR_DEPTH = 3, INSTR_TEXT = 64 /* with the end */, INSTR_INPUT = 16 };

typedef struct instr_op {
  instr_kind kind;
  int with; /* of shift 1 .. 3, of drop 0 .. 7, else 0 */
} instr_op;

typedef struct instr {
  int depth; /* operations */
  instr_op op[INSTR_DEPTH];
} instr;

/* The words of an instruction, and back; false for what is none. */
void instr_write(const instr *i, char text[INSTR_TEXT]);
bool instr_read(const char *text, instr *out);

/* The answer; false for an input that is too long or has other characters. */
bool instr_run(const instr *i, const char *input, char output[INSTR_INPUT]);

/* Whether output answers the instruction; false also for what is no instruction. */
bool instr_grade(const char *text, const char *input, const char *output);

/* Number `number` of the instructions of one depth, and how many there are; for splits by composition. */
int instr_many(int depth);
instr instr_number(int depth, int number);

/* A uniform instruction of that depth, and an input of 1 .. longest small letters. */
instr instr_sample(uint64_t seed, uint64_t index, int depth, int longest, char input[INSTR_INPUT]);

#endif
