/* sinter doctor: what this machine and this build can do, and where they keep things. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backends/cache.h"
#include "backends/calibrate.h"
#if SN_HAVE_LLVM
#include "backends/llvm/llvm_backend.h"
#endif
#include "frontend/cli/cli.h"
#include "frontend/cli/predict.h"
#include "runtime/io/json.h"
#include "runtime/vulkan/vulkan.h"

typedef struct fact {
  const char *name, *value;
} fact;

typedef struct facts {
  cli *c;
  fact at[128];
  int count;
} facts;

static void add(facts *f, const char *name, const char *value) {
  if (f->count < (int)(sizeof f->at / sizeof *f->at)) f->at[f->count++] = (fact){name, value};
}

static const char *memory_text(cli *c) {
  double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
  struct rlimit limit;
  if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY && (double)limit.rlim_cur < bytes)
    return sn_arena_printf(c->arena, "%s (limited to %s)", cli_human(c->arena, bytes, "B"),
                           cli_human(c->arena, (double)limit.rlim_cur, "B"));
  return cli_human(c->arena, bytes, "B");
}

/* LLVM's library is opened at run time. */
static sn_code open_generator(sn_diags *diags) {
#if SN_HAVE_LLVM
  return sn_llvm_ready(diags);
#else
  (void)diags;
  return SN_OK;
#endif
}

/* As they were measured, or are measured now: --calibrate. */
static sn_code add_limits(facts *f, const sn_target *t, const sn_backend *backend) {
  cli *c = f->c;
  sn_limits l;
  const sn_compile_opt opt = {.target = "cpu"};
  sn_limits_find(t, backend, NULL, c->arena, &l);
  if (cli_has(c, CLI_CALIBRATE)) SN_TRY(cli_calibrate(c, &opt, &l));
  add(f, "limits",
      l.measured ? "measured on this machine"
                 : "defaults of the feature level: doctor --calibrate, bench --profile and --tune measure");
  add(f, "limits of products",
      sn_arena_printf(c->arena, "f32 %s/s, bf16 %s/s a core", cli_human(c->arena, 2 * l.product, "flop"),
                      cli_human(c->arena, 2 * l.pairs, "flop")));
  add(f, "limits of elements", sn_arena_printf(c->arena, "%s/s a core", cli_human(c->arena, l.point, "op")));
  add(f, "limits of sweeps",
      sn_arena_printf(c->arena, "L2 %s/s, L3 %s/s, memory %s/s a core, %s/s all", cli_human(c->arena, l.l2, "B"),
                      cli_human(c->arena, l.l3, "B"), cli_human(c->arena, l.memory, "B"),
                      cli_human(c->arena, l.together, "B")));
  add(f, "limits of steps",
      sn_arena_printf(c->arena, "%.2f us on one thread, %.2f us on all", l.launch_ns * 1e-3, l.meet_ns * 1e-3));
  return SN_OK;
}

static sn_code add_cpu(facts *f) {
  cli *c = f->c;
  sn_target t;
  const sn_backend *backend;
  sn_compile_opt opt = {.target = "cpu"};
  sn_diags *quiet = sn_diags_scratch();
  sn_code measured = SN_OK;
  if (sn_compile_target(&opt, quiet, &t, &backend)) {
    bool missing = !SN_HAVE_LLVM;
    const char *why = missing ? "not in this build: LLVM 19 or newer was not found when it was configured"
                              : sn_arena_printf(c->arena, "no: %s", quiet->at[0].message);
    add(f, "target cpu", why);
  } else if (open_generator(quiet)) {
    add(f, "target cpu", sn_arena_printf(c->arena, "no: %s", quiet->at[0].message));
  } else {
    add(f, "target cpu", sn_arena_printf(c->arena, "yes: %s", backend->version));
    bool pairs = t.isa == SN_ISA_AVX512 && strstr(t.features, "avx512bf16");
    add(f, "feature level", pairs ? "avx512bf16" : sn_isa_name(t.isa));
    add(f, "features", sn_arena_strdup(c->arena, t.features));
    add(f, "caches",
        sn_arena_printf(c->arena, "L1 %s, L2 %s, L3 %s", cli_human(c->arena, (double)t.l1_bytes, "B"),
                        cli_human(c->arena, (double)t.l2_bytes, "B"), cli_human(c->arena, (double)t.l3_bytes, "B")));
    measured = add_limits(f, &t, backend);
  }
  sn_diags_destroy(quiet);
  return measured;
}

/* ---- Vulkan ------------------------------------------------------------------------------------------------------ */

