/* A fixed sample of the suite of backends on the Vulkan device of this machine, as a lesser device would have it:
 *   tiers NAME [PART]
 * bare: no subgroups, f32 and whole numbers only, 16 KiB of shared memory. middle: subgroups and 16-bit storage.
 * all: everything that the device has. matrices: the same, where that includes cooperative matrices.
 * PART: one part in so many of the sample (1). Every module is validated. Exit 77: there is no such device here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/conform/conform.h"
#include "backends/spirv/inspect/inspect.h"
#include "backends/spirv/spirv_backend.h"
#include "runtime/vulkan/vulkan.h"

typedef struct tier {
  const char *name, *without;
  uint64_t laws; /* where its sample of laws begins */
} tier;

static const tier tiers[] = {
    {"bare",
     "subgroup,matrix,float64,float16,int16,int8,storage16,storage8,preserve64,preserve32,preserve16,sync2,"
     "shared=16384,invocations=128",
     0},
    {"middle", "matrix,float64,int8,storage8,preserve32", 100},
    {"all", "", 200},
    {"matrices", "", 300},
};
enum { TIERS = sizeof tiers / sizeof *tiers };
enum { LAWS = 100, KERNELS = 60, PROGRAMS = 40, GRAPHS = 5 };

/* The facts of the device as this tier has it. -> false: there is none, or no matrices */
static bool facts_of(const tier *t, sn_target *target) {
  sn_diags *d = sn_diags_create();
  sn_vulkan_facts *f = calloc(1, sizeof *f);
  setenv("SN_VULKAN_WITHOUT", t->without, 1);
  bool there = f && d && !sn_vulkan_facts_get(d, f);
  sn_gpu gpu = {0};
  if (there) gpu = sn_vulkan_gpu(f);
  if (!strcmp(t->name, "matrices")) there = there && (gpu.f16.m || gpu.bf16.m || gpu.i8.m);
  *target = sn_target_vulkan(&gpu);
  sn_diags_destroy(d);
  free(f);
  return there;
}

/* -> did it fail? Only f64 may be lacking. */
static bool report(const char *part, const sn_conform *r) {
  printf("%-9s %5lld run, %lld failed, %lld refused\n", part, (long long)r->run, (long long)r->failed,
         (long long)r->refused);
  if (r->first) printf("%s\n", r->first);
  bool failed = r->failed > 0 || r->run <= r->refused;
  for (int i = 0; i < r->refusals.count; i++) {
    printf("          refused %lld: %s\n", (long long)r->refusals.at[i].times, r->refusals.at[i].why);
    failed |= !strstr(r->refusals.at[i].why, "the device has no f64");
  }
  fflush(stdout);
  return failed;
}

static bool run(const tier *t, const sn_target *target, int part) {
  sn_arena *arena = sn_arena_create();
  sn_conform r;
  bool failed = false;
  sn_conform_opt o = {.backend = sn_backend_spirv(), .target = target, .name = "vulkan", .exactly = true};
  o.seed = t->laws, o.count = (LAWS + part - 1) / part;
  sn_conform_laws(&o, arena, &r);
  failed |= report("laws", &r);
  o.seed = 0, o.count = (KERNELS + part - 1) / part;
  sn_conform_kernels(&o, arena, &r);
  failed |= report("kernels", &r);
  o.seed = 1 + t->laws, o.count = (PROGRAMS + part - 1) / part;
  sn_conform_programs(&o, arena, &r);
  failed |= report("programs", &r);
  o.count = (GRAPHS + part - 1) / part;
  sn_conform_graphs(&o, arena, &r);
  failed |= report("graphs", &r);
  sn_arena_destroy(arena);
  return failed;
}

/* Modules with cooperative matrices in the record of what was made. */
static int matrices_of(const char *path) {
  char line[256];
  int n = 0;
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f)) n += strstr(line, " matrices") != NULL;
  if (f) fclose(f);
  return n;
}

/* The tier of that name is one only if kernels use them. */
static bool run_matrices(const tier *t, const sn_target *target, int part) {
  char path[] = "/tmp/modules-XXXXXX";
  int file = mkstemp(path);
  if (file < 0 || setenv("SN_SPIRV_MODULES", path, 1)) return true;
  close(file);
  bool failed = run(t, target, part);
  int n = matrices_of(path);
  printf("%d modules have cooperative matrices\n", n);
  unlink(path);
  return failed || !n;
}

int main(int argc, char **argv) {
  int part = argc > 2 ? atoi(argv[2]) : 1, i = 0;
  sn_target target;
  while (argc > 1 && i < TIERS && strcmp(tiers[i].name, argv[1]) != 0) i++;
  if (argc < 2 || i == TIERS || part < 1) return 2;
  if (!facts_of(&tiers[i], &target)) {
    printf("skipped: no Vulkan device here%s\n", strcmp(argv[1], "matrices") ? "" : " has cooperative matrices");
    return 77;
  }
  printf("%s: %s\n", tiers[i].name, target.features);
  return strcmp(argv[1], "matrices") ? run(&tiers[i], &target, part) : run_matrices(&tiers[i], &target, part);
}
