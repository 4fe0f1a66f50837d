/* Binding: extents of the caller's buffers -> values of symbols -> sizes, places and grids of one graph. Cached per
 * dims. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/plan/serial.h"
#include "runtime/inside.h"

#define NOWHERE ((sn_loc){0})

static sn_code no_memory(sn_diags *diags) { return sn_fail(diags, SN_ERR_LIMIT, NOWHERE, "out of memory"); }

bool sn_rt_persistent(sn_slot_role role) {
  return role == SN_SLOT_PARAM || role == SN_SLOT_STATE || role == SN_SLOT_PACKED;
}

bool sn_bind_uses(const sn_slot *slot, int graph) {
  if (slot->role == SN_SLOT_TEMP) return slot->graph == graph;
  return slot->graph == graph || slot->graph < 0;
}

int sn_bind_slot(const sn_plan *p, int graph, const char *name) {
  int slot = sn_plan_find_slot(p, graph, name);
  return slot >= 0 ? slot : sn_plan_find_slot(p, -1, name);
}

sn_code sn_rt_bytes(const sn_slot *slot, const int64_t *dims, int64_t *out) {
  int64_t count, bytes;
  SN_TRY(sn_dimx_eval(slot->elements, dims, &count));
  if (count < 0 || __builtin_mul_overflow(count, (int64_t)sn_elem_bytes(slot->type->elem), &bytes)) return SN_ERR_LIMIT;
  if (bytes > INT64_MAX / 4) return SN_ERR_LIMIT;
  *out = bytes;
  return SN_OK;
}

/* ---- symbols from extents ----------------------------------------------------------------------- */

typedef struct binder {
  const sn_runtime *r;
  sn_diags *diags;
  int64_t *dims;     /* -1: not known yet */
  const char **from; /* per symbol: the buffer that gave its value */
} binder;

static const char *dim_text(const sn_dimx *d, sn_arena *arena) {
  sn_text t = sn_text_begin(arena);
  sn_dimx_print(&t, d);
  return t.at;
}

static void expect_dim(const binder *b, const sn_dimx *d) {
  int64_t value = 0;
  if (!b->diags || sn_dimx_eval(d, b->dims, &value)) return;
  if (sn_dimx_is_const(d, &value))
    sn_fail_expected(b->diags, "%" PRId64, value);
  else
    sn_fail_expected(b->diags, "%s = %" PRId64, dim_text(d, b->diags->arena), value);
}

static sn_code misfit(const binder *b, const sn_buffer *x, int axis, const sn_dimx *d) {
  sn_fail(b->diags, SN_ERR_INPUT, NOWHERE, "extent %d of %s does not fit the other inputs or the model", axis, x->name);
  expect_dim(b, d);
  sn_fail_found(b->diags, "%" PRId64, x->extent[axis]);
  return SN_ERR_INPUT;
}

static sn_code set_symbol(binder *b, const sn_buffer *x, int axis, int symbol, int64_t value) {
  const sn_dimx *d = sn_types_symbol(b->r->plan->types, symbol);
  int64_t min = sn_dimx_min_value(d), max = sn_dimx_max_value(d), step = sn_dimx_divisor(d);
  if (value >= min && value <= max && (step <= 1 || value % step == 0)) {
    b->dims[symbol] = value, b->from[symbol] = x->name;
    return SN_OK;
  }
  const char *name = sn_dimx_symbol_name(d);
  sn_fail(b->diags, SN_ERR_INPUT, NOWHERE, "extent %d of %s: %s is out of bounds", axis, x->name, name);
  sn_fail_expected(b->diags, "%s in %" PRId64 "..%" PRId64, name, min, max);
  if (step > 1) sn_fail_expected(b->diags, "a multiple of %" PRId64, step);
  sn_fail_found(b->diags, "%" PRId64, value);
  return SN_ERR_INPUT;
}

