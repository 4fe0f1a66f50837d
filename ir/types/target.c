/* Targets: the facts of generic CPUs, one row per feature level. */
#include "ir/types/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
  const char *name, *features;
  int lanes, bm, bn;
} row;

/* Tiles: the largest register blocks without spills, times whole rows of A. source: KERNEL_IR B6 and measurement. */
static const row rows[] = {
    [SN_ISA_BASELINE] = {"baseline", "baseline", 4, 32, 16},
    [SN_ISA_AVX2] = {"avx2", "avx2,fma,f16c", 8, 48, 32},
    [SN_ISA_AVX512] = {"avx512", "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c", 16, 64, 48},
    [SN_ISA_AMX] = {"amx", "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx", 16, 64, 48},
};

static const row *row_of(sn_isa isa) { return &rows[(unsigned)isa <= SN_ISA_AMX ? isa : SN_ISA_BASELINE]; }

const char *sn_isa_name(sn_isa isa) { return row_of(isa)->name; }

sn_target sn_target_cpu(sn_isa isa) {
  const row *r = row_of(isa);
  sn_target t = {
      .name = "cpu",
      .isa = isa,
      .lanes = r->lanes,
      .threads = 1,
      .l1_bytes = isa >= SN_ISA_AVX512 ? 48 << 10 : 32 << 10,
      .l2_bytes = 1 << 20,
      .l3_bytes = 8 << 20,
      .bm = r->bm,
      .bn = r->bn,
      .bk = 0,
      .few_tiles = 8,
      .part = 2048,
      .bq = 64,
      .bkv = 64,
      .one_part = 256,
      .rows = 4,
      .row_tile = 1024, /* longer rows are faster alone */
      .cols = 256,
      .unit = 1,
      .fold = 1024,
      .fold_rows = 64,
      .scores_keys_major = true,
      .scratch_bytes = 320 << 10,
      .scratch_most = 16 << 20, /* 65536 queries of 64: only what is used of it is touched */
      .packed_b = true,
      .vnni = isa == SN_ISA_AMX,
      .panel = isa == SN_ISA_AMX ? 32 : 0, /* two tiles: a step of K is 2 KB side by side */
  };
  strncpy(t.features, r->features, sizeof t.features - 1);
  return t;
}

const char *sn_target_level(int i, sn_target *out) {
  static const char *const names[] = {"baseline", "avx2", "avx512", "avx512bf16", "amx"};
  enum { COUNT = sizeof names / sizeof *names, BF16 = 3 };
  if (i < 0 || i >= COUNT) return NULL;
  if (!out) return names[i];
  *out = sn_target_cpu(i == BF16 ? SN_ISA_AVX512 : i > BF16 ? SN_ISA_AMX : (sn_isa)i);
  if (i == BF16) {
    strcat(out->features, ",avx512bf16"); /* fits: the text of AMX is longer */
    out->vnni = true;                     /* twice the rate of f32 */
  }
  return names[i];
}

int sn_target_find_level(const char *name, sn_target *out) {
  const char *at;
  for (int i = 0; (at = sn_target_level(i, NULL)); i++)
    if (!strcmp(at, name)) return (void)sn_target_level(i, out), i;
  return -1;
}

static bool number_word(const char *word, size_t n, const char *name, int *out) {
  size_t length = strlen(name);
  char *end;
  if (n <= length + 1 || strncmp(word, name, length) || word[length] != '=') return false;
  long value = strtol(word + length + 1, &end, 10);
  if (end != word + n || value < 0 || value > INT32_MAX) return false;
  *out = (int)value;
  return true;
}

static bool matrix_word(const char *word, size_t n, const char *name, sn_gpu_matrix *out) {
  size_t length = strlen(name);
  int end = 0;
  sn_gpu_matrix m;
  if (n <= length || strncmp(word, name, length) || word[length] != '=') return false;
  if (sscanf(word + length + 1, "%4dx%4dx%4d%n", &m.m, &m.n, &m.k, &end) < 3 || length + 1 + (size_t)end != n)
    return false;
  bool powers = m.m > 0 && m.n > 0 && m.k > 0 && !(m.m & (m.m - 1)) && !(m.n & (m.n - 1)) && !(m.k & (m.k - 1));
  if (powers) *out = m;
  return powers;
}

static bool flag_word(const char *word, size_t n, const char *name, bool *out) {
  if (n != strlen(name) || strncmp(word, name, n)) return false;
  return *out = true;
}

