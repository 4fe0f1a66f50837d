/* Training on a Vulkan device and on the processor, from equal weights on equal data, beside the f64 interpreter.
 *
 * Curves: each side trains on its own, 50 steps. What the losses may differ by is estimated by the interpreter from
 * executions in the declared types that round and sum in other ways and then train on what came of it (sn_rollout):
 * proven bounds of one step multiply with every later one.
 * Steps: both sides and the interpreter do each step from the very state that the device has then. The loss and every
 * state are held to the interpreter's proven bounds of that step. Where there is none (the optimiser divides by what
 * may be nothing but rounding: nine states of ten), states are held to the estimate, every tenth step.
 *
 * Words change the size: `compile_test_curve layers=4 width=128 batch=1 length=16 lr=1e-3 proven=0`. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/build.h"
#include "frontend/distill.h"
#include "ir/ops/ops.h"
#include "tests/compile/harness.h"

enum { STEPS = 50, SCALARS = 7, SETTINGS = 16 };

static const char *const host = SN_HAVE_LLVM ? "cpu" : "template";
static const char *set[SETTINGS] = {"layers=1", "heads=2", "width=16", "context=16", "vocab=23"};
static int set_count = 5;
static int64_t batch = 2, length = 16, runs = 4, proven = 1;
static float lr = 1e-2f;

/* ---- one side ---------------------------------------------------------------------------------------------------- */

typedef struct side {
  sn_arena *arena;
  sn_diags *diags;
  sn_model_file *file;
  sn_compiled compiled;
  sn_runtime *runtime;
  sn_store *store;
  int out_count;
  float out[2];
} side;

static const char *const outputs[] = {"loss", "kd"};

/* Inputs of a step, the same for all. */
typedef struct feed {
  int32_t *tokens, *targets;
  sn_buffer at[SCALARS + 3];
  int count;
} feed;

static void must(const side *x, sn_code code) {
  if (code) fail_msg("%s", sn_diags_print(x->diags, x->arena));
}

static sn_module *build(const side *x, const char *graphs, const char *more) {
  const char *with[SETTINGS + 1];
  sn_model_opt opt = {.set_count = set_count, .set = with, .graphs = graphs, .real = SN_ELEM_F32};
  sn_module *m = NULL;
  memcpy(with, set, sizeof set);
  if (more) with[opt.set_count++] = more;
  must(x, sn_model_build(sn_model_of(x->file), &opt, x->arena, x->diags, &m));
  return m;
}

/* The training graph, or that with a teacher beside it: a wider model of the same kind. */
static sn_module *training(const side *x, bool distills) {
  if (!distills) return build(x, "train", NULL);
  const sn_module *student = build(x, "train|eval", NULL), *teacher = build(x, "logits", "width=24");
  const sn_distill_opt o = {
      .student = student, .teacher = teacher, .divergence = "forward", .temperature = 2, .weight = 1, .window = length};
  sn_module *m = NULL;
  must(x, sn_distill_module(&o, x->arena, x->diags, &m));
  return m;
}

/* In its own arena: the runtime keeps the address of what was compiled. */
static side *begin(const char *target, bool distills) {
  sn_arena *arena = sn_arena_create();
  side *x = SN_ARRAY(arena, 1, side);
  *x = (side){.arena = arena, .diags = sn_diags_create(), .out_count = 1 + distills};
  sn_compile_opt co = {.target = target, .cache_dir = check_cache()};
  must(x, sn_model_load(SN_SOURCE_DIR "/models/gpt.c", NULL, x->diags, &x->file));
  sn_module *module = training(x, distills);
  must(x, sn_compile(module, &co, x->arena, x->diags, &x->compiled));
  sn_runtime_opt ro = sn_compile_runtime_opt(&x->compiled, 2);
  must(x, sn_runtime_create(x->compiled.plan, &ro, x->diags, &x->runtime));
  must(x, sn_store_create(x->runtime, 5, NULL, x->diags, &x->store));
  return x;
}

static void end(side *x) {
  sn_store_destroy(x->store);
  sn_runtime_destroy(x->runtime);
  sn_model_unload(x->file);
  sn_diags_destroy(x->diags);
  sn_arena_destroy(x->arena);
}

static int64_t vocabulary(const side *x) {
  const sn_plan *p = x->compiled.plan;
  int64_t n = 0;
  assert_true(sn_dimx_is_const(p->slot[sn_plan_find_slot(p, -1, "wte.weight")].type->dim[0], &n));
  return n;
}

