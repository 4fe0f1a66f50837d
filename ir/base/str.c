/* Strings: growing texts, interned names, hashing, patterns, "did you mean". */
#include "ir/base/str.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/map.h"

/* Room for `more` bytes and the terminator. */
static void reserve(sn_text *t, size_t more) {
  size_t need = (size_t)t->count + 1;
  if (more >= INT_MAX / 2 || need + more >= INT_MAX / 2) need = SIZE_MAX / 4; /* fails as out of memory */
  need += more;
  if (need <= (size_t)t->capacity) return;
  size_t grown = (size_t)t->capacity * 2;
  if (grown < need) grown = need;
  char *to = sn_arena_alloc(t->arena, grown);
  memcpy(to, t->at, (size_t)t->count + 1);
  t->at = to;
  t->capacity = (int)grown;
}

sn_text sn_text_begin(sn_arena *arena) {
  return (sn_text){.arena = arena, .at = sn_arena_alloc(arena, 64), .count = 0, .capacity = 64};
}

void sn_text_bytes(sn_text *t, const char *bytes, size_t count) {
  reserve(t, count);
  if (count) memcpy(t->at + t->count, bytes, count);
  t->count += (int)count;
  t->at[t->count] = 0;
}

void sn_text_char(sn_text *t, char c) { sn_text_bytes(t, &c, 1); }

void sn_text_add_list(sn_text *t, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int room = t->capacity - t->count, count = vsnprintf(t->at + t->count, (size_t)room, format, args);
  if (count >= room) {
    reserve(t, (size_t)count);
    vsnprintf(t->at + t->count, (size_t)count + 1, format, again);
  }
  if (count > 0) t->count += count;
  t->at[t->count] = 0;
  va_end(again);
}

void sn_text_add(sn_text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  sn_text_add_list(t, format, args);
  va_end(args);
}

/* The decimal point of the process's locale to and from '.'. */
static void replace_point(char *s, char from, char to) {
  char *at = from == to ? NULL : strchr(s, from);
  if (at) *at = to;
}

/* *whole: all of the text is a number. */
static double read_number(const char *s, bool *whole) {
  char point = localeconv()->decimal_point[0], local[400], *end;
  size_t count = strlen(s);
  if (point != '.' && count < sizeof local) {
    memcpy(local, s, count + 1);
    replace_point(local, '.', point);
    s = local;
  }
  double x = strtod(s, &end);
  *whole = end != s && !*end;
  return x;
}

double sn_number_read(const char *s) { return read_number(s, &(bool){false}); }

/* Blanks and hexadecimal digits, which the C library takes. */
static bool is_lax(const char *s) { return isspace((unsigned char)*s) || strpbrk(s, "xX"); }

bool sn_real_in(const char *s, double min, double max, double *out) {
  bool whole;
  double x = read_number(s, &whole);
  if (!whole || is_lax(s) || !(x >= min && x <= max)) return false;
  *out = x;
  return true;
}

bool sn_int_in(const char *s, int64_t min, int64_t max, int64_t *out) {
  char *end;
  errno = 0;
  long long x = strtoll(s, &end, 10);
  if (end == s || *end || errno || is_lax(s) || x < min || x > max) return false;
  *out = x;
  return true;
}

bool sn_bytes_in(const char *s, int64_t min, int64_t max, int64_t *out) {
  static const char units[] = "KMGT";
  char number[32];
  size_t n = strlen(s);
  const char *unit = n ? strchr(units, s[n - 1]) : NULL;
  int64_t x;
  if (unit) n--;
  if (!n || n >= sizeof number) return false;
  memcpy(number, s, n);
  number[n] = 0;
  int shift = unit ? 10 * (int)(unit - units + 1) : 0;
  if (!sn_int_in(number, 0, INT64_MAX >> shift, &x) || x << shift < min || x << shift > max) return false;
  *out = x << shift;
  return true;
}

/* 1e+05 and 1e-05 as 1e5 and 1e-5. */
static void shorten_exponent(char *s) {
  char *e = strchr(s, 'e');
  if (!e) return;
  char *from = e + 1, *to = e + 1;
  if (*from == '-') to++;
  from++;
  while (*from == '0' && from[1]) from++;
  memmove(to, from, strlen(from) + 1);
}