sn_code sn_gpu_read(const char *text, sn_diags *diags, sn_gpu *out) {
  *out = (sn_gpu){0};
  for (const char *p = text; *p;) {
    size_t n = strcspn(p, ",");
    bool known = number_word(p, n, "subgroup", &out->subgroup) || number_word(p, n, "shared", &out->shared_bytes) ||
                 number_word(p, n, "subgroups", &out->subgroups) || number_word(p, n, "threads", &out->invocations) ||
                 flag_word(p, n, "f64", &out->float64) || flag_word(p, n, "no_int64", &out->no_int64) ||
                 flag_word(p, n, "16", &out->storage16) || flag_word(p, n, "8", &out->storage8) ||
                 flag_word(p, n, "nan", &out->keeps_nan) || flag_word(p, n, "nan64", &out->keeps_nan64) ||
                 flag_word(p, n, "idle", &out->idle_loads) || matrix_word(p, n, "f16", &out->f16) ||
                 matrix_word(p, n, "bf16", &out->bf16) || matrix_word(p, n, "i8", &out->i8);
    if (!known) {
      sn_code code = sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "unknown fact of a device: %.*s", (int)n, p);
      sn_fail_expected(diags,
                       "subgroup=N, subgroups=N, shared=BYTES, threads=N, no_int64, f64, 16, 8, nan, nan64, idle, "
                       "f16=MxNxK, bf16=MxNxK, "
                       "i8=MxNxK, separated by commas");
      return code;
    }
    p += n + (p[n] == ',');
  }
  return SN_OK;
}

static void print_matrix(sn_target *t, const char *name, sn_gpu_matrix m) {
  size_t at = strlen(t->features);
  if (m.m) snprintf(t->features + at, sizeof t->features - at, ",%s=%dx%dx%d", name, m.m, m.n, m.k);
}

/* Only where it may matter: most devices have room for workgroups of all their invocations. */
static void print_subgroups(sn_target *t) {
  size_t at = strlen(t->features);
  if (t->gpu.subgroups) snprintf(t->features + at, sizeof t->features - at, ",subgroups=%d", t->gpu.subgroups);
}

static void print_gpu(sn_target *t) {
  const sn_gpu *g = &t->gpu;
  snprintf(t->features, sizeof t->features, "subgroup=%d,shared=%d,threads=%d%s%s%s%s%s%s%s", g->subgroup,
           g->shared_bytes, g->invocations, g->no_int64 ? ",no_int64" : "", g->float64 ? ",f64" : "",
           g->storage16 ? ",16" : "", g->storage8 ? ",8" : "", g->keeps_nan ? ",nan" : "",
           g->keeps_nan64 ? ",nan64" : "", g->idle_loads ? ",idle" : "");
  print_subgroups(t);
  print_matrix(t, "f16", g->f16);
  print_matrix(t, "bf16", g->bf16);
  print_matrix(t, "i8", g->i8);
}

sn_target sn_target_vulkan(const sn_gpu *gpu) {
  sn_target t = {
      .name = "vulkan",
      .lanes = 4,
      .threads = 1,
      .l1_bytes = 16 << 10,
      .l2_bytes = 64 << 10,
      .l3_bytes = 1 << 20,
      .bm = 64,
      .bn = 64,
      .k_whole = 1 << 16, /* factors are brought in step by step */
      .k_block = 1024,
      .made = 64 * 64,
      .few_tiles = 128,
      .part = 1024,
      .thin = 8,
      .thin_instances = 256,
      .bq = 32,
      .bkv = 32,
      .bkv_one = 128,
      .rows = 1,
      .row_tile = 1024,
      .cols = 1024,
      .tile_bytes = 4096,
      .instances = 1024,
      .unit = 128,
      .fold = 2048,
      .fold_rows = 32,
      .fold_late = true,
      .gpu = *gpu,
  };
  if (!t.gpu.shared_bytes) t.gpu.shared_bytes = 16 << 10;
  if (!t.gpu.invocations) t.gpu.invocations = 128;
  if (t.gpu.shared_bytes >= 48 << 10 && t.gpu.invocations >= 256) t.wide = 128, t.tiles = 128;
  print_gpu(&t);
  return t;
}

/* A new fact has to be printed: what is cached under the text would be found for targets that differ in it. */
_Static_assert(sizeof(void *) != 8 || sizeof(sn_target) == 432, "sn_target_print lacks a fact");

void sn_target_print(sn_text *out, const sn_target *t) {
  const int64_t facts[] = {t->isa,
                           t->lanes,
                           t->l1_bytes,
                           t->l2_bytes,
                           t->l3_bytes,
                           t->bm,
                           t->bn,
                           t->bk,
                           t->k_whole,
                           t->k_block,
                           t->wide,
                           t->tiles,
                           t->made,
                           t->thin,
                           t->thin_instances,
                           t->bq,
                           t->bkv,
                           t->bkv_one,
                           t->few_tiles,
                           t->part,
                           t->one_part,
                           t->rows,
                           t->row_tile,
                           t->cols,
                           t->tile_bytes,
                           t->instances,
                           t->unit,
                           t->fold,
                           t->fold_rows,
                           t->fold_late,
                           t->scores_keys_major,
                           t->scratch_bytes,
                           t->scratch_most,
                           t->packed_b,
                           t->vnni,
                           t->panel,
                           t->debug_info};
  sn_text_add(out, "%s %s", t->name, t->features); /* those of a Vulkan device list its facts */
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) sn_text_add(out, " %lld", (long long)facts[i]);
  sn_text_char(out, '\n');
}