static void scalar(feed *f, const side *x, const char *name, float value, int32_t count) {
  bool whole = count >= 0;
  f->at[f->count++] = (sn_buffer){
      .name = name, .data = whole ? sn_arena_copy(x->arena, &count, 4) : sn_arena_copy(x->arena, &value, 4)};
}

static feed feed_begin(const side *x, float rate) {
  feed f = {.tokens = SN_ARRAY(x->arena, batch * length, int32_t),
            .targets = SN_ARRAY(x->arena, batch * length, int32_t)};
  f.at[f.count++] = (sn_buffer){"tokens", f.tokens, 2, {batch, length}};
  f.at[f.count++] = (sn_buffer){"targets", f.targets, 2, {batch, length}};
  scalar(&f, x, "lr", rate, -1);
  scalar(&f, x, "min_lr", .1f * rate, -1);
  scalar(&f, x, "clip", .5f, -1);
  scalar(&f, x, "weight_decay", .1f, -1);
  scalar(&f, x, "beta2", .99f, -1);
  scalar(&f, x, "warmup", 0, 5);
  scalar(&f, x, "steps", 0, STEPS);
  return f;
}

/* Text with something to learn: each token follows from the one before, now and then from chance. */
static void feed_step(feed *f, int64_t vocab, int step) {
  sn_rng rng = {.seed = 9, .stream = (uint64_t)step};
  for (int64_t b = 0; b < batch; b++) {
    int64_t id = (int64_t)sn_rng_below(&rng, (uint64_t)vocab);
    for (int64_t t = 0; t < length; t++) {
      f->tokens[b * length + t] = (int32_t)id;
      id = sn_rng_below(&rng, 8) ? (id * 5 + 3) % vocab : (int64_t)sn_rng_below(&rng, (uint64_t)vocab);
      f->targets[b * length + t] = (int32_t)id;
    }
  }
}

static void step(side *x, const feed *f) {
  sn_buffer at[SCALARS + 4];
  memcpy(at, f->at, (size_t)f->count * sizeof *at);
  for (int i = 0; i < x->out_count; i++) at[f->count + i] = (sn_buffer){.name = outputs[i], .data = &x->out[i]};
  must(x, sn_run(x->runtime, x->store, "train", f->count + x->out_count, at, x->diags));
}

/* ---- the interpreter --------------------------------------------------------------------------------------------- */

typedef struct oracle {
  const side *x;
  sn_func *f;
  int64_t *dims;
  sn_binding *leaf;
  int leaf_count;
} oracle;

static bool persistent(const sn_node *n) { return n->op == SN_OP_PARAM || n->op == SN_OP_STATE; }

static const void *data_of(const side *x, const feed *f, const sn_node *n) {
  const char *name = sn_leaf_name(n);
  int64_t bytes;
  if (persistent(n)) return sn_store_read(x->store, sn_plan_find_slot(x->compiled.plan, -1, name), &bytes);
  for (int i = 0; i < f->count; i++)
    if (!strcmp(f->at[i].name, name)) return f->at[i].data;
  return NULL; /* its default */
}

/* Leaves take what the side has now. */
static void look(oracle *o, const feed *f, bool states) {
  for (int i = 0, k = 0; i < o->f->node_count; i++) {
    const sn_node *n = o->f->node[i];
    const void *data = sn_leaf_name(n) ? data_of(o->x, f, n) : NULL;
    if (data && (states || !persistent(n))) sn_tensor_load((sn_tensor *)o->leaf[k].tensor, data);
    k += data != NULL;
  }
}

static oracle oracle_begin(const side *x, const feed *f) {
  oracle o = {.x = x, .f = sn_module_find(x->compiled.flat, "train")};
  o.dims = SN_ARRAY(x->arena, sn_types_symbol_count(x->compiled.plan->types) + 1, int64_t);
  o.leaf = SN_ARRAY(x->arena, o.f->node_count, sn_binding);
  for (int i = 0; i < sn_types_symbol_count(x->compiled.plan->types); i++)
    o.dims[i] = *sn_dimx_symbol_name(sn_types_symbol(x->compiled.plan->types, i)) == 'B' ? batch : length;
  for (int i = 0; i < o.f->node_count; i++) {
    const sn_node *n = o.f->node[i];
    int64_t extent[SN_RANK_MAX];
    sn_tensor *t;
    if (!sn_leaf_name(n) || !data_of(x, f, n)) continue;
    for (int d = 0; d < n->type[0]->rank; d++) must(x, sn_dimx_eval(n->type[0]->dim[d], o.dims, &extent[d]));
    must(x, sn_tensor_create(x->arena, n->type[0]->elem, n->type[0]->rank, extent, &t));
    o.leaf[o.leaf_count++] = (sn_binding){sn_leaf_name(n), t};
  }
  look(&o, f, true);
  return o;
}

