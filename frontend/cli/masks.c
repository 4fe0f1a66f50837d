/* module -> the share of empty, full and partial blocks of each mask: the map that the compiler would make of it
 * without data (passes/graph/block_map.h), run by the interpreter. */
#include "frontend/cli/masks.h"

#include <string.h>

#include "ir/graph/text.h"
#include "ir/ops/ops.h"
#include "ir/ref/interp.h"
#include "passes/graph/block_map.h"
#include "passes/lower/internal.h"
#include "passes/passes.h"
#include "runtime/io/json.h"

enum { MOST_ELEMENTS = 1 << 22 }; /* of a map, and of a tensor that it is made of: the interpreter keeps them all */
static const char share_graph[] = "blocks of a mask";

sn_code cli_masks_copy(cli *c, const sn_module *m, sn_module **out) {
  sn_text t = sn_text_begin(c->arena);
  sn_module_print(&t, m, (sn_print_opt){.locations = true});
  return sn_module_parse(c->arena, c->diags, "module", t.at, (size_t)t.count, out);
}

/* ---- what decides ---- */

static const char *operand_text(cli *c, const sn_func *f, sn_val v) {
  const sn_node *n = sn_node_of(f, v);
  const char *type = sn_type_text(c->arena, sn_val_type(f, v));
  while (!sn_leaf_name(n) && (sn_op_get(n->op)->cls == SN_CLASS_VIEW || n->op == SN_OP_CAST))
    n = sn_node_of(f, n->arg[0]);
  return sn_arena_printf(c->arena, "%s (%s)", sn_leaf_name(n) ? sn_leaf_name(n) : sn_op_get(n->op)->name, type);
}

/* Do inputs, parameters or states decide about the value? The others are made of dims, numbers and index values.
 * seen: by value id, those that were asked about: one that is data ends the search */
static bool is_data(const sn_func *f, sn_val v, bool *seen) {
  const sn_node *n = sn_node_of(f, v);
  if (seen[n->first]) return false;
  seen[n->first] = true;
  if (sn_leaf_name(n) || sn_op_get(n->op)->cls == SN_CLASS_STRUCT) return true;
  for (int i = 0; i < n->arg_count; i++)
    if (is_data(f, n->arg[i], seen)) return true;
  return false;
}

static bool operand_is_data(const sn_func *f, sn_val v) {
  sn_arena *scratch = sn_arena_create();
  bool data = is_data(f, v, SN_ARRAY(scratch, f->value_count, bool));
  sn_arena_destroy(scratch);
  return data;
}

/* What decides at run time, NULL: nothing. unknown: the operands that do. */
static const char *data_of(cli *c, const sn_func *f, const sn_node *n, bool *unknown) {
  bool *read = SN_ARRAY(c->arena, n->arg_count, bool);
  sn_text t = sn_text_begin(c->arena);
  (void)sn_block_map_reads(n, read);
  for (int i = 3; i < n->arg_count; i++) unknown[i] = operand_is_data(f, n->arg[i]);
  for (int i = 3; i < n->arg_count; i++) {
    const char *text = read[i] && unknown[i] ? operand_text(c, f, n->arg[i]) : NULL;
    if (text && !(t.count && strstr(t.at, text))) sn_text_add(&t, "%s%s", t.count ? ", " : "", text);
  }
  return t.count ? t.at : NULL;
}

/* ---- shares ---- */

/* The value in another function.  map: by value id of f, what was copied */
static sn_val copied(const sn_func *f, sn_val v, sn_func *to, sn_val *map) {
  const sn_node *n = sn_node_of(f, v);
  if (map[v]) return map[v];
  sn_val *arg = SN_ARRAY(to->arena, n->arg_count, sn_val);
  for (int i = 0; i < n->arg_count; i++) arg[i] = copied(f, n->arg[i], to, map);
  sn_val first = sn_func_copy_node(to, n, arg);
  for (int i = 0; i < n->result_count; i++) map[n->first + (sn_val)i] = first + (sn_val)i;
  return map[v];
}

/* A graph that computes the map; captured tensors that are not known are zeros, which are not read. */
static sn_func *share_of(cli *c, sn_module *m, const sn_func *f, const sn_node *n, const cli_mask *mask,
                         const bool *unknown) {
  sn_func *to = sn_func_create(m, share_graph, SN_FUNC_GRAPH);
  sn_build b = sn_build_begin(to, c->diags);
  sn_val *arg = SN_ARRAY(c->arena, n->arg_count, sn_val), *map = SN_ARRAY(c->arena, f->value_count, sn_val);
  for (int i = 3; i < n->arg_count; i++)
    arg[i] = unknown[i] ? sn_g_const(&b, sn_val_type(f, n->arg[i]), 0) : copied(f, n->arg[i], to, map);
  sn_block_map_of of = {n, sn_val_type(f, n->arg[0]), sn_val_type(f, n->arg[1]), arg, mask->bq, mask->bk, unknown};
  sn_val blocks = sn_block_map(&b, &of);
  if (!b.failed) sn_func_output(to, "map", blocks);
  return b.failed ? NULL : to;
}

