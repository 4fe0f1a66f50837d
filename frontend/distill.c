/* student's train + teacher's logits -> one training graph. See distill.h.
 *
 *   1. the student's train is copied; T becomes the window
 *   2. at its cross entropy: the teacher's logits graph is copied on the same tokens, and the divergence per row is
 * made
 *   3. at each grad: the loss is the loss plus the weighted mean of the divergence */
#include "frontend/distill.h"

#include <string.h>

#include "frontend/transplant.h"

typedef struct joined {
  const sn_distill_opt *o;
  sn_arena *arena;
  sn_diags *diags;
  sn_module *m;
  sn_build b; /* into the new train */
  sn_transplant student, teacher;
  const sn_func *train, *logits;
  sn_val *map;            /* by value id of the student's train */
  const sn_node *entropy; /* the cross entropy of the student's train */
  sn_val loss;            /* of the student's train, in its ids */
  sn_val rows;            /* divergence per row */
  sn_val total, kd;       /* 0 until made */
} joined;

#define FAIL(j, ...) sn_fail((j)->diags, SN_ERR_INPUT, (sn_loc){0}, __VA_ARGS__)

/* ---- what is needed ------------------------------------------------------------------------------------------ */

static const sn_type *tokens_type(const sn_func *f) {
  sn_val v = f ? sn_func_leaf(f, SN_OP_INPUT, "tokens") : 0;
  const sn_type *t = v ? sn_val_type(f, v) : NULL;
  return t && t->rank == 2 ? t : NULL;
}

int64_t sn_distill_context(const sn_module *m, const char *graph) {
  const sn_type *t = tokens_type(sn_module_find(m, graph));
  return t ? sn_dimx_max_value(t->dim[1]) : 0;
}

int64_t sn_distill_window(const sn_module *student, const sn_module *teacher) {
  int64_t x = sn_distill_context(student, "train"), y = sn_distill_context(teacher, "logits");
  return x < y ? x : y;
}

static sn_val output_of(const sn_func *f, const char *name) {
  for (int i = 0; i < f->output_count; i++)
    if (!strcmp(f->output[i].name, name)) return f->output[i].value;
  return 0;
}

static bool depends(const sn_func *f, sn_val root, const sn_node *on) {
  bool *reached = SN_ARRAY(f->arena, f->value_count, bool);
  reached[root] = true;
  for (int i = f->node_count - 1; i >= 0; i--) {
    const sn_node *n = f->node[i];
    bool any = false;
    for (int r = 0; r < n->result_count; r++) any |= reached[n->first + (sn_val)r];
    if (any && n == on) return true;
    for (int k = 0; any && k < n->arg_count; k++) reached[n->arg[k]] = true;
  }
  return false;
}

/* The cross entropy that the loss is made of: the student's logits are its operand. */
static sn_code find_entropy(joined *j) {
  const sn_func *f = j->train;
  int count = 0;
  j->loss = output_of(f, "loss");
  if (!j->loss) return FAIL(j, "the student's graph train has no output loss");
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    if (n->op != SN_OP_CROSS_ENTROPY || !depends(f, j->loss, n)) continue;
    j->entropy = n;
    count++;
  }
  if (count == 1 && sn_val_type(f, j->entropy->arg[0])->rank == 3) return SN_OK;
  FAIL(j, "the student's logits cannot be told from its graph train");
  sn_fail_expected(j->diags, "a loss that depends on one sn_cross_entropy of logits [B, T, V]");
  sn_fail_found(j->diags, "%d", count);
  return SN_ERR_INPUT;
}

static sn_code check_window(joined *j, const char *whose, const sn_func *f) {
  const sn_type *t = tokens_type(f);
  int64_t w = j->o->window;
  if (!t) return FAIL(j, "the %s's graph %s needs an input tokens i32[B, T]", whose, f->name);
  const sn_dimx *d = t->dim[1];
  if (w >= sn_dimx_min_value(d) && w <= sn_dimx_max_value(d) && w % sn_dimx_divisor(d) == 0) return SN_OK;
  FAIL(j, "the %s does not take windows of %lld tokens", whose, (long long)w);
  sn_fail_expected(j->diags, "T from %lld to %lld", (long long)sn_dimx_min_value(d), (long long)sn_dimx_max_value(d));
  return SN_ERR_INPUT;
}

/* The names of the teacher are free. */
static sn_code check_names(joined *j) {
  for (int i = 0; i < j->train->node_count; i++) {
    const char *name = sn_leaf_name(j->train->node[i]);
    if (name && !strncmp(name, SN_TEACHER, strlen(SN_TEACHER)))
      return FAIL(j, "the student has a parameter or input %s: names that begin with " SN_TEACHER " are the teacher's",
                  name);
  }
  return SN_OK;
}

