/* Random graphs, compiled: the interpreter, unfused, fused, one fusion kind alone, one and two threads agree.
 *
 * 2000 graphs on the template target, and on the CPU as many of them as fit into SN_RANDOM_SECONDS (50). SN_RANDOM_N:
 * that many on each, however long it takes; SN_RANDOM_SEED: the first; SN_RANDOM_TARGET: only that target. Graphs run
 * in child processes: a crash or a hang names its seed like any other failure. A failing graph is reduced: outputs and
 * updates are dropped, nodes become inputs or constants, as long as the failure stays what it was. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ir/graph/text.h"
#include "ir/ops/ops.h"
#include "tests/compile/harness.h"
#include "tests/compile/random_graph.h"

enum { SLOW_SECONDS = 60, REDUCE_TRIES = 400, MESSAGE = 400 };

typedef struct variant {
  const char *target, *fuse, *isa;
  int threads;
} variant;

typedef struct outcome {
  uint64_t seed;
  bool done; /* false: begun */
  bool failed;
  bool refused; /* by the backend, with a reason: counted apart */
  int variant;  /* that failed */
  int runs;
  int64_t total, excluded;
  char message[MESSAGE];
} outcome;

static const char *target; /* under test */

/* The variants of a seed: everything off and on, the same with two threads, one kind in turn, a lesser CPU now and
 * then. */
static int variants_of(uint64_t seed, variant out[6]) {
  static const char *const kinds[] = {"map", "rows", "contract", "attend", "map,rows", "map,contract", "rows,contract"};
  static const char *const isas[] = {"baseline", "avx2", "avx512"};
  const char *t = target;
  bool cpu = !strcmp(t, "cpu");
  int n = 0;
  out[n++] = (variant){t, "none", NULL, 1};
  out[n++] = (variant){t, "all", NULL, 1};
  out[n++] = (variant){t, "all", NULL, 2};
  if (seed % 3 == 0) out[n++] = (variant){t, kinds[seed / 3 % 7], NULL, 1};
  if (cpu && seed % 4 == 1) out[n++] = (variant){t, "all", isas[seed / 4 % 3], 1};
  if (cpu && seed % 4 == 3) out[n++] = (variant){"template", "all", NULL, 1};
  return n;
}

static const char *variant_text(const variant *v, sn_arena *arena) {
  return sn_arena_printf(arena, "target %s, fuse %s, %d thread%s%s%s", v->target, v->fuse, v->threads,
                         v->threads > 1 ? "s" : "", v->isa ? ", at most " : "", v->isa ? v->isa : "");
}

/* ---- one graph ------------------------------------------------------------------------------------------------- */

static char cache[64]; /* object cache of this run */

typedef struct checked {
  const char *text;
  const int64_t *dims;
  const variant *v;
  uint64_t seed, hash;
  outcome *o;
} checked;

static int check_variant(void *arg) {
  checked *c = arg;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL;
  check_result r = {0};
  check_opt opt = {
      .compile = {.target = c->v->target, .fuse = c->v->fuse, .isa = c->v->isa, .cache_dir = cache, .threads = 1},
      .graph = "g",
      .dims = c->dims,
      .threads = c->v->threads,
      .seed = c->seed,
      .int_limit = RANDOM_INT_LIMIT};
  sn_code code = sn_module_parse(arena, diags, "random.sn", c->text, strlen(c->text), &m);
  if (!code) code = check_graph(m, &opt, arena, diags, &r);
  c->o->runs++;
  c->o->total += r.total;
  c->o->excluded += r.excluded;
  c->hash = r.hash;
  if (code)
    snprintf(c->o->message, MESSAGE, "code %d: %s", (int)code, sn_diags_print(diags, arena));
  else if (r.mismatched)
    snprintf(c->o->message, MESSAGE, "mismatch: %s", r.first);
  c->o->failed = code || r.mismatched;
  c->o->refused = code == SN_ERR_DEVICE && strstr(c->o->message, "cannot run kernel"); /* says what it lacks */
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return SN_OK;
}

static bool run_variant(checked *c) {
  if (sn_protect(check_variant, c) != SN_OK && !c->o->failed) {
    c->o->failed = true;
    snprintf(c->o->message, MESSAGE, "out of memory or a limit of dims");
  }
  return !c->o->failed;
}

/* All variants of a text, or only one. */
static void check_text(uint64_t seed, const char *text, const int64_t *dims, int only, outcome *o) {
  variant v[6];
  int n = variants_of(seed, v);
  uint64_t hash[6] = {0};
  for (int i = 0; i < n && !o->failed; i++) {
    if (only >= 0 && i != only && !(only == 2 && i == 1)) continue;
    checked c = {.text = text, .dims = dims, .v = &v[i], .seed = seed, .o = o};
    bool fine = run_variant(&c);
    o->variant = i;
    hash[i] = c.hash;
    if (!fine || i != 2 || hash[1] == hash[2]) continue;
    o->failed = true;
    snprintf(o->message, MESSAGE, "threads: one and two give other bits");
  }
}

