/* Fuse: groups -> a new function whose nodes are leaves, reshapes of results, and fused nodes with their bodies. Views
 * are pulled into the bodies of their users, so that operands are buffers. */
#include <string.h>

#include "passes/graph/fuse.h"

typedef struct builder {
  sn_fuse *s;
  sn_func *to;
  sn_val *value;        /* by old value id: the new value, 0: not yet */
  sn_val *inner;        /* by old value id: its value in the body at hand, 0: none */
  unsigned char *state; /* by group: 0 not built, 1 being built, 2 built */
  int body_count, body_capacity;
  sn_func **body; /* made so far: equal ones are shared */
  bool *wanted;   /* by old value id: some other group or the caller reads it from memory */
  sn_code failed;
} builder;

typedef struct body {
  builder *b;
  sn_func *to;
  sn_val *value; /* by old value id */
  int made_count, made_capacity;
  sn_val *made; /* old values that have one */
} body;

/* ---- bodies ------------------------------------------------------------------------------------------------- */

static void set_value(body *x, sn_val old, sn_val v) {
  SN_GROW(x->b->s->arena, x->made, x->made_count, x->made_capacity);
  x->made[x->made_count++] = old;
  x->value[old] = v;
}

static sn_val body_value(body *x, sn_val v) {
  const sn_fuse *s = x->b->s;
  if (x->value[v]) return x->value[v];
  const sn_node *n = sn_node_of(s->f, v);
  sn_val *arg = SN_ARRAY(s->arena, n->arg_count, sn_val);
  for (int k = 0; k < n->arg_count; k++) arg[k] = body_value(x, n->arg[k]);
  sn_val first = sn_func_copy_node(x->to, n, arg);
  for (int r = 0; r < n->result_count; r++) set_value(x, n->first + (sn_val)r, first + (sn_val)r);
  return x->value[v];
}

static void make_args(body *x, int count, const sn_val *input) {
  for (int i = 0; i < count; i++) {
    sn_attr at = {.set = true, .i = i};
    const sn_type *type = sn_val_type(x->b->s->f, input[i]);
    set_value(x, input[i], sn_func_add(x->to, SN_OP_ARG, 0, NULL, &at, 1, &type, NULL));
  }
}

/* Layers have equal groups: one body serves them all. */
static sn_func *shared_body(builder *b, sn_func *fresh) {
  for (int i = 0; i < b->body_count; i++)
    if (sn_func_equal(b->body[i], fresh)) {
      sn_module_remove(fresh->module, fresh);
      return b->body[i];
    }
  SN_GROW(b->s->arena, b->body, b->body_count, b->body_capacity);
  return b->body[b->body_count++] = fresh;
}

static sn_func *make_body(builder *b, const sn_fuse_group *g, int input_count, const sn_val *input, int output_count,
                          const sn_val *output) {
  sn_fuse *s = b->s;
  const char *name = sn_arena_printf(s->arena, "%s.%s", s->f->name, sn_fuse_kind_name(g->kind));
  body x = {.b = b, .to = sn_func_create(s->f->module, name, SN_FUNC_BODY), .value = b->inner};
  make_args(&x, input_count, input);
  for (int i = 0; i < output_count; i++) sn_func_return(x.to, body_value(&x, output[i]));
  for (int i = 0; i < x.made_count; i++) b->inner[x.made[i]] = 0;
  return shared_body(b, sn_func_finish(x.to));
}

/* ---- groups ---------------------------------------------------------------------------------------------------- */

static sn_val memory_value(builder *b, sn_val v);

/* The main line and layer of the first node that has them. */
static sn_origin origin_of(const sn_fuse *s, const sn_fuse_group *g) {
  sn_origin o = {0};
  for (int i = 0; i < g->count; i++) {
    const sn_origin *n = &s->f->node[g->node[i]]->origin;
    if (!o.loc_count && n->loc_count) o.locs = n->locs, o.loc_count = n->loc_count;
    if (!o.layer) o.layer = n->layer;
  }
  return o;
}

static int wanted_outputs(builder *b, const sn_fuse_group *g, int group, sn_val *out) {
  int n = 0;
  for (int i = 0; i < g->count; i++) {
    const sn_node *x = b->s->f->node[g->node[i]];
    if (b->s->group_of[g->node[i]] != group) continue; /* a copy: its owner is another group */
    for (int r = 0; r < x->result_count; r++)
      if (b->wanted[x->first + (sn_val)r]) out[n++] = x->first + (sn_val)r;
  }
  return n;
}

