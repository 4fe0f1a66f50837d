/* One graph in one way on a backend, and trials with memory of their own. */
#include <string.h>

#include "backends/conform/conform.h"
#include "ir/ops/ops.h"

static void say_wrong(const sn_conform_trial *t, const sn_case *c, const char *fuse, const char *what, bool shows,
                      const char *why) {
  sn_conform_fail(t->out, t->kept, "%s, fuse %s: %s%s%s", what, fuse, why, shows ? "\n" : "", shows ? c->text : "");
}

/* The code of every kernel for a device that is described. */
static sn_code make(const sn_conform_trial *t, const sn_case *c, const char *fuse) {
  const sn_compile_opt co = {
      .target = t->opt->name, .fuse = fuse, .isa = t->opt->isa, .exact = true, .cache_dir = "", .threads = 1};
  sn_compiled compiled;
  sn_module *m;
  SN_TRY(sn_case_parse(c, t->arena, t->diags, &m));
  return sn_compile(m, &co, t->arena, t->diags, &compiled);
}

bool sn_conform_case(const sn_conform_trial *t, const sn_case *c, const sn_oracle *o, const char *fuse,
                     const char *what, bool shows) {
  sn_checked r = {0};
  const sn_variant v = {.target = t->opt->name,
                        .backend = t->opt->name ? NULL : t->opt->backend,
                        .isa = t->opt->isa,
                        .fuse = fuse,
                        .cache_dir = ""};
  sn_code code = t->opt->made ? make(t, c, fuse) : sn_case_check(c, &v, o, t->arena, t->diags, &r);
  const char *said = t->diags->count ? t->diags->at[t->diags->count - 1].message : "failed";
  const char *why = code ? sn_lacks(code, said) : NULL;
  if (why) {
    sn_conform_refuse(t->out, why, t->kept);
    return false;
  }
  if (code)
    say_wrong(t, c, fuse, what, shows, sn_diags_print(t->diags, t->arena));
  else if (r.mismatched)
    say_wrong(t, c, fuse, what, shows, r.first);
  t->out->run++;
  return true;
}

/* ---- trials ------------------------------------------------------------------------------------------------------ */

typedef struct call {
  const sn_conform_trial *t;
  sn_code (*fn)(const sn_conform_trial *t, void *user);
  void *user;
} call;

static int run_call(void *arg) {
  const call *c = arg;
  return (int)c->fn(c->t, c->user);
}

void sn_conform_try(const sn_conform_opt *opt, sn_arena *kept, sn_conform *out,
                    sn_code (*fn)(const sn_conform_trial *t, void *user), void *user) {
  sn_conform_trial t = {opt, sn_arena_create(), kept, sn_diags_create(), out};
  call c = {&t, fn, user};
  sn_code code = t.arena && t.diags ? (sn_code)sn_protect(run_call, &c) : SN_ERR_LIMIT;
  if (code)
    sn_conform_fail(out, kept, "%s", t.diags && t.diags->count ? sn_diags_print(t.diags, kept) : "out of memory");
  sn_diags_destroy(t.diags);
  sn_arena_destroy(t.arena);
}

void sn_conform_seen(sn_conform *out, sn_arena *arena, const int64_t *ops, bool (*counts)(const void *user, int op),
                     const void *user) {
  sn_text missing = sn_text_begin(arena);
  for (int op = 1; op < SN_OP_COUNT; op++) {
    if (!counts(user, op)) continue;
    out->all++;
    out->seen += ops[op] > 0;
    if (!ops[op]) sn_text_add(&missing, " %s", sn_op_get((sn_op)op)->name);
  }
  out->missing = missing.at;
}