static const char *print_module(const sn_module *m, sn_arena *arena) {
  sn_text t = sn_text_begin(arena);
  sn_module_print(&t, m, (sn_print_opt){0});
  return t.at;
}

static void check_seed(uint64_t seed, outcome *o) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  random_graph g;
  *o = (outcome){.seed = seed, .done = true};
  if (random_graph_make(seed, arena, diags, &g)) {
    o->failed = true;
    snprintf(o->message, MESSAGE, "generator: %s", sn_diags_print(diags, arena));
  } else {
    check_text(seed, print_module(g.module, arena), g.dims, -1, o);
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

/* ---- child processes --------------------------------------------------------------------------------------------- */

typedef struct child {
  pid_t pid;
  int pipe;
} child;

static void send_outcome(int fd, const outcome *o) {
  if (write(fd, o, sizeof *o) != (ssize_t)sizeof *o) _exit(3);
}

/* Seeds from..to of a child; each is announced, then reported. */
static void child_main(int fd, uint64_t from, uint64_t to) {
  for (uint64_t seed = from; seed < to; seed++) {
    outcome o = {.seed = seed};
    send_outcome(fd, &o);
    alarm(SLOW_SECONDS);
    check_seed(seed, &o);
    alarm(0);
    send_outcome(fd, &o);
  }
  _exit(0);
}

static child start_child(void (*main)(int fd, uint64_t from, uint64_t to), uint64_t from, uint64_t to) {
  int fd[2];
  if (pipe(fd)) fail_msg("no pipe");
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) fail_msg("no process");
  if (pid == 0) { /* the handlers are cmocka's: here a signal is to end the child */
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
    for (int i = 0; i < 6; i++) signal(signals[i], SIG_DFL);
    close(fd[0]);
    main(fd[1], from, to);
  }
  close(fd[1]);
  return (child){pid, fd[0]};
}

static int end_child(child *c) {
  int status = 0;
  close(c->pipe);
  waitpid(c->pid, &status, 0);
  return status;
}

static void name_crash(outcome *o, int status) {
  o->failed = true;
  if (WIFSIGNALED(status))
    snprintf(o->message, MESSAGE, WTERMSIG(status) == SIGALRM ? "hangs" : "crash: signal %d", WTERMSIG(status));
  else
    snprintf(o->message, MESSAGE, "crash: exit %d", WEXITSTATUS(status));
}

/* ---- reducing ------------------------------------------------------------------------------------------------------
 */

static const char *reduce_text;
static const int64_t *reduce_dims;
static int reduce_variant;

static void reduce_main(int fd, uint64_t seed, uint64_t unused) {
  outcome o = {.seed = seed};
  (void)unused;
  alarm(SLOW_SECONDS);
  check_text(seed, reduce_text, reduce_dims, reduce_variant, &o);
  o.done = true;
  send_outcome(fd, &o);
  _exit(0);
}

static outcome try_text(uint64_t seed, const char *text, const int64_t *dims, int only) {
  reduce_text = text, reduce_dims = dims, reduce_variant = only;
  child c = start_child(reduce_main, seed, 0);
  outcome o = {.seed = seed};
  bool got = read(c.pipe, &o, sizeof o) == (ssize_t)sizeof o;
  int status = end_child(&c);
  if (!got) name_crash(&o, status);
  return o;
}

/* Is it the same mistake? Numbers and names of values may differ. */
static bool same_kind(const outcome *a, const outcome *b) {
  const char *x = a->message, *y = b->message;
  if (!a->failed || !b->failed) return false;
  size_t n = strcspn(x, ":");
  if (strncmp(x, y, n + 1)) return false;
  if (strncmp(x, "code", 4)) return true;
  x = strstr(x, "error"), y = strstr(y, "error");
  if (!x || !y) return x == y;
  for (; *x && *y && *x != '\n' && *y != '\n'; x++, y++) {
    while (*x >= '0' && *x <= '9') x++;
    while (*y >= '0' && *y <= '9') y++;
    if (*x != *y || *x == '"' || *x == '[') return *x == *y;
  }
  return true;
}

typedef struct edit {
  int node, how;             /* how 0: input, 1: constant; node -1: none */
  int output, update, guard; /* dropped; -1 or 0: none */
} edit;