static sn_code bind_lone(binder *b, const sn_buffer *x, int axis, int symbol) {
  if (b->dims[symbol] < 0) return set_symbol(b, x, axis, symbol, x->extent[axis]);
  if (b->dims[symbol] == x->extent[axis]) return SN_OK;
  const char *name = sn_dimx_symbol_name(sn_types_symbol(b->r->plan->types, symbol));
  sn_fail(b->diags, SN_ERR_INPUT, NOWHERE, "extent %d of %s is not the %s of %s", axis, x->name, name, b->from[symbol]);
  sn_fail_expected(b->diags, "%s = %" PRId64, name, b->dims[symbol]);
  sn_fail_found(b->diags, "%" PRId64, x->extent[axis]);
  return SN_ERR_INPUT;
}

/* The value of the one unknown symbol of an ascending expression, by bisection. */
static sn_code solve(binder *b, const sn_buffer *x, int axis, const sn_dimx *d, int symbol) {
  const sn_dimx *s = sn_types_symbol(b->r->plan->types, symbol);
  int64_t low = sn_dimx_min_value(s), high = sn_dimx_max_value(s), value;
  if (high > SN_DIM_MAX) high = SN_DIM_MAX;
  while (low < high) {
    b->dims[symbol] = low + (high - low) / 2;
    if (sn_dimx_eval(d, b->dims, &value) == SN_OK && value < x->extent[axis])
      low = b->dims[symbol] + 1;
    else
      high = b->dims[symbol];
  }
  b->dims[symbol] = -1;
  return set_symbol(b, x, axis, symbol, low);
}

static sn_code check_rank(const binder *b, const sn_buffer *x, const sn_slot *slot) {
  if (x->rank == slot->type->rank) return SN_OK;
  sn_fail(b->diags, SN_ERR_INPUT, NOWHERE, "%s has the wrong rank", x->name);
  if (b->diags) sn_fail_expected(b->diags, "%s", sn_type_text(b->diags->arena, slot->type));
  sn_fail_found(b->diags, "rank %d", x->rank);
  return SN_ERR_INPUT;
}

static sn_code bind_symbols(binder *b, const sn_buffer *x, int slot, bool lone) {
  const sn_type *type = b->r->plan->slot[slot].type;
  for (int i = 0; i < type->rank; i++) {
    const sn_extent_rule *rule = &b->r->rule[(size_t)slot * SN_RANK_MAX + (size_t)i];
    if (lone && rule->lone >= 0) SN_TRY(bind_lone(b, x, i, rule->lone));
    if (!lone && rule->solve >= 0 && b->dims[rule->solve] < 0) SN_TRY(solve(b, x, i, type->dim[i], rule->solve));
  }
  return SN_OK;
}

static sn_code check_extents(const binder *b, const sn_buffer *x, const sn_type *type) {
  int64_t value;
  for (int i = 0; i < type->rank; i++) {
    if (sn_dimx_eval(type->dim[i], b->dims, &value))
      return sn_fail(b->diags, SN_ERR_LIMIT, NOWHERE, "%s is too large", x->name);
    if (value != x->extent[i]) return misfit(b, x, i, type->dim[i]);
  }
  return SN_OK;
}

static sn_code unknown_buffer(const binder *b, int graph, const sn_buffer *x) {
  const sn_plan *p = b->r->plan;
  sn_fail(b->diags, SN_ERR_USAGE, NOWHERE, "graph %s has no input or output %s", p->graph[graph].name, x->name);
  if (!b->diags) return SN_ERR_USAGE;
  sn_text t = sn_text_begin(b->diags->arena);
  for (int i = 0; i < p->slot_count; i++)
    if (p->slot[i].graph == graph && p->slot[i].role <= SN_SLOT_OUTPUT)
      sn_text_add(&t, "%s%s", t.count ? ", " : "", p->slot[i].name);
  sn_fail_expected(b->diags, "one of: %s", t.at);
  return SN_ERR_USAGE;
}

static bool is_port(const sn_slot *s) { return s->role == SN_SLOT_INPUT || s->role == SN_SLOT_OUTPUT; }

static sn_code bind_pass(binder *b, int graph, int count, const sn_buffer *buffers, int pass) {
  const sn_plan *p = b->r->plan;
  for (int i = 0; i < count; i++) {
    int slot = sn_bind_slot(p, graph, buffers[i].name);
    if (slot < 0 || !is_port(&p->slot[slot])) return unknown_buffer(b, graph, &buffers[i]);
    if (pass == 0) SN_TRY(check_rank(b, &buffers[i], &p->slot[slot]));
    if (pass < 2 && p->slot[slot].role == SN_SLOT_INPUT) SN_TRY(bind_symbols(b, &buffers[i], slot, pass == 0));
    if (pass == 2) SN_TRY(check_extents(b, &buffers[i], p->slot[slot].type));
  }
  return SN_OK;
}

