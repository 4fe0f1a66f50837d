/* Strings: a growing text, and interned names. */
#ifndef SN_IR_BASE_STR_H
#define SN_IR_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/base/arena.h"

#ifdef __GNUC__
#pragma GCC visibility push(default) /* loaded backends call these */
#endif

/* A text under construction; `at` is always terminated. */
typedef struct sn_text {
  sn_arena *arena;
  char *at;
  int count, capacity; /* bytes without / with the terminator */
} sn_text;

sn_text sn_text_begin(sn_arena *arena);
void sn_text_add(sn_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sn_text_add_list(sn_text *t, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void sn_text_char(sn_text *t, char c);
void sn_text_bytes(sn_text *t, const char *bytes, size_t count);
/* The shortest decimal that reads back as the same double; "inf", "-inf", "nan". */
void sn_text_number(sn_text *t, double x);
/* Reads a decimal as sn_text_number writes it, whatever the locale of the process. */
double sn_number_read(const char *s);
/* All of the text as a decimal number from min to max; false: it is none, *out keeps its value. For options. */
bool sn_real_in(const char *s, double min, double max, double *out);
bool sn_int_in(const char *s, int64_t min, int64_t max, int64_t *out);
/* The same of bytes: a whole number, also of K, M, G or T (1024 bytes and so on), "512M". */
bool sn_bytes_in(const char *s, int64_t min, int64_t max, int64_t *out);
/* A string literal with \" \\ \n \t \xHH escapes, quotes included. */
void sn_text_quoted(sn_text *t, const char *s);

/* Interned strings: equal texts are equal pointers. */
typedef struct sn_names sn_names;
sn_names *sn_names_create(sn_arena *arena);
const char *sn_name(sn_names *n, const char *s);

/* For tables in memory: quick, and nothing that is kept or seen may depend on it. */
static inline uint64_t sn_hash_word(uint64_t word, uint64_t h) {
  h = (h ^ word) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 32;
}
static inline uint64_t sn_hash_words(const uint64_t *word, int count) {
  uint64_t h = (uint64_t)count;
  for (int i = 0; i < count; i++) h = sn_hash_word(word[i], h);
  return h;
}

/* Bits of 64 that depend on every byte (FNV-1a, finished by a mixer): ids and hash tables, not
 * checksums of files. */
uint64_t sn_hash_bytes(const void *data, size_t bytes, uint64_t seed);

/* `*` any text, `|` or, leading `-` except: does `name` match `pattern`? ("*.lora_*|head") */
bool sn_pattern_match(const char *pattern, const char *name);
/* The entry nearest to `name` by edit distance, or NULL if none is near: for "did you mean". */
const char *sn_nearest(const char *name, const char *const *entries, int count);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