static sn_val stand_in(sn_build *b, const sn_node *n, int result, int how) {
  const sn_type *t = n->type[result];
  if (how == 1) return sn_g_const(b, t, sn_elem_is_float(t->elem) ? 0.5 : 1);
  const sn_attr at[2] = {{.set = true, .s = sn_arena_printf(b->func->arena, "r%u", n->first + (sn_val)result)}};
  return sn_emit(b, SN_OP_INPUT, 0, NULL, at, t);
}

/* The text with an edit applied; NULL when it is no graph any more. */
static const char *edited(const char *text, const edit *e, sn_arena *arena) {
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL;
  const char *out = NULL;
  if (!sn_module_parse(arena, diags, "random.sn", text, strlen(text), &m)) {
    sn_func *f = sn_module_find(m, "g"), *to = sn_func_successor(f);
    sn_build b = sn_build_begin(to, diags);
    sn_val *map = SN_ARRAY(arena, f->value_count + 1, sn_val);
    for (int i = 0; i < f->node_count && !b.failed; i++) {
      const sn_node *n = f->node[i];
      sn_val *arg = SN_ARRAY(arena, n->arg_count + 1, sn_val);
      for (int k = 0; k < n->arg_count; k++) arg[k] = map[n->arg[k]];
      sn_val v = i == e->node ? 0 : sn_func_copy_node(to, n, arg);
      for (int k = 0; k < n->result_count; k++)
        map[n->first + (sn_val)k] = v ? v + (sn_val)k : stand_in(&b, n, k, e->how);
    }
    for (int i = 0; i < f->output_count; i++)
      if (i != e->output) sn_func_output(to, f->output[i].name, map[f->output[i].value]);
    for (int i = 0; i < f->update_count; i++)
      if (i != e->update && sn_leaf_name(sn_node_of(to, map[f->update[i].state])))
        sn_func_update(to, map[f->update[i].state], map[f->update[i].next]);
    to->guard = e->guard || !f->guard ? 0 : map[f->guard];
    if (!b.failed && to->output_count) {
      f = sn_func_replace(f, to);
      if (!sn_func_verify(f, diags) && !sn_ops_check(f, diags)) out = print_module(m, arena);
    }
  }
  sn_diags_destroy(diags);
  return out;
}

static bool accept_edit(const edit *e, const outcome *first, const int64_t *dims, sn_arena *arena, const char **text,
                        int *tries) {
  const char *smaller = edited(*text, e, arena);
  if (!smaller || strlen(smaller) >= strlen(*text) || ++*tries > REDUCE_TRIES) return false;
  outcome o = try_text(first->seed, smaller, dims, first->variant);
  if (!same_kind(first, &o)) return false;
  *text = smaller;
  return true;
}

/* Passes over outputs, updates and nodes (newest first) until none can go. */
static const char *reduce(const char *text, const outcome *first, const int64_t *dims, sn_arena *arena) {
  int tries = 0;
  for (bool progress = true; progress && tries < REDUCE_TRIES;) {
    progress = false;
    for (int i = 30; i-- > 0;) {
      const edit o = {.node = -1, .output = i, .update = -1}, u = {.node = -1, .output = -1, .update = i};
      progress |= accept_edit(&o, first, dims, arena, &text, &tries);
      progress |= accept_edit(&u, first, dims, arena, &text, &tries);
    }
    const edit g = {.node = -1, .output = -1, .update = -1, .guard = 1};
    progress |= accept_edit(&g, first, dims, arena, &text, &tries);
    for (int i = 60; i-- > 0 && tries < REDUCE_TRIES;)
      for (int how = 0; how < 2; how++) {
        const edit e = {.node = i, .how = how, .output = -1, .update = -1};
        progress |= accept_edit(&e, first, dims, arena, &text, &tries);
      }
  }
  return text;
}

/* What failed, and its smallest form. */
static void report(outcome *o) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  random_graph g;
  variant v[6];
  variants_of(o->seed, v);
  printf("seed %llu fails: %s\n  %s\n", (unsigned long long)o->seed, o->message, variant_text(&v[o->variant], arena));
  if (!random_graph_make(o->seed, arena, diags, &g)) {
    const char *text = print_module(g.module, arena);
    for (int i = 0; !strncmp(o->message, "crash", 5) || !strcmp(o->message, "hangs"); i++) { /* which variant? */
      outcome again = try_text(o->seed, text, g.dims, i);
      o->variant = i;
      if (again.failed || i == 5) break;
    }
    text = reduce(text, o, g.dims, arena);
    outcome last = try_text(o->seed, text, g.dims, o->variant);
    printf("  B = %lld, T = %lld, %s\n  reduced: %s\n%s\n", (long long)g.dims[0], (long long)g.dims[1],
           variant_text(&v[o->variant], arena), last.message, text);
  }
  fflush(stdout);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

