/* Speed of generated CPU kernels against the multiply-add peak of the same run. Rounds are interleaved, so that a slow
 * phase of the machine hits all of them, and the best of all rounds counts. bench_kernels [--json] [ROUNDS] [ISA]
 * [NAME]; defaults: 12, the host's level; only kernels whose names hold NAME */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xmmintrin.h>

#include "tests/bench/peak.h"
#include "tests/llvm/harness.h"
#include "tests/llvm/harness_programs.h"

/* Seconds of this thread: what else runs on the machine does not count. */
static double cpu_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the peak: independent multiply-adds in registers --------------------------------------------------------- */

static double peak_gflops(sn_isa isa) {
  double (*run)(long) = isa >= SN_ISA_AVX512 ? peak_avx512 : isa == SN_ISA_AVX2 ? peak_avx2 : peak_baseline;
  double start = cpu_now(), flops = run(300000);
  return flops / (cpu_now() - start) * 1e-9;
}

/* ---- candidates -------------------------------------------------------------------------------------------------- */

typedef struct entry {
  const char *name;
  sn_kernel *k;
  hx_code code;
  sn_karg args[SN_K_PARAMS];
  int64_t instances;
  double flops, elements; /* of one run; elements: for kernels counted by element */
  double build_ms, best;  /* best: seconds */
} entry;

enum { MOST = 40 };
static entry entries[MOST];
static int count;

static void *memory(int64_t n, sn_elem e, double scale, uint64_t seed) {
  size_t bytes = ((size_t)n * sn_elem_bytes(e) + (2 << 20)) / (2 << 20) * (2 << 20);
  hx_buffer b = {.data = aligned_alloc(2 << 20, bytes), .elements = n, .elem = e, .bytes = bytes};
  hx_fill(&b, seed, scale);
  return b.data;
}

static const char *wanted = ""; /* part of a name */

static entry *add(const char *name, const sn_target *t, sn_kernel *k) {
  entry *x = &entries[count++];
  double start = cpu_now();
  *x = (entry){.name = name, .k = k, .best = 1e9, .code = hx_build(t, k)};
  x->build_ms = (cpu_now() - start) * 1e3;
  return x;
}

static void contract(sn_arena *arena, const sn_target *t, const char *name, px_contract o) {
  if (!strstr(name, wanted)) return;
  entry *x = add(name, t, px_contract_kernel(arena, &o));
  int64_t panels = (o.n + o.bn - 1) / o.bn;
  for (int j = 0; j < x->k->param_count; j++) {
    const char *p = x->k->param[j].name;
    if (!strcmp(p, "M"))
      x->args[j].i = o.m;
    else if (!strcmp(p, "N"))
      x->args[j].i = o.n;
    else if (!strcmp(p, "K"))
      x->args[j].i = o.k;
    else if (!strcmp(p, "a"))
      x->args[j].p = memory((int64_t)o.m * o.k, o.elem, 1, 1);
    else if (!strcmp(p, "b"))
      x->args[j].p = memory((panels * o.bn + 64) * o.k, o.elem, 1, 2);
    else
      x->args[j].p = memory((int64_t)o.m * o.n, SN_ELEM_F32, 1, 3);
  }
  x->flops = 2.0 * o.m * o.n * o.k;
}

static void rows(sn_arena *arena, const sn_target *t, const char *name, bool softmax, int n, int cols) {
  if (!strstr(name, wanted)) return;
  entry *x =
      add(name, t, softmax ? px_softmax(arena, n, cols, 4, false) : px_layernorm(arena, n, cols, 4, 1e-5, false));
  for (int j = 0; j < x->k->param_count; j++) x->args[j].p = memory((int64_t)n * cols, SN_ELEM_F32, 8, 1);
  x->elements = (double)n * cols;
}

static void attention(const sn_target *t, const char *name, sn_kernel *k, const px_attention *o, double products) {
  if (!strstr(name, wanted)) return;
  entry *x = add(name, t, k);
  for (int j = 0; j < k->param_count; j++) {
    bool slope = !strcmp(k->param[j].name, "slope"), lse = !strcmp(k->param[j].name, "lse");
    x->args[j].p = memory(px_attention_elements(o, k->param[j].name), SN_ELEM_F32, slope ? 0.01 : 1, (uint64_t)j);
    for (int64_t i = 0; lse && i < (int64_t)o->heads * o->t; i++) ((float *)x->args[j].p)[i] += 20;
  }
  x->flops = products * o->heads * o->t * (double)o->t * o->d; /* the causal half of 2 flops each */
}