sn_code sn_bind_dims(const sn_runtime *r, const sn_store *s, int graph, int buffer_count, const sn_buffer *buffers,
                     sn_diags *diags, int64_t *out_dims) {
  binder b = {r, diags, out_dims, calloc((size_t)r->symbol_count + 1, sizeof *b.from)};
  if (!b.from) return no_memory(diags);
  for (int i = 0; i < r->symbol_count; i++) out_dims[i] = -1;
  sn_code code = bind_pass(&b, graph, buffer_count, buffers, 0);
  if (!code) code = bind_pass(&b, graph, buffer_count, buffers, 1);
  for (int i = 0; i < r->symbol_count; i++)
    if (out_dims[i] < 0) out_dims[i] = s->dims[i];
  if (!code) code = bind_pass(&b, graph, buffer_count, buffers, 2);
  free(b.from);
  return code;
}

/* ---- sizes, places, grids ----------------------------------------------------------------------- */

static sn_code too_large(sn_diags *diags, const char *name) {
  return sn_fail(diags, SN_ERR_LIMIT, NOWHERE, "%s is too large to address under these extents", name);
}

static sn_code bind_sizes(const sn_plan *p, sn_bound *b, sn_diags *diags) {
  for (int i = 0; i < p->slot_count; i++) {
    if (!sn_bind_uses(&p->slot[i], b->graph)) continue;
    if (sn_rt_bytes(&p->slot[i], b->dims, &b->bytes[i])) return too_large(diags, p->slot[i].name);
  }
  return SN_OK;
}

static double amount(const sn_dimx *d, const int64_t *dims) {
  int64_t value;
  return d && sn_dimx_eval(d, dims, &value) == SN_OK ? (double)value : 0;
}

/* Sizes of its slots stand in for missing figures. */
static bool is_serial(const sn_step *s, const sn_bound *b, int64_t instances) {
  double bytes = amount(s->bytes_read, b->dims) + amount(s->bytes_written, b->dims);
  for (int i = 0; bytes == 0 && i < s->arg_count; i++)
    if (s->arg[i].is_slot) bytes += (double)b->bytes[s->arg[i].index];
  return sn_plan_is_serial((double)instances, bytes, amount(s->flops, b->dims));
}

static sn_code bind_grid(const sn_step *s, const int64_t *dims, int64_t *out) {
  int64_t total = 1, extent;
  for (int i = 0; i < 3 && s->grid[i]; i++) {
    SN_TRY(sn_dimx_eval(s->grid[i], dims, &extent));
    if (extent < 0 || __builtin_mul_overflow(total, extent, &total)) return SN_ERR_LIMIT;
  }
  if (total > INT64_C(1) << 62) return SN_ERR_LIMIT;
  *out = total;
  return SN_OK;
}

static sn_code bind_steps(const sn_plan *p, const sn_step *steps, int count, sn_bound *b, sn_diags *diags) {
  for (int i = 0; i < count; i++) {
    const sn_step *s = &steps[i];
    sn_bound_step *x = &b->step[i];
    x->first_arg = b->arg_count;
    x->serial = true;
    b->arg_count += s->kind == SN_STEP_LAUNCH ? s->arg_count : 2;
    if (s->kind == SN_STEP_COPY) x->serial = sn_plan_copies_serial((double)b->bytes[s->from]);
    if (s->kind != SN_STEP_LAUNCH) continue;
    if (bind_grid(s, b->dims, &x->instances)) return too_large(diags, p->code[s->code].name);
    x->serial = is_serial(s, b, x->instances);
  }
  return SN_OK;
}

static const sn_step *steps_of(const sn_plan *p, int graph, int *count) {
  *count = graph < 0 ? p->prepare_count : p->graph[graph].step_count;
  return graph < 0 ? p->prepare : p->graph[graph].step;
}