/* ---- the campaign
 * ---------------------------------------------------------------------------------------------------- */

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t setting(const char *name, int64_t missing) {
  const char *s = getenv(name);
  return s && *s ? strtoll(s, NULL, 10) : missing;
}

typedef struct sums {
  int64_t graphs, runs, total, excluded, failed, refused, ops[256], grads;
  random_pairs *pairs;
} sums;

/* What the graph is made of; in this process, so that it is known whatever becomes of the graph. */
static void count_graph(sums *s, uint64_t seed) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  random_graph g;
  if (!random_graph_make(seed, arena, diags, &g)) {
    random_pairs_add(s->pairs, g.module);
    s->ops[g.ops < 255 ? g.ops : 255]++;
    s->grads += g.grad;
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void take(sums *s, outcome *o, int64_t most_reports) {
  s->graphs++;
  s->runs += o->runs;
  s->total += o->total;
  s->excluded += o->excluded;
  count_graph(s, o->seed);
  s->refused += o->failed && o->refused;
  if (!o->failed || o->refused) return;
  if (s->failed++ < most_reports)
    report(o);
  else
    printf("seed %llu fails: %.150s\n", (unsigned long long)o->seed, o->message);
}

/* Seeds from..to in one child after another, until time is up.  -> the seed after the last one */
static void run_range(sums *s, uint64_t from, uint64_t to, double until, int64_t most_reports) {
  while (from < to && seconds() < until) {
    child c = start_child(child_main, from, to);
    outcome o = {.seed = from};
    bool pending = false;
    while (seconds() < until && read(c.pipe, &o, sizeof o) == (ssize_t)sizeof o) {
      pending = !o.done;
      if (o.done) take(s, &o, most_reports), from = o.seed + 1;
    }
    if (seconds() >= until) kill(c.pid, SIGKILL);
    int status = end_child(&c);
    if (from >= to || seconds() >= until) return;
    if (!pending) fail_msg("a child ended without a word");
    name_crash(&o, status);
    take(s, &o, most_reports);
    from = o.seed + 1;
  }
}

static int median(const sums *s) {
  int64_t n = 0;
  for (int i = 0; i < 256; i++)
    if ((n += s->ops[i]) * 2 >= s->graphs) return i;
  return 255;
}

static void print_sums(const sums *s, double elapsed) {
  int possible, seen = random_pairs_count(s->pairs, &possible);
  printf(
      "random graphs: %lld on %s, %lld runs, %.0f s; ops in the median %d, with gradients %lld; refused %lld; elements "
      "%lld, excluded %.3f %%; op pairs %d of %d (%.1f %%)\n",
      (long long)s->graphs, target, (long long)s->runs, elapsed, median(s), (long long)s->grads, (long long)s->refused,
      (long long)s->total, s->total ? 100.0 * (double)s->excluded / (double)s->total : 0, seen, possible,
      100.0 * seen / possible);
}

static void campaign(const char *name, int64_t limit) {
  sums s = {.pairs = calloc(1, sizeof(random_pairs))};
  const char *only = getenv("SN_RANDOM_TARGET");
  int64_t n = setting("SN_RANDOM_N", 0);
  uint64_t from = (uint64_t)setting("SN_RANDOM_SEED", 0);
  double start = seconds();
  if (only && strcmp(only, name)) {
    free(s.pairs);
    skip();
  }
  assert_non_null(s.pairs);
  target = name;
  limit = setting("SN_RANDOM_SECONDS", limit);
  run_range(&s, from, from + (uint64_t)(n ? n : 2000), start + (n ? 1e9 : (double)limit),
            setting("SN_RANDOM_REPORTS", 5));
  print_sums(&s, seconds() - start);
  int ops = median(&s);
  free(s.pairs);
  assert_true(s.graphs > 0);
  assert_int_equal(s.failed, 0);
  assert_true(s.graphs < 50 || ops >= 8);
  assert_true(s.graphs < 50 || s.excluded * 100 <= s.total);
  assert_true(s.refused * 50 <= s.graphs);
}

static void graphs_agree_on_the_template(void **state) { (void)state, campaign("template", 120); }

static void graphs_agree_on_the_cpu(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  campaign("cpu", 50);
}

static int make_cache(void **state) {
  (void)state;
  snprintf(cache, sizeof cache, "/tmp/sinter-random-XXXXXX");
  if (!mkdtemp(cache)) cache[0] = 0;
  return 0;
}

static int remove_cache(void **state) {
  char command[100];
  (void)state;
  snprintf(command, sizeof command, "rm -rf %s", cache);
  return cache[0] ? system(command) : 0;
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const struct CMUnitTest tests[] = {cmocka_unit_test(graphs_agree_on_the_template),
                                     cmocka_unit_test(graphs_agree_on_the_cpu)};
  return cmocka_run_group_tests(tests, make_cache, remove_cache);
}
