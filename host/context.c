/* Contexts: options, allocator, what is owned, and how calls report. */
#include "host/inside.h"

#include <stdlib.h>
#include <string.h>

int sn_version(void) { return SN_API_VERSION; }
const char *sn_version_text(void) { return SN_VERSION; }

/* ---- calls ------------------------------------------------------------------------------------------------------- */

typedef struct call {
  sn_ctx *c;
  int (*fn)(void *arg);
  void *arg;
} call;

static void log_problem(sn_ctx *c, const sn_diag *d) {
  if (!c->opt.log) return;
  const char *place = d->loc.file ? sn_arena_printf(c->diags->arena, "%s:%d: ", d->loc.file, d->loc.line) : "";
  c->opt.log(c->opt.user, SN_LOG_ERROR, sn_arena_printf(c->diags->arena, "%s%s", place, d->message));
}

static int run_call(void *arg) {
  call *x = arg;
  if (x->c->diags) sn_diags_destroy(x->c->diags);
  x->c->diags = NULL;
  x->c->error = "";
  x->c->diags = sn_diags_create();
  return x->c->diags ? x->fn(x->arg) : SN_ERR_LIMIT;
}

static int report(void *arg) {
  sn_ctx *c = arg;
  for (int i = 0; i < c->diags->count; i++) log_problem(c, &c->diags->at[i]);
  c->error = sn_diags_print(c->diags, c->diags->arena);
  return SN_OK;
}

sn_code sn_host_call(sn_ctx *c, int (*fn)(void *arg), void *arg) {
  call x = {c, fn, arg};
  const sn_allocator *a = c->opt.allocator;
  sn_code code = (sn_code)sn_protect_with(a, run_call, &x);
  if (!code) return SN_OK;
  if (!c->diags || !c->diags->count || sn_protect_with(a, report, c))
    c->error = code == SN_ERR_LIMIT ? "out of memory" : "failed";
  return code;
}

void sn_host_log(sn_ctx *c, const char *format, ...) {
  if (!c->opt.log) return;
  sn_text t = sn_text_begin(c->diags->arena);
  va_list args;
  va_start(args, format);
  sn_text_add_list(&t, format, args);
  va_end(args);
  c->opt.log(c->opt.user, SN_LOG_INFO, t.at);
}

sn_code sn_host_options(sn_diags *diags, void *to, size_t to_bytes, const void *from, size_t bytes) {
  if (!from) return SN_OK;
  const unsigned char *at = from;
  for (size_t i = to_bytes; i < bytes; i++)
    if (at[i])
      return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "an option is set that this library (%s) does not know",
                     SN_VERSION);
  memcpy(to, from, bytes < to_bytes ? bytes : to_bytes);
  return SN_OK;
}

const char *sn_ctx_error(const sn_ctx *c) { return c->error; }

bool sn_ctx_problem(const sn_ctx *c, int i, sn_problem *out) {
  if (!c->diags || i < 0 || i >= c->diags->count) return false;
  const sn_diag *d = &c->diags->at[i];
  *out = (sn_problem){d->code, d->loc.file, d->loc.line, d->loc.column, d->message, d->expected, d->found, d->note};
  return true;
}

/* ---- context ----------------------------------------------------------------------------------------------------- */

void sn_ctx_destroy(sn_ctx *c) {
  if (!c) return;
  while (c->programs) sn_program_destroy(c->programs);
  for (sn_owned *o = c->owned; o; o = o->next) o->destroy(o->what);
  if (c->diags) sn_diags_destroy(c->diags);
  sn_arena_destroy(c->arena);
  sn_block_free(c);
}

typedef struct creation {
  const sn_ctx_opt *opt;
  sn_ctx *out;
} creation;

static int create(void *arg) {
  creation *x = arg;
  sn_ctx *c = x->out = sn_block_alloc(sizeof *c);
  if (!c) return SN_ERR_LIMIT;
  *c = (sn_ctx){.arena = sn_arena_create(), .opt = *x->opt, .error = ""};
  if (!c->arena) return SN_ERR_LIMIT;
  if (c->opt.cache_dir) c->opt.cache_dir = sn_arena_strdup(c->arena, c->opt.cache_dir);
  return SN_OK;
}

sn_code SN_API(ctx_create)(size_t opt_bytes, const sn_ctx_opt *opt, sn_ctx **out) {
  sn_ctx_opt full = {0};
  creation x = {.opt = &full};
  SN_TRY(sn_host_options(NULL, &full, sizeof full, opt, opt_bytes));
  sn_code code = (sn_code)sn_protect_with(full.allocator, create, &x);
  if (code)
    sn_ctx_destroy(x.out);
  else
    *out = x.out;
  return code;
}
