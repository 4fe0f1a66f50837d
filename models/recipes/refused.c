/* What must not work, and the same on another number of threads. */
#include "models/recipes/inside.h"

static const char *why(recipe *r, sn_code code) {
  return code ? sn_arena_strdup(r->arena, sn_ctx_error(r->ctx)) : NULL;
}

const char *recipe_refused(recipe *r, const sn_model *model, sn_compile_opt o) {
  sn_program *p = NULL;
  if (r->code) return NULL;
  if (!o.target) o.target = r->opt->target;
  const char *text = why(r, sn_compile(r->ctx, model, &o, &p));
  sn_program_destroy(p);
  return text;
}

const char *net_refused_io(net *n, const char *graph, const sn_io *io, int count) {
  if (!n || n->r->code) return NULL;
  return why(n->r, SN_API(run)(n->program, graph, n->store, io, count, sizeof *io));
}

double *net_output_on(net *n, int threads, const char *graph, const feed *f, const char *output, int64_t *out_count) {
  if (!n || n->r->code) return NULL;
  recipe there = *n->r; /* all but the context */
  net moved = *n;
  sn_ctx_opt o = {.threads = threads, .cache_dir = n->r->opt->cache_dir};
  moved.r = &there;
  double *out = NULL;
  if (!(there.code = sn_ctx_create(&o, &there.ctx)))
    out = net_output(net_as(&moved, &(sn_compile_opt){0}), graph, f, 0, output, out_count);
  n->r->code = there.code;
  sn_ctx_destroy(there.ctx);
  return out;
}