/* May the interpreter compute it? A captured mask that the graph computes has an element for each query and key. */
static bool is_small(const sn_func *f, const int64_t *dims) {
  int64_t count = 0;
  for (sn_val v = 1; v < (sn_val)f->value_count; v++) {
    const sn_type *t = sn_val_type(f, v);
    if (!t) continue;
    if (sn_dimx_eval(sn_type_count(f->module->types, t), dims, &count) || count > MOST_ELEMENTS) return false;
  }
  return true;
}

static void count_blocks(const sn_tensor *map, cli_mask *mask) {
  mask->empty = mask->partial = mask->full = 0;
  for (int64_t i = 0; i < map->count; i++) {
    mask->empty += map->value[i] == 0;
    mask->partial += map->value[i] == 1;
    mask->full += map->value[i] == 2;
  }
}

static sn_code count_share(cli *c, sn_module *m, const sn_func *f, const sn_node *n, const int64_t *dims,
                           const bool *unknown, cli_mask *mask) {
  sn_pass_env env = {.arena = c->arena, .diags = c->diags};
  sn_tensor **value;
  mask->empty = mask->partial = mask->full = -1;
  if (!sn_block_map_fits(f, n, n->arg)) return SN_OK;
  if (!share_of(c, m, f, n, mask, unknown)) return SN_ERR_FAIL;
  SN_TRY(sn_pass_dce(m, &env));
  sn_func *to = sn_module_find(m, share_graph);
  sn_interp in = {.arena = c->arena, .diags = c->diags, .dims = dims, .no_bounds = true};
  if (is_small(to, dims)) {
    SN_TRY(sn_interp_run(&in, to, &value));
    count_blocks(value[to->output[0].value], mask);
  }
  sn_module_remove(m, to);
  return SN_OK;
}

/* ---- masks of a graph ---- */

static sn_code mask_of(cli *c, sn_module *m, const sn_func *f, const sn_node *n, const sn_target *target,
                       const int64_t *dims, cli_mask *mask) {
  const sn_attr *blocks = sn_node_attr(n, "blocks");
  const char *variant = sn_node_attr(n, "variant")->s;
  bool *unknown = SN_ARRAY(c->arena, n->arg_count, bool);
  int pages = sn_attention_layout_of(n).pages;
  const sn_dimx *S =
      sn_attention_keys(f->module->types, sn_val_type(f, n->arg[1]), pages < 0 ? NULL : sn_val_type(f, n->arg[pages]));
  *mask = (cli_mask){.nodes = 1, .map = blocks->set, .data = data_of(c, f, n, unknown)};
  mask->name = variant ? sn_arena_printf(c->arena, "attention.%s", variant) : "attention";
  mask->bq = sn_attend_block(target->bq, sn_val_type(f, n->arg[0])->dim[1]);
  mask->bk = sn_attend_block(target->bkv, S);
  if (blocks->set) mask->bq = (int)blocks->ints[0], mask->bk = (int)blocks->ints[1];
  return count_share(c, m, f, n, dims, unknown, mask);
}

static bool same_mask(const cli_mask *x, const cli_mask *y) {
  bool data = x->data && y->data ? !strcmp(x->data, y->data) : x->data == y->data;
  return data && !strcmp(x->name, y->name) && x->bq == y->bq && x->bk == y->bk && x->map == y->map &&
         x->empty == y->empty && x->partial == y->partial && x->full == y->full;
}

/* Values of the symbols of the copy. */
static int64_t *dims_of(cli *c, const cli_report *r, const sn_types *types) {
  int count = sn_types_symbol_count(types);
  int64_t *dims = SN_ARRAY(c->arena, count + 1, int64_t);
  for (int i = 0; i < count; i++)
    for (int k = 0; k < sn_types_symbol_count(r->plan->types); k++)
      if (!strcmp(sn_dimx_symbol_name(sn_types_symbol(types, i)),
                  sn_dimx_symbol_name(sn_types_symbol(r->plan->types, k))))
        dims[i] = r->dims[k];
  return dims;
}