static sn_interp interp(const oracle *o, sn_arena *arena) {
  return (sn_interp){
      .arena = arena, .diags = o->x->diags, .dims = o->dims, .leaf_count = o->leaf_count, .leaf = o->leaf};
}

static const sn_tensor *output_of(const sn_func *f, sn_tensor *const *value, const char *name) {
  for (int i = 0; i < f->output_count; i++)
    if (!strcmp(f->output[i].name, name)) return value[f->output[i].value];
  fail_msg("no output %s", name);
  return NULL;
}

/* ---- curves ------------------------------------------------------------------------------------------------------ */

typedef struct gap { /* between two curves, and what was allowed */
  double most, bound;
  int step, beyond; /* where it was most; steps with more than the bound */
} gap;

static void add_gap(gap *g, int at, double a, double b, double bound) {
  double d = fabs(a - b);
  g->beyond += !(d <= bound);
  if (!(d <= g->most)) g->most = d, g->bound = bound, g->step = at;
}

typedef struct curves {
  gap device, cpu, between, wrong;
  double first, last, widest;
} curves;

static void add_point(curves *c, int i, const sn_tensor *found, double device, double cpu, double other) {
  double v = found->value[0], bound = found->bound[0];
  add_gap(&c->device, i, device, v, bound);
  add_gap(&c->cpu, i, cpu, v, bound);
  add_gap(&c->between, i, device, cpu, 2 * bound);
  add_gap(&c->wrong, i, other, v, bound);
  c->widest = fmax(c->widest, bound);
  if (!i) c->first = v;
  c->last = v;
}

static void tell(const curves *c, const char *name) {
  print_message(
      "%s %.4f -> %.4f, bound of the curve up to %.3g; off the interpreter by at most: vulkan %.3g (step %d, "
      "bound %.3g), %s %.3g (step %d, bound %.3g); vulkan off %s by %.3g (step %d)\n",
      name, c->first, c->last, c->widest, c->device.most, c->device.step, c->device.bound, host, c->cpu.most,
      c->cpu.step, c->cpu.bound, host, c->between.most, c->between.step);
  print_message("a rate that is 1 %% higher: off by %.3g, beyond the bound in %d steps\n", c->wrong.most,
                c->wrong.beyond);
  if (c->device.beyond || c->cpu.beyond || c->between.beyond) fail_msg("%s: beyond the bound", name);
}

static void compare_curves(bool distills) {
  side *device = begin("vulkan", distills), *cpu = begin(host, distills), *other = begin(host, distills);
  feed f = feed_begin(device, lr), faster = feed_begin(device, 1.01f * lr);
  oracle o = oracle_begin(device, &f);
  sn_interp in = interp(&o, device->arena);
  sn_rollout *r;
  curves c[2] = {0};
  must(device, sn_rollout_create(&in, o.f, (int)runs, &r));
  for (int i = 0; i < STEPS; i++) {
    sn_arena *arena = sn_arena_create();
    sn_tensor **value;
    feed_step(&f, vocabulary(device), i), feed_step(&faster, vocabulary(device), i);
    step(device, &f), step(cpu, &f), step(other, &faster);
    look(&o, &f, false);
    must(device, sn_rollout_step(r, arena, &value));
    for (int k = 0; k < device->out_count; k++)
      add_point(&c[k], i, output_of(o.f, value, outputs[k]), (double)device->out[k], (double)cpu->out[k],
                (double)other->out[k]);
    sn_arena_destroy(arena);
  }
  for (int k = 0; k < device->out_count; k++) tell(&c[k], outputs[k]);
  assert_true(c[0].last < c[0].first - .1); /* it learns */
  assert_true(c[0].wrong.beyond > STEPS / 2);
  end(other), end(cpu), end(device);
}

static void curves_agree(void **state) { (void)state, compare_curves(false); }
static void curves_of_a_student_agree(void **state) { (void)state, compare_curves(true); }

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static void *stored(side *x, const char *name, int64_t *bytes) {
  return sn_store_data(x->store, sn_plan_find_slot(x->compiled.plan, -1, name), bytes);
}

static void take_states(side *to, side *from, const sn_func *f) {
  for (int i = 0; i < f->node_count; i++) {
    int64_t bytes, same;
    if (!persistent(f->node[i])) continue;
    const void *data = stored(from, sn_leaf_name(f->node[i]), &bytes);
    void *at = stored(to, sn_leaf_name(f->node[i]), &same);
    assert_int_equal(bytes, same);
    memcpy(at, data, (size_t)bytes);
  }
  sn_store_touch(to->store);
}

