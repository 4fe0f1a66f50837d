/* Facts of the machine that this process runs on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/llvm/ll.h"
#include "backends/llvm/llvm_backend.h"

#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
enum { REQUEST_TILE_PERMISSION = 0x1023, TILE_DATA = 18 }; /* arch_prctl: ARCH_REQ_XCOMP_PERM */
/* Tiles are large: the system saves them only for processes that asked. */
static bool tiles_permitted(void) { return syscall(SYS_arch_prctl, REQUEST_TILE_PERMISSION, TILE_DATA) == 0; }
#else
static bool tiles_permitted(void) { return false; }
#endif

/* is "+name" in LLVM's comma separated list? */
static bool has(const char *features, const char *name) {
  size_t n = strlen(name);
  for (const char *p = features; p && *p; p = strchr(p, ','), p = p ? p + 1 : NULL)
    if (*p == '+' && !strncmp(p + 1, name, n) && (p[n + 1] == ',' || !p[n + 1])) return true;
  return false;
}

static bool has_all(const char *features, const char *const *names) {
  for (; *names; names++)
    if (!has(features, *names)) return false;
  return true;
}

static sn_isa level_of(const char *f) {
  static const char *const avx2[] = {"avx2", "fma", "f16c", NULL};
  static const char *const avx512[] = {"avx512f", "avx512bw", "avx512dq", "avx512vl", NULL};
  static const char *const amx[] = {"avx512bf16", "amx-bf16", "amx-tile", NULL};
  if (!has_all(f, avx2)) return SN_ISA_BASELINE;
  if (!has_all(f, avx512)) return SN_ISA_AVX2;
  return has_all(f, amx) && tiles_permitted() ? SN_ISA_AMX : SN_ISA_AVX512;
}

/* data or unified cache of a level, from the kernel's tables; 0: unknown, -1: no memory to find out */
static int64_t cache_bytes(int level) {
  for (int i = 0; i < 8; i++) {
    char path[96], type[16] = "", unit = 0;
    int at = 0;
    long long size = 0;
    FILE *f;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
    if (!(f = fopen(path, "r"))) return errno == ENOMEM ? -1 : 0;
    if (fscanf(f, "%d", &at) != 1) at = 0;
    fclose(f);
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
    if (!(f = fopen(path, "r"))) return errno == ENOMEM ? -1 : 0;
    if (fscanf(f, "%15s", type) != 1) type[0] = 0;
    fclose(f);
    if (at != level || !strcmp(type, "Instruction")) continue;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
    if (!(f = fopen(path, "r"))) return errno == ENOMEM ? -1 : 0;
    int read = fscanf(f, "%lld%c", &size, &unit);
    fclose(f);
    if (read >= 1) return size * (unit == 'K' ? 1024 : unit == 'M' ? 1024 * 1024 : 1);
  }
  return 0;
}

static int64_t first_known(int64_t a, long b, int64_t fallback) { return a > 0 ? a : b > 0 ? b : fallback; }

static sn_code fill_caches(sn_target *t) {
#ifdef _SC_LEVEL1_DCACHE_SIZE
  long l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE), l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
#else
  long l1 = 0, l2 = 0, l3 = 0;
#endif
  int64_t level[3] = {cache_bytes(1), cache_bytes(2), cache_bytes(3)};
  for (int i = 0; i < 3; i++)
    if (level[i] < 0) return SN_ERR_LIMIT;
  t->l1_bytes = first_known(level[0], l1, t->l1_bytes);
  t->l2_bytes = first_known(level[1], l2, t->l2_bytes);
  t->l3_bytes = first_known(level[2], l3, t->l3_bytes);
  return SN_OK;
}

sn_code sn_llvm_host_target(sn_target *out) {
#if defined(__x86_64__)
  char *features = LLVMGetHostCPUFeatures();
  if (!features) return SN_ERR_LIMIT;
  sn_target t = sn_target_cpu(level_of(features));
  if (t.isa == SN_ISA_AVX512 && has(features, "avx512bf16")) (void)sn_target_find_level("avx512bf16", &t);
  LLVMDisposeMessage(features);
  long threads = sysconf(_SC_NPROCESSORS_ONLN);
  t.threads = threads > 0 ? (int)threads : 1;
  SN_TRY(fill_caches(&t));
  *out = t;
  return SN_OK;
#else
  (void)out;
  return SN_ERR_DEVICE;
#endif
}