void sn_text_number(sn_text *t, double x) {
  char s[40];
  if (isnan(x)) {
    sn_text_add(t, "nan");
  } else if (isinf(x)) {
    sn_text_add(t, x < 0 ? "-inf" : "inf");
  } else if (fabs(x) < 1e15 && x == floor(x)) {
    sn_text_add(t, "%.0f", x);
  } else {
    for (int digits = 1; digits <= 17; digits++) {
      snprintf(s, sizeof s, "%.*g", digits, x);
      if (strtod(s, NULL) == x) break;
    }
    replace_point(s, localeconv()->decimal_point[0], '.');
    shorten_exponent(s);
    sn_text_add(t, "%s", s);
  }
}

static void quoted_char(sn_text *t, unsigned char c) {
  if (c == '"' || c == '\\') {
    sn_text_add(t, "\\%c", c);
  } else if (c == '\n' || c == '\t') {
    sn_text_add(t, c == '\n' ? "\\n" : "\\t");
  } else if (c < 32 || c == 127) {
    sn_text_add(t, "\\x%02x", c);
  } else {
    sn_text_char(t, (char)c);
  }
}

void sn_text_quoted(sn_text *t, const char *s) {
  sn_text_char(t, '"');
  for (; *s; s++) quoted_char(t, (unsigned char)*s);
  sn_text_char(t, '"');
}

struct sn_names {
  sn_arena *arena;
  sn_map *map;
};

sn_names *sn_names_create(sn_arena *arena) {
  sn_names *n = SN_NEW(arena, sn_names);
  n->arena = arena;
  n->map = sn_map_create(arena);
  return n;
}

const char *sn_name(sn_names *n, const char *s) {
  char *known = sn_map_get_str(n->map, s);
  if (known) return known;
  known = sn_arena_strdup(n->arena, s);
  sn_map_put_str(n->map, known, known);
  return known;
}

uint64_t sn_hash_bytes(const void *data, size_t bytes, uint64_t seed) {
  const unsigned char *at = data;
  uint64_t h = seed ^ 0xcbf29ce484222325u;
  for (size_t i = 0; i < bytes; i++) h = (h ^ at[i]) * 0x100000001b3u;
  h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
  h = (h ^ h >> 27) * 0x94d049bb133111ebu;
  return h ^ h >> 31;
}

/* Does `name` match one alternative, pattern[0 .. count)? Linear: only the last star is ever retried. */
static bool alternative_match(const char *pattern, size_t count, const char *name) {
  const char *end = pattern + count, *star = NULL, *retry = NULL;
  while (*name) {
    if (pattern < end && *pattern == '*') {
      star = pattern++;
      retry = name;
    } else if (pattern < end && *pattern == *name) {
      pattern++, name++;
    } else if (star) {
      pattern = star + 1;
      name = ++retry;
    } else {
      return false;
    }
  }
  while (pattern < end && *pattern == '*') pattern++;
  return pattern == end;
}

/* A name matches when no '-' alternative matches it, and another does or there are only '-' ones. */
bool sn_pattern_match(const char *pattern, const char *name) {
  bool chosen = false, only_except = true;
  for (const char *at = pattern;; at++) {
    size_t count = strcspn(at, "|");
    bool except = *at == '-', match = alternative_match(at + except, count - except, name);
    if (except && match) return false;
    if (!except) only_except = false, chosen |= match;
    at += count;
    if (!*at) break;
  }
  return chosen || only_except;
}

enum { NEAREST_MAX = 64 };

/* Edit distance with swaps of neighbours; `limit` or more is told as limit. */
static int distance(const char *a, const char *b, int limit) {
  int row[3][NEAREST_MAX + 1], n = (int)strlen(a), m = (int)strlen(b);
  if (n > NEAREST_MAX || m > NEAREST_MAX) return limit;
  for (int j = 0; j <= m; j++) row[0][j] = j;
  for (int i = 1; i <= n; i++) {
    int *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      int d = before[j - 1] + (a[i - 1] != b[j - 1]);
      if (before[j] + 1 < d) d = before[j] + 1;
      if (now[j - 1] + 1 < d) d = now[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && earlier[j - 2] + 1 < d)
        d = earlier[j - 2] + 1;
      now[j] = d;
    }
  }
  return row[n % 3][m];
}

const char *sn_nearest(const char *name, const char *const *entries, int count) {
  int best = 2 + (int)strlen(name) / 4; /* distances below this are near */
  const char *nearest = NULL;
  if (!*name) return NULL;
  for (int i = 0; i < count; i++) {
    int d = distance(name, entries[i], best), length = (int)strlen(entries[i]);
    if (d >= best || d >= length) continue;
    best = d;
    nearest = entries[i];
  }
  return nearest;
}