static sn_code check(joined *j) {
  j->train = sn_module_find(j->o->student, "train");
  j->logits = sn_module_find(j->o->teacher, "logits");
  if (!j->train) return FAIL(j, "the student has no graph train (tokens, targets) -> loss");
  if (!j->logits) return FAIL(j, "the teacher has no graph logits (tokens) -> logits");
  sn_val v = output_of(j->logits, "logits");
  const sn_type *t = v ? sn_val_type(j->logits, v) : NULL, *s;
  if (!t || t->rank != 3) return FAIL(j, "the teacher's graph logits has no output logits [B, T, V]");
  SN_TRY(check_names(j));
  SN_TRY(check_window(j, "student", j->train));
  SN_TRY(check_window(j, "teacher", j->logits));
  SN_TRY(find_entropy(j));
  s = sn_val_type(j->train, j->entropy->arg[0]);
  int64_t of_s = 0, of_t = 0;
  if (sn_dimx_is_const(s->dim[2], &of_s) && sn_dimx_is_const(t->dim[2], &of_t) && of_s == of_t && s->elem == t->elem)
    return SN_OK;
  FAIL(j, "teacher and student have different vocabularies");
  sn_fail_expected(j->diags, "%s, the teacher's", sn_type_text(j->arena, t));
  sn_fail_found(j->diags, "%s", sn_type_text(j->arena, s));
  return SN_ERR_INPUT;
}

/* ---- symbols ------------------------------------------------------------------------------------------------- */

/* Symbols of another model become those of the student: its rows and positions, by the places they have in tokens. */
static sn_code begin_teacher(joined *j) {
  const sn_types *types = j->o->teacher->types;
  const sn_type *mine = sn_transplant_type(&j->student, tokens_type(j->train)), *its = tokens_type(j->logits);
  int count = sn_types_symbol_count(types), rows = sn_dimx_symbol_index(its->dim[0]),
      positions = sn_dimx_symbol_index(its->dim[1]);
  j->teacher =
      (sn_transplant){.from = j->o->teacher, .to = j->m, .prefix = SN_TEACHER, .bodies = sn_map_create(j->arena)};
  j->teacher.symbol = SN_ARRAY(j->arena, count + 1, const sn_dimx *);
  for (int i = 0; i < count; i++) { /* others are of graphs that are not copied; a body may still name them */
    const sn_dimx *d = sn_types_symbol(types, i);
    j->teacher.symbol[i] = i == rows        ? mine->dim[0]
                           : i == positions ? mine->dim[1]
                                            : sn_dimx_const(j->m->types, sn_dimx_max_value(d));
  }
  return SN_OK;
}

/* ---- losses ---------------------------------------------------------------------------------------------------- */

static sn_val scalar_input(joined *j, const char *name, double value) {
  if (sn_func_leaf(j->b.func, SN_OP_INPUT, name) || sn_func_leaf(j->train, SN_OP_INPUT, name)) {
    j->b.failed = FAIL(j, "the student's graph train has an input %s of its own", name);
    return 0;
  }
  const sn_attr at[2] = {{.set = true, .s = sn_name(j->m->names, name)}, {.set = true, .f = value}};
  return sn_emit(&j->b, SN_OP_INPUT, 0, NULL, at, sn_type_scalar(j->m->types, SN_ELEM_F32));
}

/* Rows of the cross entropy; those of the divergence in j->rows. */
static sn_val both_losses(joined *j, sn_val logits, sn_val targets, sn_val reference) {
  const sn_val arg[2] = {logits, targets};
  sn_val temperature = scalar_input(j, "temperature", j->o->temperature);
  if (j->b.failed) return 0;
  j->rows = sn_g_distil(&j->b, j->o->divergence, logits, reference, temperature);
  return sn_emit(&j->b, SN_OP_CROSS_ENTROPY, 2, arg, j->entropy->attr, NULL);
}

/* ---- the graph ------------------------------------------------------------------------------------------------- */

/* The teacher's logits on the tokens of the student; no gradient passes. */
static sn_val teach(joined *j) {
  const sn_func *f = j->logits;
  sn_val *map = SN_ARRAY(j->arena, f->value_count, sn_val), tokens = sn_func_leaf(f, SN_OP_INPUT, "tokens");
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    sn_val *arg = SN_ARRAY(j->arena, n->arg_count + 1, sn_val);
    for (int k = 0; k < n->arg_count; k++) arg[k] = map[n->arg[k]];
    sn_val first = n->first == tokens ? j->map[sn_func_leaf(j->train, SN_OP_INPUT, "tokens")]
                                      : sn_transplant_node(&j->teacher, j->b.func, n, arg);
    for (int r = 0; r < n->result_count; r++) map[n->first + (sn_val)r] = first + (sn_val)r;
  }
  return map[output_of(f, "logits")];
}

/* Mean over all rows. */
static sn_val mean_rows(joined *j, sn_val rows) {
  sn_build *b = &j->b;
  static const int64_t axes[2] = {0, 1};
  sn_val sum = sn_g_sum(b, rows, 2, axes);
  if (b->failed) return 0;
  sn_val count = sn_g_dim(b, sn_type_count(j->m->types, sn_g_type(b, rows)));
  return sn_g2(b, SN_OP_DIV, sum, sn_g_cast(b, count, sn_g_type(b, rows)->elem));
}

