/* Plan -> executable memory: one mapping for all blobs, written first, then made executable and read-only. */
#include "runtime/cpu/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ir/base/cpu.h"

enum { PAGE = 4096 };

struct sn_image {
  char *base;
  size_t bytes;
  int count;
  sn_rt_kernel *entry; /* per blob of the plan */
};

static bool is_cpu(const sn_code_blob *b) { return b->kind == SN_CODE_CPU; }

static size_t pages(int64_t bytes) { return ((size_t)bytes + PAGE - 1) / PAGE * PAGE; }

static sn_code check_blob(const sn_code_blob *b, sn_arena *arena, sn_diags *diags) {
  if (!is_cpu(b)) return SN_OK;
  if (b->byte_count <= 0 || b->entry < 0 || b->entry >= b->byte_count || b->byte_count > INT64_C(1) << 30) {
    sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "code of kernel %s: entry outside of the image", b->name);
    sn_fail_expected(diags, "entry in 0..%lld", (long long)b->byte_count - 1);
    sn_fail_found(diags, "%lld", (long long)b->entry);
    return SN_ERR_INPUT;
  }
  const char *missing = sn_cpu_missing(arena, b->features);
  if (!missing) return SN_OK;
  sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "this processor lacks %s, which the code of kernel %s needs", missing,
          b->name);
  sn_fail_expected(diags, "%s", b->features);
  return SN_ERR_DEVICE;
}

static sn_code check_blobs(const sn_plan *p, sn_diags *diags) {
  sn_arena *arena = sn_arena_scratch();
  if (!arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory to load code");
  sn_code code = SN_OK;
  for (int i = 0; i < p->code_count && !code; i++) {
    /* Blobs of one plan mostly need the same. */
    if (i && p->code[i].features && p->code[i - 1].features && p->code[i - 1].kind == p->code[i].kind &&
        !strcmp(p->code[i].features, p->code[i - 1].features)) {
      sn_code_blob same = p->code[i];
      same.features = NULL;
      code = check_blob(&same, arena, diags);
    } else {
      code = check_blob(&p->code[i], arena, diags);
    }
  }
  sn_arena_destroy(arena);
  return code;
}

static void copy_blobs(sn_image *m, const sn_plan *p) {
  size_t at = 0;
  for (int i = 0; i < p->code_count; i++) {
    const sn_code_blob *b = &p->code[i];
    if (!is_cpu(b)) continue;
    memcpy(m->base + at, b->bytes, (size_t)b->byte_count);
    void *entry = m->base + at + b->entry;
    memcpy(&m->entry[i], &entry, sizeof entry); /* ISO C has no cast from data to function pointers */
    at += pages(b->byte_count);
  }
}

static sn_code map_refused(sn_image *m, sn_diags *diags) {
  sn_code code = sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "the system refuses memory for code: %s", strerror(errno));
  sn_image_destroy(m);
  return code;
}

sn_code sn_image_create(const sn_plan *p, sn_diags *diags, sn_image **out) {
  size_t bytes = 0;
  SN_TRY(sn_cpu_check(diags));
  SN_TRY(check_blobs(p, diags));
  for (int i = 0; i < p->code_count; i++)
    if (is_cpu(&p->code[i])) bytes += pages(p->code[i].byte_count);
  if (!bytes) {
    *out = NULL;
    return SN_OK;
  }
  sn_image *m = calloc(1, sizeof *m);
  if (m) m->entry = calloc((size_t)p->code_count, sizeof *m->entry);
  if (!m || !m->entry) {
    sn_image_destroy(m);
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory to load code");
  }
  m->count = p->code_count;
  void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return map_refused(m, diags);
  m->base = base, m->bytes = bytes;
  copy_blobs(m, p);
  if (mprotect(base, bytes, PROT_READ | PROT_EXEC)) return map_refused(m, diags);
  __builtin___clear_cache(m->base, m->base + bytes);
  *out = m;
  return SN_OK;
}

void sn_image_destroy(sn_image *m) {
  if (!m) return;
  if (m->base) munmap(m->base, m->bytes);
  free(m->entry);
  free(m);
}

sn_rt_kernel sn_image_entry(const sn_image *m, int code) { return m && code < m->count ? m->entry[code] : NULL; }
