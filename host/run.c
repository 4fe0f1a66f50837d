/* One run of a graph on the caller's memory. */
#include <string.h>

#include "host/inside.h"

typedef struct running {
  sn_program *p;
  sn_v1_store *s;
  const char *graph;
  const sn_io *io;
  int count;
  size_t io_bytes; /* of one, as the caller knows it */
} running;

static sn_code check_bytes(const running *x, const sn_io *io, const sn_slot *slot) {
  int64_t elements = 1, need = 0;
  for (int i = 0; i < slot->type->rank; i++)
    if (io->extent[i] < 0 || __builtin_mul_overflow(elements, io->extent[i], &elements))
      return SN_OK; /* refused later */
  if (__builtin_mul_overflow(elements, (int64_t)sn_elem_bytes(slot->type->elem), &need)) return SN_OK;
  if ((uint64_t)need == io->bytes) return SN_OK;
  sn_diags *diags = x->p->ctx->diags;
  sn_code code =
      sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "%s: the memory does not have the size of the tensor", io->name);
  sn_fail_expected(diags, "%lld bytes of %s", (long long)need, sn_elem_name(slot->type->elem));
  sn_fail_found(diags, "%zu bytes", io->bytes);
  return code;
}

static sn_code convert(const running *x, int graph, int i, sn_buffer *out) {
  sn_io io = {0};
  const char *at = (const char *)x->io + (size_t)i * x->io_bytes;
  memcpy(&io, at, x->io_bytes < sizeof io ? x->io_bytes : sizeof io);
  if (!io.name || !io.data)
    return sn_fail(x->p->ctx->diags, SN_ERR_USAGE, (sn_loc){0}, "input or output %d has no %s", i,
                   io.name ? "memory" : "name");
  *out = (sn_buffer){.name = io.name, .data = io.data};
  int slot = sn_plan_find_slot(x->p->plan, graph, io.name);
  if (slot < 0) return SN_OK; /* the runtime says which there are */
  out->rank = x->p->plan->slot[slot].type->rank;
  memcpy(out->extent, io.extent, sizeof io.extent);
  return io.bytes ? check_bytes(x, &io, &x->p->plan->slot[slot]) : SN_OK;
}

static int run(void *arg) {
  const running *x = arg;
  sn_ctx *c = x->p->ctx;
  if (!x->s || x->s->program != x->p)
    return sn_fail(c->diags, SN_ERR_USAGE, (sn_loc){0}, "the store belongs to another program");
  int graph = sn_plan_find_graph(x->p->plan, x->graph);
  sn_buffer *b = SN_ARRAY(c->diags->arena, x->count + 1, sn_buffer);
  for (int i = 0; i < x->count; i++) SN_TRY(convert(x, graph, i, &b[i]));
  return sn_run(x->p->runtime, x->s->store, x->graph, x->count, b, c->diags);
}

sn_code SN_API(run)(sn_program *p, const char *graph, sn_v1_store *s, const sn_io *io, int io_count, size_t io_bytes) {
  running x = {p, s, graph, io, io_count, io_bytes};
  return sn_host_call(p->ctx, run, &x);
}