static void build_group(builder *b, int group) {
  sn_fuse *s = b->s;
  const sn_fuse_group *g = &s->group[group];
  sn_val arg[SN_FUSE_INPUTS], *out;
  const sn_val *in;
  if (b->state[group]) return;
  b->state[group] = 1;
  int results = 0;
  for (int i = 0; i < g->count; i++) results += s->f->node[g->node[i]]->result_count;
  out = SN_ARRAY(s->arena, results, sn_val);
  int output_count = wanted_outputs(b, g, group, out);
  int input_count = sn_fuse_group_inputs(s, group, &in);
  if (input_count > SN_FUSE_INPUTS) {
    b->failed =
        sn_fail(s->env->diags, SN_ERR_LIMIT, (sn_loc){0}, "a kernel would need more than %d buffers", SN_FUSE_INPUTS);
    return;
  }
  for (int i = 0; i < input_count; i++) arg[i] = memory_value(b, in[i]);
  if (!output_count || b->failed) return;
  sn_func *code = make_body(b, g, input_count, in, output_count, out);
  const sn_type **type = SN_ARRAY(s->arena, output_count, const sn_type *);
  for (int i = 0; i < output_count; i++) type[i] = sn_val_type(s->f, out[i]);
  sn_attr at[2] = {{.set = true, .s = sn_name(s->f->module->names, sn_fuse_kind_name(g->kind))},
                   {.set = true, .region = code}};
  sn_origin origin = origin_of(s, g);
  sn_val first = sn_func_add(b->to, SN_OP_FUSED, input_count, arg, at, output_count, type, &origin);
  for (int i = 0; i < output_count; i++) b->value[out[i]] = first + (sn_val)i;
  b->state[group] = 2;
}

/* A leaf, or the result of a group. */
static sn_val memory_value(builder *b, sn_val v) {
  if (b->value[v]) return b->value[v];
  int group = b->s->group_of[sn_fuse_position(b->s, v)];
  if (group >= 0)
    build_group(b, group);
  else
    b->value[v] = sn_func_copy_node(b->to, sn_node_of(b->s->f, v), NULL);
  if (!b->value[v] && !b->failed)
    b->failed =
        sn_fail(b->s->env->diags, SN_ERR_FAIL, (sn_loc){0}, "fuse: value %u of %s has no place", v, b->s->f->name);
  return b->value[v];
}

/* What the caller sees: reshapes of memory stay outside. */
static sn_val outer_value(builder *b, sn_val v) {
  const sn_node *n = sn_node_of(b->s->f, v);
  if (n->op != SN_OP_RESHAPE || b->s->stored[v]) return memory_value(b, v);
  sn_val arg = outer_value(b, n->arg[0]);
  return b->failed ? 0 : sn_func_copy_node(b->to, n, &arg);
}

/* Values that groups read from memory. */
static void find_wanted(builder *b) {
  sn_fuse *s = b->s;
  memcpy(b->wanted, s->kept, (size_t)s->f->value_count * sizeof *s->kept);
  for (int g = 0; g < s->group_count; g++) {
    const sn_val *in;
    if (s->group[g].version < 0) continue;
    int n = sn_fuse_group_inputs(s, g, &in);
    for (int i = 0; i < n && i < SN_FUSE_INPUTS; i++) b->wanted[in[i]] = true;
  }
}

sn_code sn_fuse_build(sn_fuse *s, sn_func **out) {
  builder b = {.s = s, .to = sn_func_successor(s->f)};
  b.value = SN_ARRAY(s->arena, s->f->value_count, sn_val);
  b.inner = SN_ARRAY(s->arena, s->f->value_count, sn_val);
  b.wanted = SN_ARRAY(s->arena, s->f->value_count, bool);
  b.state = SN_ARRAY(s->arena, s->group_count, unsigned char);
  find_wanted(&b);
  for (int i = 0; i < s->f->node_count; i++)
    if (s->f->node[i]->op == SN_OP_INPUT || s->f->node[i]->op == SN_OP_ARG) memory_value(&b, s->f->node[i]->first);
  for (int i = 0; i < s->f->output_count && !b.failed; i++)
    sn_func_output(b.to, s->f->output[i].name, outer_value(&b, s->f->output[i].value));
  for (int i = 0; i < s->f->update_count && !b.failed; i++) {
    sn_val state = memory_value(&b, s->f->update[i].state);
    sn_func_update(b.to, state, outer_value(&b, s->f->update[i].next));
  }
  for (int i = 0; i < s->f->result_count && !b.failed; i++) sn_func_return(b.to, outer_value(&b, s->f->result[i]));
  if (s->f->guard && !b.failed) b.to->guard = outer_value(&b, s->f->guard);
  if (b.failed) return b.failed;
  *out = sn_func_replace((sn_func *)(uintptr_t)s->f, b.to);
  return SN_OK;
}
