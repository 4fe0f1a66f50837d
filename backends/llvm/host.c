/* Facts of the machine that this process runs on. LLVM is not asked: its library is opened when there is something to
 * compile. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/llvm/llvm_backend.h"
#include "ir/base/cpu.h"

static bool has_all(const char *const *names) {
  for (; *names; names++)
    if (!sn_cpu_has(*names)) return false;
  return true;
}

static sn_isa level_of_host(void) {
  static const char *const avx2[] = {"avx2", "fma", "f16c", NULL};
  static const char *const avx512[] = {"avx512f", "avx512bw", "avx512dq", "avx512vl", NULL};
  static const char *const amx[] = {"avx512bf16", "amx-tile", "amx-bf16", NULL};
  if (!has_all(avx2)) return SN_ISA_BASELINE;
  if (!has_all(avx512)) return SN_ISA_AVX2;
  return has_all(amx) ? SN_ISA_AMX : SN_ISA_AVX512;
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
  sn_target t = sn_target_cpu(level_of_host());
  if (t.isa == SN_ISA_AVX512 && sn_cpu_has("avx512bf16") && strlen(t.features) + 12 < sizeof t.features) {
    strcat(t.features, ",avx512bf16");
    t.vnni = true; /* products of bf16 pairs: twice the rate of f32 */
  }
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