static void candidates(sn_arena *a, const sn_target *t) {
  int bn = t->isa >= SN_ISA_AVX512 ? 64 : 32, nb = t->isa >= SN_ISA_AVX512 ? 48 : 32;
  px_attention o = {12, 1024, 64, 64, 64, .keys_major = true, .causal = true, .scale = 0.125}, q = o;
  q.keys_major = false;
  px_attention m = o;
  m.model = true;
  contract(a, t, "contract 1024x1024x1024 packed",
           (px_contract){1024, 1024, 1024, 64, bn, 1024, 256, true, .elem = SN_ELEM_F32});
  contract(a, t, "contract 1024^3 packed, symbolic M",
           (px_contract){1024, 1024, 1024, 64, bn, 1024, 256, true, .symbolic = true, .elem = SN_ELEM_F32});
  contract(a, t, "contract 1024^3 row-major", (px_contract){1024, 1024, 1024, 256, bn, 1024, 256, .elem = SN_ELEM_F32});
  contract(a, t, "contract 1024^3 row-major, symbolic",
           (px_contract){1024, 1024, 1024, 256, bn, 64, 256, .symbolic = true, .elem = SN_ELEM_F32});
  contract(a, t, "contract 256x3072x768 packed",
           (px_contract){256, 3072, 768, 64, nb, 768, 256, true, .elem = SN_ELEM_F32});
  contract(a, t, "contract 256x3072x768 bias gelu",
           (px_contract){256, 3072, 768, 64, nb, 768, 256, true, .elem = SN_ELEM_F32, .bias = true, .gelu = true});
  contract(a, t, "contract 64x768x3072 packed",
           (px_contract){64, 768, 3072, 64, nb, 3072, 64, true, .elem = SN_ELEM_F32});
  contract(a, t, "contract 256x3072x768 bf16 packed",
           (px_contract){256, 3072, 768, 64, nb, 768, 256, true, .elem = SN_ELEM_BF16});
  if (strstr(t->features, "avx512bf16")) {
    contract(a, t, "contract 1024^3 bf16 pairs",
             (px_contract){1024, 1024, 1024, 64, 64, 1024, 512, true, .elem = SN_ELEM_BF16, .vnni = true});
    contract(a, t, "contract 256x3072x768 bf16 pairs",
             (px_contract){256, 3072, 768, 64, 64, 768, 256, true, .elem = SN_ELEM_BF16, .vnni = true});
    contract(a, t, "contract 64x768x3072 bf16 pairs",
             (px_contract){64, 768, 3072, 64, 64, 3072, 64, true, .elem = SN_ELEM_BF16, .vnni = true});
  }
  contract(a, t, "contract 1024^3 bf16 row-major",
           (px_contract){1024, 1024, 1024, 64, 64, 1024, 256, .elem = SN_ELEM_BF16});
  contract(a, t, "contract 1024^3 tb bf16 (dx)",
           (px_contract){1024, 1024, 1024, 64, 64, 1024, 256, .elem = SN_ELEM_BF16, .tb = true});
  contract(a, t, "contract 1024^3 ta bf16 (dw)",
           (px_contract){1024, 1024, 1024, 256, 256, 256, 256, .elem = SN_ELEM_BF16, .ta = true});
  contract(a, t, "contract 384x1536x1024 ta bf16 (dw)",
           (px_contract){384, 1536, 1024, 192, 256, 256, 192, .elem = SN_ELEM_BF16, .ta = true});
  contract(a, t, "contract 768x512x128 tb (dx)",
           (px_contract){768, 512, 128, 64, 64, 128, 768, .elem = SN_ELEM_F32, .tb = true});
  contract(a, t, "contract 512x128x768 ta (dw)",
           (px_contract){512, 128, 768, 64, 64, 256, 64, .elem = SN_ELEM_F32, .ta = true});
  contract(a, t, "contract 768x512x128 row-major", (px_contract){768, 512, 128, 64, 64, 128, 768, .elem = SN_ELEM_F32});
  contract(a, t, "contract 256x3072x768 tb bf16",
           (px_contract){256, 3072, 768, 64, 64, 768, 256, .elem = SN_ELEM_BF16, .tb = true});
  contract(a, t, "contract 1x3072x768 packed", (px_contract){1, 3072, 768, 1, bn, 768, 1, true, .elem = SN_ELEM_F32});
  attention(t, "attention.fwd 12x1024x64", px_attention_forward(a, &o), &o, 2);
  attention(t, "attention.fwd 12x1024x64 [q,k]", px_attention_forward(a, &q), &q, 2);
  attention(t, "attention.dkdv 12x1024x64", px_attention_dkv(a, &o), &o, 4);
  attention(t, "attention.dq 12x1024x64", px_attention_dq(a, &o), &o, 3);
  attention(t, "attention.fwd.model 12x1024x64", px_attention_forward(a, &m), &m, 2);
  attention(t, "attention.dkdv.model 12x1024x64", px_attention_dkv(a, &m), &m, 4);
  attention(t, "attention.dq.model 12x1024x64", px_attention_dq(a, &m), &m, 3);
  rows(a, t, "layernorm 64x768", false, 64, 768);
  rows(a, t, "layernorm 64x1000", false, 64, 1000);
  rows(a, t, "softmax 64x768", true, 64, 768);
}

