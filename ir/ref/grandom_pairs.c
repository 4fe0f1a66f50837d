/* Pairs of ops: which are possible by the type rules, which a seed aims at, which were seen. */
#include <string.h>

#include "ir/ops/sample.h"
#include "ir/ref/grandom_impl.h"

enum { DRAWS = 32, DRAWS_OF_TYPE = 8 };

/* Ops that the generator has a use of its own for; the others are used as their samples say. */
/* clang-format off */
static const bool known[SN_OP_COUNT] = {
  [SN_OP_INPUT] = true, [SN_OP_PARAM] = true, [SN_OP_STATE] = true, [SN_OP_CONST] = true,
  [SN_OP_IOTA] = true, [SN_OP_DIM] = true, [SN_OP_NEG] = true, [SN_OP_ABS] = true, [SN_OP_SIGN] = true,
  [SN_OP_EXP] = true, [SN_OP_LOG] = true, [SN_OP_EXP2] = true, [SN_OP_LOG2] = true, [SN_OP_EXPM1] = true,
  [SN_OP_LOG1P] = true, [SN_OP_SQRT] = true, [SN_OP_RSQRT] = true, [SN_OP_SIN] = true, [SN_OP_COS] = true,
  [SN_OP_TANH] = true, [SN_OP_ERF] = true, [SN_OP_FLOOR] = true, [SN_OP_CEIL] = true, [SN_OP_ROUND] = true,
  [SN_OP_TRUNC] = true, [SN_OP_NOT] = true, [SN_OP_POPCOUNT] = true, [SN_OP_ISFINITE] = true, [SN_OP_CAST] = true,
  [SN_OP_STOP] = true, [SN_OP_ADD] = true, [SN_OP_SUB] = true, [SN_OP_MUL] = true, [SN_OP_DIV] = true,
  [SN_OP_MOD] = true, [SN_OP_POW] = true, [SN_OP_MIN] = true, [SN_OP_MAX] = true, [SN_OP_EQ] = true,
  [SN_OP_NE] = true, [SN_OP_LT] = true, [SN_OP_LE] = true, [SN_OP_AND] = true, [SN_OP_OR] = true, [SN_OP_XOR] = true,
  [SN_OP_SHL] = true, [SN_OP_SHR] = true, [SN_OP_SELECT] = true, [SN_OP_RESHAPE] = true, [SN_OP_TRANSPOSE] = true,
  [SN_OP_BROADCAST] = true, [SN_OP_SLICE] = true, [SN_OP_CONCAT] = true, [SN_OP_SUM] = true, [SN_OP_AMAX] = true,
  [SN_OP_AMIN] = true, [SN_OP_PROD] = true, [SN_OP_ARGMAX] = true, [SN_OP_ARGMIN] = true, [SN_OP_CONTRACT] = true,
  [SN_OP_GATHER] = true, [SN_OP_SCATTER] = true, [SN_OP_INDEX] = true, [SN_OP_INDEX_ADD] = true,
  [SN_OP_DYN_SLICE] = true, [SN_OP_DYN_WRITE] = true, [SN_OP_UNIFORM] = true, [SN_OP_CALL] = true,
  [SN_OP_GRAD] = true, [SN_OP_ATTENTION] = true, [SN_OP_SQUARE] = true, [SN_OP_RECIPROCAL] = true,
  [SN_OP_SIGMOID] = true, [SN_OP_LOGSIGMOID] = true, [SN_OP_SOFTPLUS] = true, [SN_OP_RELU] = true,
  [SN_OP_LEAKY_RELU] = true, [SN_OP_ELU] = true, [SN_OP_GELU] = true, [SN_OP_GELU_TANH] = true, [SN_OP_SILU] = true,
  [SN_OP_SOFTMAX] = true, [SN_OP_LOG_SOFTMAX] = true, [SN_OP_LOGSUMEXP] = true, [SN_OP_PICK] = true,
  [SN_OP_LAYERNORM] = true, [SN_OP_RMSNORM] = true, [SN_OP_GROUP_NORM] = true, [SN_OP_L2_NORM] = true,
  [SN_OP_ANY] = true, [SN_OP_ALL] = true, [SN_OP_PAD] = true, [SN_OP_FLIP] = true, [SN_OP_CROSS_ENTROPY] = true,
  [SN_OP_DIVERGENCE] = true,
};
/* clang-format on */

bool sn_gr_is_known(sn_op op) { return known[op]; }

bool sn_gr_is_growth(sn_op op) {
  return op != SN_OP_ARG && op != SN_OP_FUSED && op != SN_OP_ATTENTION_GRAD && op != SN_OP_NONE;
}

/* ---- what is possible -------------------------------------------------------------------------------------------- */

/* Types of results and of operands: a bit for each element type with axes, and one without. */
typedef struct kinds {
  uint64_t made, taken;
} kinds;