/* A leaf of the student's train, in the new graph and in f32. */
static sn_val leaf_of(joined *j, sn_op op, const char *name) {
  sn_val v = sn_func_leaf(j->train, op, name);
  if (v)
    return sn_g_cast(&j->b, sn_transplant_node(&j->student, j->b.func, sn_node_of(j->train, v), NULL), SN_ELEM_F32);
  j->b.failed = FAIL(j, "a weight that changes needs a %s %s in the student's graph train",
                     op == SN_OP_STATE ? "state" : "scalar", name);
  return 0;
}

/* kd_weight; with an end, w + (end - w) min(step / steps, 1). */
static sn_val weight_now(joined *j) {
  sn_build *b = &j->b;
  sn_val w = scalar_input(j, "kd_weight", j->o->weight);
  if (!j->o->changes || b->failed) return w;
  sn_val end = scalar_input(j, "kd_end", j->o->end), step = leaf_of(j, SN_OP_STATE, "step"),
         steps = b->failed ? 0 : leaf_of(j, SN_OP_INPUT, "steps");
  if (b->failed) return 0;
  sn_val one = sn_g_const_like(b, w, 1);
  sn_val done = sn_g2(b, SN_OP_MIN, sn_g2(b, SN_OP_DIV, step, sn_g2(b, SN_OP_MAX, steps, one)), one);
  return sn_g2(b, SN_OP_ADD, w, sn_g2(b, SN_OP_MUL, sn_g2(b, SN_OP_SUB, end, w), done));
}

static sn_val total_loss(joined *j) {
  sn_build *b = &j->b;
  if (j->total) return j->total;
  sn_val loss = j->map[j->loss];
  j->kd = mean_rows(j, j->rows);
  sn_val weight = weight_now(j);
  if (b->failed) return 0;
  sn_elem e = sn_g_type(b, loss)->elem;
  sn_val share = sn_g2(b, SN_OP_MUL, sn_g_cast(b, weight, e), sn_g_cast(b, j->kd, e));
  return j->total = sn_g2(b, SN_OP_ADD, loss, share);
}

static sn_val join_node(joined *j, const sn_node *n) {
  sn_val *arg = SN_ARRAY(j->arena, n->arg_count + 1, sn_val);
  for (int k = 0; k < n->arg_count; k++) arg[k] = j->map[n->arg[k]];
  j->b.origin = n->origin;
  if (n == j->entropy) return both_losses(j, arg[0], arg[1], teach(j));
  if (n->op == SN_OP_GRAD && n->arg[0] == j->loss) arg[0] = total_loss(j);
  return j->b.failed ? 0 : sn_transplant_node(&j->student, j->b.func, n, arg);
}

static sn_code finish_train(joined *j) {
  sn_func *to = j->b.func;
  const sn_func *f = j->train;
  if (!j->total) return FAIL(j, "the student's graph train does not minimise its output loss");
  for (int i = 0; i < f->output_count; i++)
    sn_func_output(to, sn_name(j->m->names, f->output[i].name), j->map[f->output[i].value]);
  sn_func_output(to, sn_name(j->m->names, "kd"), j->kd);
  for (int i = 0; i < f->update_count; i++) sn_func_update(to, j->map[f->update[i].state], j->map[f->update[i].next]);
  if (f->guard) to->guard = sn_g2(&j->b, SN_OP_AND, j->map[f->guard], sn_g1(&j->b, SN_OP_ISFINITE, j->total));
  SN_TRY(j->b.failed);
  sn_func_finish(to);
  return SN_OK;
}

static sn_code join(joined *j) {
  const sn_func *f = j->train;
  const sn_type *tokens = tokens_type(f);
  SN_TRY(sn_transplant_begin(&j->student, j->o->student, j->m, "", j->diags));
  const sn_func *eval = sn_module_find(j->o->student, "eval");
  if (eval) sn_func_finish(sn_transplant_graph(&j->student, eval));
  int positions = sn_dimx_symbol_index(tokens->dim[1]);
  if (positions >= 0) j->student.symbol[positions] = sn_dimx_const(j->m->types, j->o->window);
  j->student.bodies = sn_map_create(j->arena); /* those of eval have the free T */
  SN_TRY(begin_teacher(j));
  j->b = sn_build_begin(sn_func_create(j->m, "train", SN_FUNC_GRAPH), j->diags);
  j->map = SN_ARRAY(j->arena, f->value_count, sn_val);
  for (int i = 0; i < f->node_count; i++) {
    sn_val first = join_node(j, f->node[i]);
    SN_TRY(j->b.failed);
    for (int r = 0; r < f->node[i]->result_count; r++) j->map[f->node[i]->first + (sn_val)r] = first + (sn_val)r;
  }
  return finish_train(j);
}

sn_code sn_distill_module(const sn_distill_opt *o, sn_arena *arena, sn_diags *diags, sn_module **out) {
  joined j = {.o = o, .arena = arena, .diags = diags, .m = sn_module_create(arena)};
  SN_TRY(check(&j));
  SN_TRY(join(&j));
  for (int i = 0; i < j.m->func_count; i++) {
    SN_TRY(sn_func_verify(j.m->func[i], diags));
    SN_TRY(sn_ops_check(j.m->func[i], diags));
  }
  *out = j.m;
  return SN_OK;
}
