/* Words <-> facts of a Vulkan device: one table for what code asks for, what is taken away, and what is printed. */
#include "runtime/vulkan/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct word {
  const char *name;
  bool number; /* int64_t: at least what is asked for; else bool */
  bool asked;  /* code may ask for it */
  size_t at;
} word;

/* clang-format off */
#define FLAG(field)   {#field, false, true, offsetof(sn_vulkan_facts, field)}
#define NUMBER(field) {#field, true, true, offsetof(sn_vulkan_facts, field)}
#define INNER(field)  {#field, false, false, offsetof(sn_vulkan_facts, field)}
static const word words[] = {
  NUMBER(subgroup),     NUMBER(subgroups), FLAG(size_control), FLAG(full_subgroups), FLAG(basic),        FLAG(arithmetic),   FLAG(shuffle),
  NUMBER(shared),       NUMBER(invocations), NUMBER(push),
  FLAG(int64),          FLAG(int16),        FLAG(int8),           FLAG(float64),      FLAG(float16),
  FLAG(storage16),      FLAG(storage8),
  FLAG(preserve64),     FLAG(preserve32),   FLAG(preserve16),     FLAG(rte64),        FLAG(rte32),        FLAG(rte16),
  FLAG(memory_model),   FLAG(memory_model_device), FLAG(explicit_shared), FLAG(bf16), FLAG(masked_loads),
  INNER(sync2), INNER(mapped), {"allocation", true, false, offsetof(sn_vulkan_facts, allocation_bytes)},
};
/* clang-format on */
enum { WORDS = sizeof words / sizeof *words };

static const word *find(const char *name, size_t bytes) {
  for (int i = 0; i < WORDS; i++)
    if (strlen(words[i].name) == bytes && !memcmp(words[i].name, name, bytes)) return &words[i];
  return NULL;
}

static bool *flag_of(const sn_vulkan_facts *f, const word *w) { return (bool *)((char *)f + w->at); }

static int64_t *number_of(const sn_vulkan_facts *f, const word *w) { return (int64_t *)((char *)f + w->at); }

/* The number behind `=`, up to the end of the word; -1: there is none. */
static int64_t value_of(const char *at, const char *end) {
  char *stop;
  if (at >= end || *at < '0' || *at > '9') return -1;
  long long x = strtoll(at, &stop, 10);
  return stop == end ? x : -1;
}

/* ---- taking away ------------------------------------------------------------------------------------------------- */

static void drop_subgroups(sn_vulkan_facts *f) {
  f->subgroup = f->subgroups = f->subgroup_min = f->subgroup_max = 0;
  f->size_control = f->full_subgroups = f->basic = f->arithmetic = f->shuffle = false;
  f->matrix_count = 0; /* they are a subgroup's */
}

/* Subgroups of at most n: smaller ones where they can be asked for, else none. */
static void lower_subgroups(sn_vulkan_facts *f, int64_t n) {
  int64_t most = f->size_control ? f->subgroup_max : f->subgroup;
  while (most > n) most /= 2;
  if (most < 1 || most < (f->size_control ? f->subgroup_min : f->subgroup)) {
    drop_subgroups(f);
    return;
  }
  if (f->subgroup_max > most) f->subgroup_max = most;
  if (f->subgroup > most) f->subgroup = most;
}

static bool take_away(sn_vulkan_facts *f, const char *at, size_t bytes) {
  const char *equal = memchr(at, '=', bytes);
  size_t name_bytes = equal ? (size_t)(equal - at) : bytes;
  if (!equal && bytes == 8 && !memcmp(at, "subgroup", 8)) return drop_subgroups(f), true;
  if (!equal && bytes == 6 && !memcmp(at, "matrix", 6)) return f->matrix_count = 0, true;
  if (!equal && bytes == 10 && !memcmp(at, "timestamps", 10)) return f->timestamp_ns = 0, true;
  const word *w = find(at, name_bytes);
  if (!w || w->number != (equal != NULL)) return false;
  if (!w->number) return *flag_of(f, w) = false, true;
  int64_t most = value_of(equal + 1, at + bytes), *now = number_of(f, w);
  if (most < 0) return false;
  if (w->at == offsetof(sn_vulkan_facts, subgroup)) return lower_subgroups(f, most), true;
  if (*now > most) *now = most;
  return true;
}

