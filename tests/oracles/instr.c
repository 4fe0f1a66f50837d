/* D6: instructions about strings. */
#include "tests/oracles/instr.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/oracles/draws.h"

enum { SAMPLE = 0x696e01, LETTERS = 8 };

static const char *const word[INSTR_KINDS] = {"copy", "reverse", "sort", "upper", "shift", "last", "count", "drop"};

/* Ways to say an operation of a kind. */
static int ways(instr_kind kind) { return kind == INSTR_SHIFT ? 3 : kind == INSTR_DROP ? LETTERS : 1; }

void instr_write(const instr *i, char text[INSTR_TEXT]) {
  int at = 0;
  text[0] = 0;
  for (int k = 0; k < i->depth; k++) {
    at += snprintf(text + at, (size_t)(INSTR_TEXT - at), "%s%s", k ? " then " : "", word[i->op[k].kind]);
    if (i->op[k].kind == INSTR_SHIFT) at += snprintf(text + at, (size_t)(INSTR_TEXT - at), " %d", i->op[k].with);
    if (i->op[k].kind == INSTR_DROP) at += snprintf(text + at, (size_t)(INSTR_TEXT - at), " %c", 'a' + i->op[k].with);
  }
}

/* Moves past what is expected. */
static bool skip(const char **at, const char *expected) {
  size_t n = strlen(expected);
  if (strncmp(*at, expected, n) != 0) return false;
  *at += n;
  return true;
}

static bool read_op(const char **at, instr_op *op) {
  for (int k = 0; k < INSTR_KINDS; k++) {
    if (!skip(at, word[k])) continue;
    *op = (instr_op){(instr_kind)k, 0};
    if (ways(op->kind) == 1) return true;
    if (!skip(at, " ")) return false;
    op->with = op->kind == INSTR_SHIFT ? **at - '0' : **at - 'a';
    if (op->kind == INSTR_SHIFT ? op->with < 1 || op->with > 3 : op->with < 0 || op->with >= LETTERS) return false;
    ++*at;
    return true;
  }
  return false;
}

bool instr_read(const char *text, instr *out) {
  instr i = {0};
  do {
    if (i.depth == INSTR_DEPTH || !read_op(&text, &i.op[i.depth])) return false;
    i.depth++;
  } while (skip(&text, " then "));
  if (*text) return false;
  *out = i;
  return true;
}

static bool is_small(char c) { return c >= 'a' && c < 'a' + LETTERS; }
static bool is_capital(char c) { return c >= 'A' && c < 'A' + LETTERS; }

static char act_on(instr_op op, char c) {
  char first = is_small(c) ? 'a' : is_capital(c) ? 'A' : 0;
  if (op.kind == INSTR_UPPER && first == 'a') return (char)(c - 'a' + 'A');
  if (op.kind == INSTR_SHIFT && first) return (char)(first + (c - first + op.with) % LETTERS);
  return c;
}

static void act(instr_op op, char *s) {
  char old[INSTR_INPUT];
  int n = (int)strlen(s), kept = 0;
  memcpy(old, s, (size_t)n + 1);
  switch (op.kind) {
    case INSTR_COPY: break;
    case INSTR_REVERSE:
      for (int i = 0; i < n; i++) s[i] = old[n - 1 - i];
      break;
    case INSTR_SORT:
      for (int i = 1; i < n; i++) {
        for (int k = i; k > 0 && s[k] < s[k - 1]; k--) {
          char c = s[k];
          s[k] = s[k - 1], s[k - 1] = c;
        }
      }
      break;
    case INSTR_UPPER:
    case INSTR_SHIFT:
      for (int i = 0; i < n; i++) s[i] = act_on(op, s[i]);
      break;
    case INSTR_LAST:
      if (n) s[0] = old[n - 1], s[1] = 0;
      break;
    case INSTR_COUNT: snprintf(s, INSTR_INPUT, "%d", n); break;
    case INSTR_DROP:
      for (int i = 0; i < n; i++) {
        if (old[i] != 'a' + op.with && old[i] != 'A' + op.with) s[kept++] = old[i];
      }
      s[kept] = 0;
      break;
    case INSTR_KINDS: break;
  }
}

bool instr_run(const instr *i, const char *input, char output[INSTR_INPUT]) {
  size_t n = strlen(input);
  if (n >= INSTR_INPUT) return false;
  for (size_t k = 0; k < n; k++) {
    if (!is_small(input[k]) && !is_capital(input[k]) && !(input[k] >= '0' && input[k] <= '9')) return false;
  }
  memcpy(output, input, n + 1);
  for (int k = 0; k < i->depth; k++) act(i->op[k], output);
  return true;
}

bool instr_grade(const char *text, const char *input, const char *output) {
  instr i;
  char right[INSTR_INPUT];
  return instr_read(text, &i) && instr_run(&i, input, right) && strcmp(right, output) == 0;
}

int instr_many(int depth) {
  int one = 0, all = 1;
  for (int k = 0; k < INSTR_KINDS; k++) one += ways((instr_kind)k);
  while (depth-- > 0) all *= one;
  return all;
}

instr instr_number(int depth, int number) {
  assert(depth > 0 && depth <= INSTR_DEPTH && number < instr_many(depth));
  instr i = {.depth = depth};
  for (int k = 0; k < depth; k++) {
    int way = number % instr_many(1), kind = 0;
    number /= instr_many(1);
    while (way >= ways((instr_kind)kind)) way -= ways((instr_kind)kind++);
    i.op[k] = (instr_op){(instr_kind)kind, way + (kind == INSTR_SHIFT)};
  }
  return i;
}

instr instr_sample(uint64_t seed, uint64_t index, int depth, int longest, char input[INSTR_INPUT]) {
  assert(longest > 0 && longest < INSTR_INPUT);
  draws d = draws_of(seed, SAMPLE, index);
  instr i = instr_number(depth, draws_below(&d, instr_many(depth)));
  int n = 1 + draws_below(&d, longest);
  for (int k = 0; k < n; k++) input[k] = (char)('a' + draws_below(&d, LETTERS));
  input[n] = 0;
  return i;
}
