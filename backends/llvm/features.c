/* Table of the x86-64 feature levels. Everything is decided from features, never from the name of a processor. */
#include "backends/llvm/features.h"

#include <string.h>

#define AVX2_FEATURES "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c"
#define AVX512_FEATURES AVX2_FEATURES ",+avx512f,+avx512bw,+avx512dq,+avx512vl,+prfchw"

/* clang-format off */
static const cg_isa levels[] = {  /* table */
  [SN_ISA_BASELINE] = {.level = SN_ISA_BASELINE, .lanes = 4, .nv = 2, .rows = {0, 8, 4, 3, 2},
                       .cpu = "x86-64", .tune = "generic", .features = "+sse2", .width = "128"},
  [SN_ISA_AVX2]     = {.level = SN_ISA_AVX2, .lanes = 8, .fma = true, .f16c = true, .rounding = true, .nv = 2,
                       .rows = {0, 8, 6, 4, 2}, .cpu = "x86-64", .tune = "haswell",
                       .features = AVX2_FEATURES, .width = "256"},
  [SN_ISA_AVX512]   = {.level = SN_ISA_AVX512, .lanes = 16, .fma = true, .f16c = true, .rounding = true, .masks = true,
                       .nv = 4, .rows = {0, 14, 12, 8, 6}, .cpu = "x86-64", .tune = "sapphirerapids",
                       .features = AVX512_FEATURES, .width = "512"},
  [SN_ISA_AMX]      = {.level = SN_ISA_AMX, .lanes = 16, .fma = true, .f16c = true, .rounding = true, .masks = true,
                       .bf16 = true, .amx = true, .nv = 4, .rows = {0, 14, 12, 8, 6}, .cpu = "x86-64",
                       .tune = "sapphirerapids", .features = AVX512_FEATURES ",+avx512bf16,+amx-tile,+amx-bf16", .width = "512"},
};
/* clang-format on */

cg_isa cg_isa_of(const sn_target *t) {
  cg_isa isa = levels[t->isa <= SN_ISA_AMX ? t->isa : SN_ISA_BASELINE];
  if (isa.level == SN_ISA_AVX512 && strstr(t->features, "avx512bf16")) {
    isa.bf16 = true;
    isa.features = AVX512_FEATURES ",+avx512bf16";
  }
  return isa;
}