static sn_code unknown_word(sn_diags *diags, const char *at, size_t bytes) {
  sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "SN_VULKAN_WITHOUT: `%.*s` cannot be taken away", (int)bytes, at);
  if (!diags) return SN_ERR_USAGE;
  sn_text t = sn_text_begin(diags->arena);
  sn_text_add(&t, "words of: subgroup, matrix, timestamps");
  for (int i = 0; i < WORDS; i++) sn_text_add(&t, ", %s%s", words[i].name, words[i].number ? "=NUMBER" : "");
  sn_fail_expected(diags, "%s", t.at);
  return SN_ERR_USAGE;
}

sn_code sn_vulkan_facts_without(sn_vulkan_facts *f, const char *list, sn_diags *diags) {
  for (const char *at = list; *at;) {
    size_t bytes = strcspn(at, ", ");
    if (bytes && !take_away(f, at, bytes)) return unknown_word(diags, at, bytes);
    at += bytes + (at[bytes] != 0);
  }
  return SN_OK;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static bool has_subgroup(const sn_vulkan_facts *f, int64_t n) {
  if (f->size_control) return n >= f->subgroup_min && n <= f->subgroup_max && n > 0 && !(n & (n - 1));
  return n == f->subgroup && n > 0;
}

static bool has_matrix(const sn_vulkan_facts *f, const char *at, size_t bytes) {
  char text[SN_VULKAN_WORD];
  for (int64_t i = 0; i < f->matrix_count; i++) {
    const sn_vulkan_matrix *m = &f->matrix[i];
    int n = snprintf(text, sizeof text, "%s,%s,%s,%s,%dx%dx%d", m->a, m->b, m->c, m->r, m->m, m->n, m->k);
    if (n > 0 && (size_t)n == bytes && !memcmp(text, at, bytes)) return true;
  }
  return false;
}

static bool has_word(const sn_vulkan_facts *f, const char *at, size_t bytes) {
  const char *equal = memchr(at, '=', bytes);
  size_t name_bytes = equal ? (size_t)(equal - at) : bytes;
  if (name_bytes == 6 && !memcmp(at, "matrix", 6))
    return equal ? has_matrix(f, equal + 1, bytes - 7) : f->matrix_count > 0;
  const word *w = find(at, name_bytes);
  if (!w || !w->asked || w->number != (equal != NULL)) return false;
  if (!w->number) return *flag_of(f, w);
  int64_t n = value_of(equal + 1, at + bytes);
  if (w->at == offsetof(sn_vulkan_facts, subgroup)) return has_subgroup(f, n);
  return n >= 0 && n <= *number_of(f, w);
}

bool sn_vulkan_facts_allow(const sn_vulkan_facts *f, const char *features, char out_missing[SN_VULKAN_WORD]) {
  for (const char *at = features ? features : ""; *at;) {
    size_t bytes = strcspn(at, " ");
    if (bytes && !has_word(f, at, bytes)) {
      snprintf(out_missing, SN_VULKAN_WORD, "%.*s", (int)bytes, at);
      return false;
    }
    at += bytes + (at[bytes] != 0);
  }
  return true;
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

void sn_vulkan_facts_print(sn_text *out, const sn_vulkan_facts *f) {
  const char *gap = "";
  for (int i = 0; i < WORDS; i++) {
    const word *w = &words[i];
    if (w->number)
      sn_text_add(out, "%s%s=%lld", gap, w->name, (long long)*number_of(f, w));
    else if (*flag_of(f, w))
      sn_text_add(out, "%s%s", gap, w->name);
    else
      continue;
    gap = " ";
    if (w->at == offsetof(sn_vulkan_facts, subgroup) && f->subgroup_min != f->subgroup_max)
      sn_text_add(out, " (%lld to %lld)", (long long)f->subgroup_min, (long long)f->subgroup_max);
  }
}

void sn_vulkan_matrices_print(sn_text *out, const sn_vulkan_facts *f) {
  for (int64_t i = 0; i < f->matrix_count; i++) {
    const sn_vulkan_matrix *m = &f->matrix[i];
    sn_text_add(out, "%s%s,%s,%s,%s,%dx%dx%d", i ? " " : "", m->a, m->b, m->c, m->r, m->m, m->n, m->k);
  }
  if (!f->matrix_count) sn_text_add(out, "none");
}
