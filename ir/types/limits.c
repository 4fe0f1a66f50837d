/* Limits of processors: defaults by feature level, and their text. */
#include "ir/types/limits.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
  const char *name;
  size_t at;
  double least, most;
} row;

static const row rows[] = {
    {"product", offsetof(sn_limits, product), 1e6, 1e16},
    {"pairs", offsetof(sn_limits, pairs), 1e6, 1e16},
    {"point", offsetof(sn_limits, point), 1e6, 1e16},
    {"l2", offsetof(sn_limits, l2), 1e6, 1e15},
    {"l3", offsetof(sn_limits, l3), 1e6, 1e15},
    {"memory", offsetof(sn_limits, memory), 1e6, 1e15},
    {"together", offsetof(sn_limits, together), 1e6, 1e15},
    {"launch_ns", offsetof(sn_limits, launch_ns), 0.1, 1e9},
    {"meet_ns", offsetof(sn_limits, meet_ns), 0.1, 1e9},
};
enum { MOST_MEET_NS = 20000 }; /* else threads waited for a processor, not for each other */
enum { ROWS = sizeof rows / sizeof *rows };

sn_limits sn_limits_default(const sn_target *t) {
  double lanes = t->lanes > 0 ? t->lanes : 1;
  sn_limits l = {.product = 5e9 * lanes, /* two units at 3 GHz, five sixths of the time */
                 .point = 4e9 * lanes,
                 .l2 = 40e9,
                 .l3 = 16e9,
                 .memory = 10e9,
                 .together = 10e9 * (t->threads > 2   ? 2
                                     : t->threads > 0 ? t->threads
                                                      : 1),
                 .launch_ns = 300,
                 .meet_ns = 2000};
  l.pairs = t->isa == SN_ISA_AMX ? 600e9 : t->vnni ? 2 * l.product : l.product;
  return l;
}

void sn_limits_print(sn_text *out, const sn_limits *l) {
  for (int i = 0; i < ROWS; i++)
    sn_text_add(out, "%s %.6g\n", rows[i].name, *(const double *)((const char *)l + rows[i].at));
}

bool sn_limits_sound(const sn_limits *l) {
  return l->l2 >= l->l3 && l->l3 >= l->memory && l->together >= 0.9 * l->memory && l->meet_ns <= MOST_MEET_NS;
}

/* The number behind "NAME " on a line, up to its end. */
static bool number_of(const char *line, size_t n, const row *r, double *out) {
  char copy[64], *end;
  size_t name = strlen(r->name);
  if (n <= name + 1 || n >= sizeof copy || memcmp(line, r->name, name) || line[name] != ' ') return false;
  memcpy(copy, line, n);
  copy[n] = 0;
  if (strspn(copy + name + 1, "0123456789.e+-") != n - name - 1) return false;
  *out = strtod(copy + name + 1, &end);
  return end == copy + n && *out >= r->least && *out <= r->most;
}

bool sn_limits_read(const char *text, size_t bytes, sn_limits *out) {
  sn_limits l = {.measured = true};
  const char *end = text + bytes;
  for (int i = 0; i < ROWS; i++) {
    const char *stop = memchr(text, '\n', (size_t)(end - text));
    if (!stop || !number_of(text, (size_t)(stop - text), &rows[i], (double *)((char *)&l + rows[i].at))) return false;
    text = stop + 1;
  }
  if (text != end) return false;
  *out = l;
  return true;
}