static sn_code bind_fill(const sn_runtime *r, sn_bound *b, sn_diags *diags) {
  int count;
  const sn_plan *p = r->plan;
  const sn_step *steps = steps_of(p, b->graph, &count);
  SN_TRY(bind_sizes(p, b, diags));
  SN_TRY(bind_steps(p, steps, count, b, diags));
  if (sn_layout(p, b->graph, r->root, b->bytes, b->offset, &b->pool_bytes))
    return sn_fail(diags, SN_ERR_LIMIT, NOWHERE,
                   "no memory for the temporaries, or more of them than can be addressed");
  if (sn_bind_barriers(b, r->root, steps, count)) return no_memory(diags);
  return SN_OK;
}

static sn_bound *bound_create(const sn_runtime *r, int graph, const int64_t *dims) {
  int count;
  steps_of(r->plan, graph, &count);
  size_t slots = (size_t)r->plan->slot_count + 1, symbols = (size_t)r->symbol_count + 1;
  sn_bound *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->graph = graph;
  b->dims = calloc(symbols, sizeof *b->dims);
  b->bytes = calloc(slots, sizeof *b->bytes);
  b->offset = calloc(slots, sizeof *b->offset);
  b->step = calloc((size_t)count + 1, sizeof *b->step);
  if (!b->dims || !b->bytes || !b->offset || !b->step) {
    sn_bound_destroy(b);
    return NULL;
  }
  memcpy(b->dims, dims, (size_t)r->symbol_count * sizeof *dims);
  return b;
}

void sn_bound_destroy(sn_bound *b) {
  if (!b) return;
  free(b->dims);
  free(b->bytes);
  free(b->offset);
  free(b->step);
  free(b);
}

/* Moves the binding to the front; NULL when there is none. */
static sn_bound *find_bound(sn_runtime *r, int graph, const int64_t *dims) {
  for (sn_bound **at = &r->bound; *at; at = &(*at)->next) {
    sn_bound *b = *at;
    if (b->graph != graph || memcmp(b->dims, dims, (size_t)r->symbol_count * sizeof *dims)) continue;
    *at = b->next;
    b->next = r->bound;
    r->bound = b;
    return b;
  }
  return NULL;
}

static void drop_oldest(sn_runtime *r) {
  sn_bound **at = &r->bound;
  for (int i = 0; i < SN_RT_BOUNDS && *at; i++) at = &(*at)->next;
  sn_bound_destroy(*at);
  *at = NULL;
}

sn_code sn_bind_graph(sn_runtime *r, int graph, const int64_t *dims, sn_diags *diags, const sn_bound **out) {
  sn_bound *b = find_bound(r, graph, dims);
  if (!b) {
    b = bound_create(r, graph, dims);
    if (!b) return no_memory(diags);
    sn_code code = bind_fill(r, b, diags);
    if (code) {
      sn_bound_destroy(b);
      return code;
    }
    b->id = ++r->bound_count;
    b->next = r->bound;
    r->bound = b;
    drop_oldest(r);
  }
  *out = b;
  return SN_OK;
}

/* ---- public ------------------------------------------------------------------------------------- */

sn_code sn_plan_place(const sn_plan *p, int graph, const int64_t *dims, int64_t *bytes, int64_t *offset, int64_t *out) {
  int *root = calloc((size_t)p->slot_count + 1, sizeof *root);
  sn_code code = root ? sn_layout_roots(p, root) : SN_ERR_LIMIT;
  for (int i = 0; i < p->slot_count && !code; i++) {
    bytes[i] = 0;
    if (p->slot[i].role == SN_SLOT_TEMP && sn_bind_uses(&p->slot[i], graph))
      code = sn_rt_bytes(&p->slot[i], dims, &bytes[i]);
  }
  if (!code) code = sn_layout(p, graph, root, bytes, offset, out);
  free(root);
  return code;
}

sn_code sn_plan_peak_bytes(const sn_plan *p, int graph, const int64_t *dims, int64_t *out) {
  size_t slots = (size_t)p->slot_count + 1;
  int64_t *bytes = calloc(slots, sizeof *bytes), *offset = calloc(slots, sizeof *offset);
  sn_code code = bytes && offset ? sn_plan_place(p, graph, dims, bytes, offset, out) : SN_ERR_LIMIT;
  free(bytes);
  free(offset);
  return code;
}