sn_code cli_masks_find(cli *c, const cli_report *r, sn_module *copy, const sn_target *target, int *count,
                       cli_mask **out) {
  sn_pass_env env = {.arena = c->arena,
                     .diags = c->diags,
                     .target = target,
                     .disabled = cli_get(c, CLI_DISABLE, NULL),
                     .fuse = cli_get(c, CLI_FUSE, NULL)};
  int capacity = 0;
  *count = 0, *out = NULL;
  SN_TRY(sn_pipeline_run(copy, &env, "blocks", NULL, NULL));
  const sn_func *f = sn_module_find(copy, r->plan->graph[r->graph].name);
  const int64_t *dims = dims_of(c, r, copy->types);
  for (int i = 0; f && target->bq > 0 && i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    cli_mask mask;
    if (n->op != SN_OP_ATTENTION || !sn_node_attr(n, "mask")->region) continue;
    SN_TRY(mask_of(c, copy, f, n, target, dims, &mask));
    int at = 0;
    while (at < *count && !same_mask(&(*out)[at], &mask)) at++;
    if (at < *count) {
      (*out)[at].nodes++;
      continue;
    }
    SN_GROW(c->arena, *out, *count, capacity);
    (*out)[(*count)++] = mask;
  }
  return SN_OK;
}

/* ---- what kernels do ---- */

/* Is the kernel of the variant, forward or backward? Kernels are called as it is, or more with a dot. */
static bool is_of(const char *ops, const char *name) {
  static const char forward[] = "attention.", backward[] = "attention_grad.";
  size_t skip = !strncmp(ops, forward, sizeof forward - 1)     ? sizeof forward - 1
                : !strncmp(ops, backward, sizeof backward - 1) ? sizeof backward - 1
                                                               : 0;
  if (!skip || strncmp(name, forward, sizeof forward - 1)) return false;
  const char *variant = name + sizeof forward - 1;
  size_t length = strlen(variant);
  return !strncmp(ops + skip, variant, length) && (!ops[skip + length] || ops[skip + length] == '.');
}

/* The only mask of a kernel; NULL: none, or several. */
static const cli_mask *only_mask(const sn_step *s, int count, const cli_mask *mask) {
  const cli_mask *found = NULL;
  for (int i = 0; i < count; i++) {
    if (!s->ops || !is_of(s->ops, mask[i].name)) continue;
    if (found) return NULL;
    found = &mask[i];
  }
  return found;
}

void cli_masks_apply(cli_report *r, int count, const cli_mask *mask) {
  const sn_plan_graph *g = &r->plan->graph[r->graph];
  for (int i = 0; i < g->step_count; i++) {
    const sn_step *s = &g->step[i];
    const cli_mask *m = s->kind_name && !strcmp(s->kind_name, "attend") ? only_mask(s, count, mask) : NULL;
    if (!m || !m->map || m->empty < 0) continue;
    double all = (double)cli_value_of(s->flops, r->dims), blocks = (double)(m->empty + m->partial + m->full);
    double live = blocks > 0 ? all * (double)(m->partial + m->full) / blocks : all;
    if (!(live < r->flops[i])) continue;
    if (r->predicted_ms) r->predicted_ms[i] *= live / r->flops[i];
    r->flops[i] = live;
  }
}

/* ---- to show ---- */

static double percent(const cli_mask *m, int64_t n) {
  return 100. * (double)n / (double)(m->empty + m->partial + m->full);
}

void cli_masks_text(sn_text *t, int count, const cli_mask *mask) {
  if (count) sn_text_add(t, "\nblocks of scores:\n");
  for (int i = 0; i < count; i++) {
    const cli_mask *m = &mask[i];
    sn_text_add(t, "  %s", m->name);
    if (m->nodes > 1) sn_text_add(t, ", %d times", m->nodes);
    sn_text_add(t, ", %d queries by %d keys: ", m->bq, m->bk);
    if (m->empty < 0) {
      sn_text_add(t, "too many to count");
    } else {
      sn_text_add(t, "%.1f%% empty, %.1f%% full", percent(m, m->empty), percent(m, m->full));
      if (!m->data) sn_text_add(t, ", %.1f%% partial", percent(m, m->partial));
      sn_text_add(t, " by index expressions");
      if (m->data) sn_text_add(t, ", %.1f%%", percent(m, m->partial));
    }
    if (m->data) sn_text_add(t, " at run time from %s", m->data);
    sn_text_add(t, m->map ? " (a map)\n" : " (bounds of loops)\n");
  }
}

void cli_masks_json(sn_text *t, int count, const cli_mask *mask) {
  sn_text_add(t, "  \"masks\": [");
  for (int i = 0; i < count; i++) {
    const cli_mask *m = &mask[i];
    sn_text_add(t, "%s\n    {\"name\": ", i ? "," : "");
    sn_json_quote(t, m->name);
    sn_text_add(t, ", \"nodes\": %d, \"block\": [%d, %d]", m->nodes, m->bq, m->bk);
    if (m->empty >= 0)
      sn_text_add(t, ", \"empty\": %lld, \"partial\": %lld, \"full\": %lld", (long long)m->empty, (long long)m->partial,
                  (long long)m->full);
    sn_text_add(t, ", \"proof\": \"%s\"", m->map ? "map" : "bounds");
    if (m->data) {
      sn_text_add(t, ", \"at_run_time\": ");
      sn_json_quote(t, m->data);
    }
    sn_text_char(t, '}');
  }
  sn_text_add(t, "],\n");
}