static uint64_t bit_of(const sn_type *t) { return (uint64_t)1 << (2 * (int)t->elem + (t->rank > 0)); }

/* Of samples that work on `elem`, those that the type rule accepts. */
static void add_samples(kinds *k, sn_module *m, sn_op op, sn_elem elem, int draws) {
  sn_rng rng = {.seed = 1, .stream = (uint64_t)op * SN_ELEM_COUNT + elem};
  for (int i = 0; i < draws; i++) {
    sn_sample s = {.elem = elem};
    if (sn_op_sample(&rng, m, op, &s)) return;
    sn_infer in = {.module = m, .op = op, .arg_count = s.arg_count, .arg = s.arg, .attr = s.attr, .leaf = s.leaf};
    if (!sn_sample_is_built(&s) || sn_op_infer(&in)) continue;
    for (int a = 0; a < s.arg_count; a++) k->taken |= bit_of(s.arg[a]);
    for (int r = 0; r < in.result_count; r++) k->made |= bit_of(in.result[r]);
  }
}

static kinds kinds_of(sn_op op) {
  kinds k = {0};
  sn_arena *arena = sn_arena_scratch();
  sn_module *m = arena ? sn_module_create(arena) : NULL;
  if (m) add_samples(&k, m, op, SN_ELEM_NONE, DRAWS);
  for (int e = SN_ELEM_NONE + 1; m && e < SN_ELEM_COUNT; e++) add_samples(&k, m, op, (sn_elem)e, DRAWS_OF_TYPE);
  sn_arena_destroy(arena);
  return k;
}

sn_gpairs *sn_gpairs_create(sn_arena *arena) {
  sn_gpairs *p = SN_NEW(arena, sn_gpairs);
  kinds k[SN_OP_COUNT] = {{0}};
  for (int op = 1; op < SN_OP_COUNT; op++)
    if (sn_gr_is_growth((sn_op)op)) k[op] = kinds_of((sn_op)op);
  for (int a = 1; a < SN_OP_COUNT; a++)
    for (int c = 1; c < SN_OP_COUNT; c++) {
      p->possible[a][c] = (k[a].made & k[c].taken) != 0;
      p->possible_count += p->possible[a][c];
    }
  return p;
}

/* ---- what was seen ----------------------------------------------------------------------------------------------- */

static void each_edge(const sn_module *m, void (*fn)(sn_gpairs *p, sn_op from, sn_op to), sn_gpairs *p) {
  for (int i = 0; i < m->func_count; i++)
    for (int k = 0; k < m->func[i]->node_count; k++) {
      const sn_node *n = m->func[i]->node[k];
      for (int a = 0; a < n->arg_count; a++) fn(p, sn_node_of(m->func[i], n->arg[a])->op, n->op);
    }
}

static void see(sn_gpairs *p, sn_op from, sn_op to) {
  p->seen_count += p->possible[from][to] && !p->seen[from][to];
  p->seen[from][to] = true;
}

void sn_gpairs_add(sn_gpairs *p, const sn_module *m) { each_edge(m, see, p); }

/* ---- what is aimed at -------------------------------------------------------------------------------------------- */

static void meet(sn_gpairs *p, sn_op from, sn_op to) { p->met[from][to] = true; }

void sn_gpairs_meet(sn_gpairs *p, const sn_module *m) { each_edge(m, meet, p); }

void sn_gpairs_restart(sn_gpairs *p, uint64_t seed) {
  memset(p->met, 0, sizeof p->met);
  memset(p->aimed, 0, sizeof p->aimed);
  p->next = seed;
}

/* How often a pair has been in turn; those that were not met come before all others. */
static int turn_of(const sn_gpairs *p, int a, int c) { return p->aimed[a][c] + (p->met[a][c] ? 256 : 0); }

void sn_gpairs_aim(sn_gpairs *p, sn_rng *rng, sn_op *producer, sn_op *consumer) {
  int least = INT32_MAX, count = 0;
  for (int a = 1; a < SN_OP_COUNT; a++)
    for (int c = 1; c < SN_OP_COUNT; c++) {
      if (!p->possible[a][c] || turn_of(p, a, c) > least) continue;
      count = turn_of(p, a, c) < least ? 1 : count + 1;
      least = turn_of(p, a, c);
    }
  uint64_t k = count ? sn_rng_below(rng, (uint64_t)count) : 0;
  for (int a = 1; a < SN_OP_COUNT; a++)
    for (int c = 1; c < SN_OP_COUNT; c++)
      if (p->possible[a][c] && turn_of(p, a, c) == least && k-- == 0) {
        p->aimed[a][c] += p->aimed[a][c] < 255;
        *producer = (sn_op)a, *consumer = (sn_op)c;
        return;
      }
}
