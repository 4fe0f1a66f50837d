/* Barriers of a list of commands. Placing walks the list and keeps what was touched since the last barrier; checking
 * sorts the touched ranges of each stretch between barriers by address and sweeps over them. */
#include "runtime/hazard.h"

#include <stdlib.h>
#include <string.h>

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static bool grow(void **at, int *capacity, int count, size_t size) {
  if (count < *capacity) return true;
  int more = *capacity ? 2 * *capacity : 64;
  void *p = realloc(*at, (size_t)more * size);
  if (!p) return false;
  *at = p, *capacity = more;
  return true;
}

sn_code sn_commands_add(sn_commands *c, int step) {
  void *at = c->at;
  bool fits = grow(&at, &c->capacity, c->count, sizeof *c->at);
  c->at = at;
  if (!fits) return SN_ERR_LIMIT;
  c->at[c->count++] = (sn_command){.step = step, .first = c->access_count};
  return SN_OK;
}

sn_code sn_commands_access(sn_commands *c, uint64_t at, int64_t bytes, bool write) {
  if (bytes <= 0) return SN_OK;
  void *access = c->access;
  bool fits = grow(&access, &c->access_capacity, c->access_count, sizeof *c->access);
  c->access = access;
  if (!fits) return SN_ERR_LIMIT;
  c->access[c->access_count++] = (sn_command_access){at, (uint64_t)bytes, write};
  c->at[c->count - 1].count++;
  return SN_OK;
}

void sn_commands_free(sn_commands *c) {
  free(c->at);
  free(c->access);
  *c = (sn_commands){0};
}

/* ---- placing ----------------------------------------------------------------------------------------------------- */

static bool conflict(const sn_command_access *a, const sn_command_access *b) {
  if (!a->write && !b->write) return false;
  return a->at < b->at + b->bytes && b->at < a->at + a->bytes;
}

static bool must_wait(const sn_command_access *open, int open_count, const sn_command_access *mine, int count) {
  for (int i = 0; i < count; i++)
    for (int k = 0; k < open_count; k++)
      if (conflict(&mine[i], &open[k])) return true;
  return false;
}

/* What is touched since the last barrier: accesses of a command follow each other, so that they are one range of the
 * list. */
sn_code sn_barriers_place(sn_commands *c) {
  int open = 0;
  for (int i = 0; i < c->count; i++) {
    sn_command *x = &c->at[i];
    x->barrier = must_wait(&c->access[open], x->first - open, &c->access[x->first], x->count);
    if (x->barrier) open = x->first;
  }
  return SN_OK;
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

typedef struct edge {
  uint64_t at, end;
  int command;
  bool write;
} edge;

static int by_address(const void *x, const void *y) {
  const edge *a = x, *b = y;
  if (a->at != b->at) return a->at < b->at ? -1 : 1;
  return a->command - b->command;
}

/* Of the ranges swept over so far: the one that reaches farthest, and the farthest of another command than that. */
typedef struct reach {
  edge far, other;
} reach;

static void reach_add(reach *r, const edge *e) {
  if (r->far.command < 0 || e->end > r->far.end) {
    if (r->far.command >= 0 && r->far.command != e->command) r->other = r->far;
    r->far = *e;
  } else if (e->command != r->far.command && (r->other.command < 0 || e->end > r->other.end)) {
    r->other = *e;
  }
}

/* A range of another command that still covers the place where e begins. */
static const edge *reach_over(const reach *r, const edge *e) {
  if (r->far.command >= 0 && r->far.command != e->command && r->far.end > e->at) return &r->far;
  if (r->other.command >= 0 && r->other.command != e->command && r->other.end > e->at) return &r->other;
  return NULL;
}

static bool sweep(edge *e, int count, sn_hazard *out) {
  const edge none = {.command = -1};
  reach writes = {none, none}, all = {none, none};
  qsort(e, (size_t)count, sizeof *e, by_address);
  for (int i = 0; i < count; i++) {
    const edge *over = reach_over(e[i].write ? &all : &writes, &e[i]);
    if (over) {
      bool first = over->command < e[i].command;
      *out = (sn_hazard){first ? over->command : e[i].command, first ? e[i].command : over->command, e[i].at};
      return true;
    }
    reach_add(&all, &e[i]);
    if (e[i].write) reach_add(&writes, &e[i]);
  }
  return false;
}

/* The edges of commands from..to-1. */
static int collect(const sn_commands *c, int from, int to, edge *out) {
  int count = 0;
  for (int i = from; i < to; i++)
    for (int k = 0; k < c->at[i].count; k++) {
      const sn_command_access *a = &c->access[c->at[i].first + k];
      out[count++] = (edge){a->at, a->at + a->bytes, i, a->write};
    }
  return count;
}

sn_code sn_barriers_check(const sn_commands *c, bool *found, sn_hazard *out) {
  edge *e = malloc(((size_t)c->access_count + 1) * sizeof *e);
  if (!e) return SN_ERR_LIMIT;
  *found = false;
  for (int from = 0, to; from < c->count && !*found; from = to) {
    for (to = from + 1; to < c->count && !c->at[to].barrier;) to++;
    *found = sweep(e, collect(c, from, to, e), out);
  }
  free(e);
  return SN_OK;
}
