/* sinter doctor: what this machine and this build can do, and where they keep things. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backends/cache.h"
#include "frontend/cli/cli.h"
#include "runtime/io/json.h"

typedef struct fact {
  const char *name, *value;
} fact;

typedef struct facts {
  cli *c;
  fact at[32];
  int count;
} facts;

static void add(facts *f, const char *name, const char *value) { f->at[f->count++] = (fact){name, value}; }

static const char *memory_text(cli *c) {
  double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
  struct rlimit limit;
  if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY && (double)limit.rlim_cur < bytes)
    return sn_arena_printf(c->arena, "%s (limited to %s)", cli_human(c->arena, bytes, "B"),
                           cli_human(c->arena, (double)limit.rlim_cur, "B"));
  return cli_human(c->arena, bytes, "B");
}

static void add_cpu(facts *f) {
  cli *c = f->c;
  sn_target t;
  const sn_backend *backend;
  sn_compile_opt opt = {.target = "cpu"};
  sn_diags *quiet = sn_diags_scratch();
  if (sn_compile_target(&opt, quiet, &t, &backend)) {
    add(f, "target cpu", "not in this build: LLVM 19 or newer was not found when it was configured");
  } else {
    add(f, "target cpu", sn_arena_printf(c->arena, "yes: %s", backend->version));
    add(f, "feature level", sn_isa_name(t.isa));
    add(f, "features", sn_arena_strdup(c->arena, t.features));
    add(f, "caches",
        sn_arena_printf(c->arena, "L1 %s, L2 %s, L3 %s", cli_human(c->arena, (double)t.l1_bytes, "B"),
                        cli_human(c->arena, (double)t.l2_bytes, "B"), cli_human(c->arena, (double)t.l3_bytes, "B")));
  }
  sn_diags_destroy(quiet);
}

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
  add_cpu(&f);
  add(&f, "target vulkan", "not in this build");
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