static void run_round(entry *x) { /* caches warm, then the best of a few */
  int64_t n = sn_kernel_instances(x->k, x->args);
  int times = x->flops > 1e9 ? 2 : 20;
  for (int i = 0; i < times + 1; i++) {
    double t = cpu_now();
    x->code.fn(x->args, x->code.ws, 0, n);
    t = cpu_now() - t;
    if (i && t < x->best) x->best = t;
  }
}

static void print_json(const entry *x, double peak) {
  printf(
      "{\"name\": \"%s\", \"ms\": %.6g, \"gflops\": %.6g, \"peak_gflops\": %.6g, \"ns_per_element\": %.6g, "
      "\"workspace_bytes\": %lld}\n",
      x->name, x->best * 1e3, x->flops / x->best * 1e-9, peak, x->elements > 0 ? x->best * 1e9 / x->elements : 0,
      (long long)x->code.workspace_bytes);
}

static void print_line(const entry *x, double peak) {
  if (x->elements > 0)
    printf("%-38s %9.4f ms  %7.3f ns/element", x->name, x->best * 1e3, x->best * 1e9 / x->elements);
  else
    printf("%-38s %9.4f ms  %7.1f GF/s %5.1f %% of peak", x->name, x->best * 1e3, x->flops / x->best * 1e-9,
           x->flops / x->best * 1e-7 / peak);
  printf("  (built in %.1f ms, %lld bytes of workspace)\n", x->build_ms, (long long)x->code.workspace_bytes);
}

int main(int argc, char **argv) {
  bool json = argc > 1 && !strcmp(argv[1], "--json");
  argc -= json, argv += json;
  int rounds = argc > 1 ? atoi(argv[1]) : 12;
  sn_target t;
  if (sn_llvm_host_target(&t)) return 1;
  for (int isa = 0; argc > 2 && isa <= SN_ISA_AMX; isa++)
    if (!strcmp(argv[2], sn_isa_name((sn_isa)isa)) && hx_can_run((sn_isa)isa)) t = sn_target_cpu((sn_isa)isa);
  if (argc > 3) wanted = argv[3];
  sn_arena *arena = sn_arena_create();
  double peak = 0;
  candidates(arena, &t);
  _mm_setcsr(_mm_getcsr() | 0x8040); /* denormals are flushed while a plan runs */
  for (int r = 0; r < rounds; r++) {
    double p = peak_gflops(t.isa);
    if (p > peak) peak = p;
    for (int i = 0; i < count; i++) run_round(&entries[i]);
  }
  if (!json) printf("%s, %d rounds, multiply-add peak %.1f GF/s\n", t.features, rounds, peak);
  for (int i = 0; i < count; i++) (json ? print_json : print_line)(&entries[i], peak);
  sn_arena_destroy(arena);
  return 0;
}
