/* See choose.h. The file of what was measured: one line per identity, "ID ID KERNEL" in hexadecimal. */
#include "backends/choose.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/base/cpu.h"

enum { LINE = 51, MOST = 4096 }; /* lines: of each all before it are looked at */

/* ---- what was measured ------------------------------------------------------------------------------------------- */

static const char *key_of(const sn_target *t, const sn_backend *b, sn_arena *arena) {
  char cpu[64];
  sn_cpu_name(cpu, sizeof cpu);
  return sn_arena_printf(arena, "tuned 1\n%s\n%s\n%s %s\n", cpu, b->version, t->name, t->features);
}

void sn_tuned_add(sn_tuned *t, sn_arena *arena, const uint64_t id[2], uint64_t kernel) {
  for (int i = 0; i < t->count; i++)
    if (t->at[i].id[0] == id[0] && t->at[i].id[1] == id[1]) {
      t->at[i].kernel = kernel;
      return;
    }
  SN_GROW(arena, t->at, t->count, t->capacity);
  t->at[t->count++] = (struct sn_tuned_row){{id[0], id[1]}, kernel};
}

static bool read_hex(const char *at, uint64_t *out) {
  *out = 0;
  for (int i = 0; i < 16; i++) {
    const char *digits = "0123456789abcdef", *d = at[i] ? strchr(digits, at[i]) : NULL;
    if (!d) return false;
    *out = *out << 4 | (uint64_t)(d - digits);
  }
  return true;
}

void sn_tuned_read(const sn_cache *cache, const sn_target *t, const sn_backend *b, sn_arena *arena, sn_tuned *out) {
  size_t bytes = 0;
  *out = (sn_tuned){0};
  const char *text = cache ? sn_cache_get_text(cache, key_of(t, b, arena), arena, &bytes) : NULL;
  for (size_t at = 0; text && at + LINE <= bytes && out->count < MOST; at += LINE) {
    uint64_t id[2], kernel;
    const char *line = text + at;
    bool good = read_hex(line, &id[0]) && read_hex(line + 17, &id[1]) && read_hex(line + 34, &kernel) &&
                line[16] == ' ' && line[33] == ' ' && line[50] == '\n';
    if (!good) return;
    sn_tuned_add(out, arena, id, kernel);
  }
}

void sn_tuned_write(const sn_cache *cache, const sn_target *t, const sn_backend *b, sn_arena *arena,
                    const sn_tuned *add) {
  sn_tuned all;
  sn_text text = sn_text_begin(arena);
  sn_tuned_read(cache, t, b, arena, &all);
  for (int i = 0; i < add->count; i++) sn_tuned_add(&all, arena, add->at[i].id, add->at[i].kernel);
  for (int i = all.count > MOST ? all.count - MOST : 0; i < all.count; i++) /* the oldest go */
    sn_text_add(&text, "%016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n", all.at[i].id[0], all.at[i].id[1],
                all.at[i].kernel);
  if (cache && all.count) sn_cache_put_text(cache, key_of(t, b, arena), text.at);
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

static const char *text_of(const sn_chooser *c, const sn_kernel *k, size_t *bytes) {
  sn_text t = sn_text_begin(c->arena);
  sn_kernel_print(&t, k);
  *bytes = (size_t)t.count;
  return t.at;
}

static uint64_t hash_of(const sn_chooser *c, const sn_kernel *k, uint64_t seed) {
  size_t bytes;
  const char *text = text_of(c, k, &bytes);
  return sn_hash_bytes(text, bytes, seed);
}

static const struct sn_tuned_row *measured(const sn_chooser *c, const sn_choice *x) {
  for (int i = 0; i < c->tuned.count; i++)
    if (c->tuned.at[i].id[0] == x->id[0] && c->tuned.at[i].id[1] == x->id[1]) return &c->tuned.at[i];
  return NULL;
}

/* The candidate that was measured to be best; false: none, or it is no candidate any more. */
static bool take_measured(const sn_chooser *c, sn_choice *x, const sn_kernel *const *kernel) {
  const struct sn_tuned_row *row = measured(c, x);
  for (int i = 0; row && i < x->count; i++)
    if (hash_of(c, kernel[i], 3) == row->kernel) return x->taken = i, x->tuned = true;
  return false;
}

void sn_chooser_print(sn_text *out, const sn_chooser *c) {
  if (!c->chooses) return;
  sn_text_add(out, "choose %d for %d threads %" PRIx64 "\n", c->forced, c->target->threads,
              c->tuned.count ? sn_hash_bytes(c->tuned.at, (size_t)c->tuned.count * sizeof *c->tuned.at, 4) : 0);
  sn_limits_print(out, &c->limits);
}

int sn_choose(void *user, int count, const sn_kernel *const *kernel) {
  sn_chooser *c = user;
  sn_choice x = {.count = count};
  size_t bytes;
  const char *text = text_of(c, kernel[0], &bytes);
  for (uint64_t i = 0; i < 2; i++) x.id[i] = sn_hash_bytes(text, bytes, i + 1);
  x.model = sn_schedule_best(c->target, &c->limits, count, kernel, c->arena, x.predicted);
  if (c->forced >= 0)
    x.taken = c->forced < count ? c->forced : 0;
  else if (!take_measured(c, &x, kernel))
    x.taken = x.model;
  x.kernel = hash_of(c, kernel[x.taken], 3);
  SN_GROW(c->arena, c->at, c->count, c->capacity);
  c->at[c->count] = x;
  return x.taken;
}

void sn_chose(void *user, int code) {
  sn_chooser *c = user;
  SN_GROW(c->arena, c->code, c->count, c->code_capacity);
  c->code[c->count++] = code;
}