typedef struct sums {
  int64_t total, excluded;  /* elements of states */
  double loss_share, bound; /* largest |difference| / bound of a loss, and the largest bound */
} sums;

static void check_states(const oracle *o, side *x, sn_tensor *const *value, sums *s) {
  for (int u = 0; u < o->f->update_count; u++) {
    const char *name = sn_leaf_name(sn_node_of(o->f, o->f->update[u].state));
    int64_t bytes;
    sn_mismatch m = sn_tensor_compare(value[o->f->update[u].next], stored(x, name, &bytes), 1);
    s->total += m.total, s->excluded += m.excluded;
    if (m.count)
      fail_msg("state %s: %lld of %lld, the first is %lld: expected %.9g, found %.9g, bound %.3g", name,
               (long long)m.count, (long long)m.total, (long long)m.first, m.expected, m.found, m.bound);
  }
}

static void check_loss(const oracle *o, const side *x, sn_tensor *const *value, sums *s) {
  const sn_tensor *loss = output_of(o->f, value, "loss");
  double off = fabs((double)x->out[0] - loss->value[0]);
  if (!(off <= loss->bound[0]) || !isfinite(loss->bound[0]))
    fail_msg("loss: expected %.9g, found %.9g, bound %.3g", loss->value[0], (double)x->out[0], loss->bound[0]);
  s->loss_share = fmax(s->loss_share, off / loss->bound[0]);
  s->bound = fmax(s->bound, loss->bound[0]);
}

/* The interpreter's step from what the device has. */
static sn_tensor **predict(const oracle *o, sn_arena *arena, bool proof) {
  sn_interp in = interp(o, arena);
  sn_tensor **value = NULL;
  must(o->x, proof ? sn_interp_run(&in, o->f, &value) : sn_interp_run_spread(&in, o->f, (int)runs, &value));
  return value;
}

static void check_step(const oracle *o, side *device, side *cpu, const feed *f, bool estimate, sums *hard,
                       sums *likely) {
  sn_arena *arena = sn_arena_create();
  sn_tensor **value = predict(o, arena, true), **guess = estimate ? predict(o, arena, false) : NULL;
  side *both[] = {device, cpu};
  for (int i = 0; i < 2; i++) {
    step(both[i], f);
    check_loss(o, both[i], value, hard);
    check_states(o, both[i], value, hard);
    if (estimate) check_loss(o, both[i], guess, likely);
    if (estimate) check_states(o, both[i], guess, likely);
  }
  sn_arena_destroy(arena);
}

static void tell_sums(const char *what, const sums *s) {
  print_message(
      "%s bounds: losses differ by at most %.2g of theirs, which are %.3g at most; %.1f %% of the states have "
      "none\n",
      what, s->loss_share, s->bound, 100. * (double)s->excluded / (double)s->total);
}

static void each_step_agrees(void **state) {
  (void)state;
  if (!proven) skip();
  side *device = begin("vulkan", false), *cpu = begin(host, false);
  feed f = feed_begin(device, lr);
  oracle o = oracle_begin(device, &f);
  sums hard = {0}, likely = {0};
  for (int i = 0; i < STEPS; i++) {
    feed_step(&f, vocabulary(device), i);
    take_states(cpu, device, o.f);
    look(&o, &f, true);
    check_step(&o, device, cpu, &f, i % 10 == 0, &hard, &likely);
  }
  tell_sums("proven", &hard);
  tell_sums("estimated", &likely);
  assert_true(likely.total > 0 && likely.excluded * 100 <= likely.total);
  end(cpu), end(device);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void read_word(const char *word) {
  static const struct {
    const char *name;
    int64_t *at;
  } own[] = {{"batch=", &batch}, {"length=", &length}, {"runs=", &runs}, {"proven=", &proven}};
  for (int i = 0; i < 4; i++)
    if (!strncmp(word, own[i].name, strlen(own[i].name))) {
      *own[i].at = strtoll(strchr(word, '=') + 1, NULL, 10);
      return;
    }
  if (!strncmp(word, "lr=", 3))
    lr = strtof(word + 3, NULL);
  else if (set_count < SETTINGS)
    set[set_count++] = word;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(curves_agree), cmocka_unit_test(curves_of_a_student_agree),
                                     cmocka_unit_test(each_step_agrees)};
  for (int i = 1; i < argc; i++) read_word(argv[i]);
  return check_has_vulkan() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