static const char *heaps_text(cli *c, const sn_vulkan_facts *v) {
  sn_text t = sn_text_begin(c->arena);
  for (int64_t i = 0; i < v->heap_count; i++)
    sn_text_add(&t, "%s%s%s", i ? ", " : "", cli_human(c->arena, (double)v->heap_bytes[i], "B"),
                v->heap_local[i] ? " of the device" : "");
  return t.at;
}

/* One device: a line to choose it by, and below it what code may ask for. */
static void add_device(facts *f, int i, const sn_vulkan_facts *v, bool chosen) {
  cli *c = f->c;
  const char *is = v->refused ? sn_arena_printf(c->arena, "; refused: %s", v->refused) : chosen ? "; chosen" : "";
  add(f, sn_arena_printf(c->arena, "vulkan %d", i),
      sn_arena_printf(c->arena, "%s (%s), Vulkan %d.%d.%d%s", v->name, v->kind, v->api[0], v->api[1], v->api[2], is));
  if (!*v->uuid) return;
  sn_text words = sn_text_begin(c->arena), matrices = sn_text_begin(c->arena);
  sn_vulkan_facts_print(&words, v);
  sn_vulkan_matrices_print(&matrices, v);
  add(f, sn_arena_printf(c->arena, "vulkan %d driver", i), sn_arena_strdup(c->arena, v->driver));
  add(f, sn_arena_printf(c->arena, "vulkan %d uuid", i), sn_arena_strdup(c->arena, v->uuid));
  add(f, sn_arena_printf(c->arena, "vulkan %d facts", i), words.at);
  add(f, sn_arena_printf(c->arena, "vulkan %d matrices", i), matrices.at);
  add(f, sn_arena_printf(c->arena, "vulkan %d memory", i), heaps_text(c, v));
}

static void add_vulkan(facts *f) {
  cli *c = f->c;
  sn_vulkan_list list;
  sn_diags *quiet = sn_diags_scratch();
  if (sn_vulkan_devices(c->arena, quiet, &list)) {
    const sn_diag *d = quiet->count ? &quiet->at[0] : NULL;
    const char *why = d ? d->message : "no memory";
    add(f, "target vulkan",
        d && d->note ? sn_arena_printf(c->arena, "%s (%s)", why, d->note) : sn_arena_strdup(c->arena, why));
  } else {
    add(f, "target vulkan",
        list.chosen >= 0 ? sn_arena_printf(c->arena, "device %d of %d", list.chosen, list.count)
                         : "no device that plans can run on");
    for (int i = 0; i < list.count; i++) add_device(f, i, &list.at[i], i == list.chosen);
  }
  sn_diags_destroy(quiet);
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

static void add_places(facts *f) {
  cli *c = f->c;
  const char *why, *cc = getenv("CC");
  add(f, "object cache", sn_cache_open(c->arena, NULL, &why) ? "usable" : why ? why : "off");
  cc = cc && *cc ? cc : "cc";
  bool have = !system(sn_arena_printf(c->arena, "command -v %s >/dev/null 2>&1", cc));
  add(f, "C compiler for models",
      have ? cc
           : sn_arena_printf(c->arena,
                             "%s not found: models in C cannot be compiled, .sn files and trained folders work", cc));
  add(f, "executables",
      cli_tool(c, "sinter-run") ? "yes" : "libexec/sinter/sinter-run is missing: build --emit exe does not work");
}

sn_code cli_doctor(cli *c) {
  facts f = {.c = c};
  add(&f, "version", SN_VERSION);
  add(&f, "cores", sn_arena_printf(c->arena, "%ld", sysconf(_SC_NPROCESSORS_ONLN)));
  add(&f, "memory", memory_text(c));
  SN_TRY(add_cpu(&f));
  add_vulkan(&f);
  add(&f, "target template, ref", "yes (kernel and graph interpreter)");
  add_places(&f);
  sn_text t = sn_text_begin(c->arena);
  if (cli_has(c, CLI_JSON)) sn_text_char(&t, '{');
  for (int i = 0; i < f.count; i++) {
    if (!cli_has(c, CLI_JSON)) {
      sn_text_add(&t, "%-22s %s\n", f.at[i].name, f.at[i].value);
      continue;
    }
    sn_text_add(&t, "%s", i ? ", " : "");
    sn_json_quote(&t, f.at[i].name);
    sn_text_add(&t, ": ");
    sn_json_quote(&t, f.at[i].value);
  }
  if (cli_has(c, CLI_JSON)) {
    sn_text_add(&t, ", \"environment\": {");
    cli_variables_json(&t);
    sn_text_add(&t, "}}\n");
  } else {
    sn_text_add(&t, "environment\n");
    cli_variables_print(&t, true);
  }
  return cli_print(c, &t);
}
