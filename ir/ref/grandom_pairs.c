/* Pairs of ops: which are possible by element type and rank, which a seed aims at, which were seen. */
#include "ir/ops/sample.h"
#include "ir/ref/grandom_impl.h"

enum { F = SN_GR_FLOAT, I = SN_GR_INT, B = SN_GR_BOOL, N = SN_GR_NUMBER, W = SN_GR_BOOL | SN_GR_INT, A = SN_GR_ANY };
enum { SAMPLES = 24 };

typedef struct classes {
  unsigned char made, taken; /* SN_GR_* of results, of operands */
} classes;

/* Ops that the generator has a use of its own for; the others are used as their samples say. */
/* clang-format off */
static const classes known[SN_OP_COUNT] = {
  [SN_OP_INPUT] = {A, 0}, [SN_OP_PARAM] = {F, 0}, [SN_OP_STATE] = {F, 0}, [SN_OP_CONST] = {A, 0},
  [SN_OP_IOTA] = {N, 0}, [SN_OP_DIM] = {I, 0}, [SN_OP_NEG] = {N, N}, [SN_OP_ABS] = {N, N},
  [SN_OP_SIGN] = {N, N}, [SN_OP_EXP] = {F, F}, [SN_OP_LOG] = {F, F}, [SN_OP_EXP2] = {F, F},
  [SN_OP_LOG2] = {F, F}, [SN_OP_EXPM1] = {F, F}, [SN_OP_LOG1P] = {F, F}, [SN_OP_SQRT] = {F, F},
  [SN_OP_RSQRT] = {F, F}, [SN_OP_SIN] = {F, F}, [SN_OP_COS] = {F, F}, [SN_OP_TANH] = {F, F},
  [SN_OP_ERF] = {F, F}, [SN_OP_FLOOR] = {F, F}, [SN_OP_CEIL] = {F, F}, [SN_OP_ROUND] = {F, F},
  [SN_OP_TRUNC] = {F, F}, [SN_OP_NOT] = {W, W}, [SN_OP_POPCOUNT] = {I, I}, [SN_OP_ISFINITE] = {B, F},
  [SN_OP_CAST] = {A, A}, [SN_OP_STOP] = {A, A}, [SN_OP_ADD] = {N, N}, [SN_OP_SUB] = {N, N},
  [SN_OP_MUL] = {N, N}, [SN_OP_DIV] = {N, N}, [SN_OP_MOD] = {I, I}, [SN_OP_POW] = {F, F}, [SN_OP_MIN] = {N, N},
  [SN_OP_MAX] = {N, N}, [SN_OP_EQ] = {B, A}, [SN_OP_NE] = {B, A}, [SN_OP_LT] = {B, N}, [SN_OP_LE] = {B, N},
  [SN_OP_AND] = {W, W}, [SN_OP_OR] = {W, W}, [SN_OP_XOR] = {W, W}, [SN_OP_SHL] = {I, I}, [SN_OP_SHR] = {I, I},
  [SN_OP_SELECT] = {A, A}, [SN_OP_RESHAPE] = {A, A}, [SN_OP_TRANSPOSE] = {A, A}, [SN_OP_BROADCAST] = {A, A},
  [SN_OP_SLICE] = {A, A}, [SN_OP_CONCAT] = {A, A}, [SN_OP_SUM] = {N, N}, [SN_OP_AMAX] = {N, N},
  [SN_OP_AMIN] = {N, N}, [SN_OP_PROD] = {N, N}, [SN_OP_ARGMAX] = {I, N}, [SN_OP_ARGMIN] = {I, N},
  [SN_OP_CONTRACT] = {F, F}, [SN_OP_GATHER] = {A, A}, [SN_OP_SCATTER] = {N, N}, [SN_OP_INDEX] = {A, A},
  [SN_OP_INDEX_ADD] = {N, N}, [SN_OP_DYN_SLICE] = {A, A}, [SN_OP_DYN_WRITE] = {A, A}, [SN_OP_UNIFORM] = {F, I},
  [SN_OP_CALL] = {F, F}, [SN_OP_GRAD] = {F, F}, [SN_OP_ATTENTION] = {F, F}, [SN_OP_SQUARE] = {N, N},
  [SN_OP_RECIPROCAL] = {F, F}, [SN_OP_SIGMOID] = {F, F}, [SN_OP_LOGSIGMOID] = {F, F}, [SN_OP_SOFTPLUS] = {F, F},
  [SN_OP_RELU] = {F, F}, [SN_OP_LEAKY_RELU] = {F, F}, [SN_OP_ELU] = {F, F}, [SN_OP_GELU] = {F, F},
  [SN_OP_GELU_TANH] = {F, F}, [SN_OP_SILU] = {F, F}, [SN_OP_SOFTMAX] = {F, F}, [SN_OP_LOG_SOFTMAX] = {F, F},
  [SN_OP_LOGSUMEXP] = {F, F}, [SN_OP_PICK] = {F, F}, [SN_OP_LAYERNORM] = {F, F}, [SN_OP_RMSNORM] = {F, F},
  [SN_OP_GROUP_NORM] = {F, F}, [SN_OP_L2_NORM] = {F, F}, [SN_OP_ANY] = {B, B}, [SN_OP_ALL] = {B, B},
  [SN_OP_PAD] = {A, A}, [SN_OP_FLIP] = {A, A}, [SN_OP_CROSS_ENTROPY] = {F, F}, [SN_OP_DIVERGENCE] = {F, F},
};
/* clang-format on */

bool sn_gr_is_known(sn_op op) { return known[op].made != 0; }

bool sn_gr_is_growth(sn_op op) {
  return op != SN_OP_ARG && op != SN_OP_FUSED && op != SN_OP_ATTENTION_GRAD && op != SN_OP_NONE;
}

static int class_of(sn_elem e) { return sn_elem_is_float(e) ? F : e == SN_ELEM_BOOL ? B : I; }

/* A dim is a scalar: what needs an axis cannot take it. */
static bool needs_axis(sn_op op) {
  sn_op_class c = sn_op_get(op)->cls;
  return c == SN_CLASS_REDUCE || c == SN_CLASS_INDEX || op == SN_OP_TRANSPOSE || op == SN_OP_SLICE || op == SN_OP_PAD ||
         op == SN_OP_FLIP || op == SN_OP_ANY || op == SN_OP_ALL || op == SN_OP_GROUP_NORM || op == SN_OP_L2_NORM;
}

/* Of an op that only its samples are known of: element types that they have; *scalar: one of them had no axis. */
static classes sampled(sn_arena *arena, sn_op op, bool *scalar) {
  sn_module *m = sn_module_create(arena);
  sn_rng rng = {.seed = 1, .stream = (uint64_t)op};
  classes c = {0};
  for (int i = 0; i < SAMPLES; i++) {
    sn_sample s = {.real = SN_ELEM_F32};
    if (sn_op_sample(&rng, m, op, &s)) return (classes){0};
    for (int k = 0; k < s.arg_count; k++)
      c.taken |= (unsigned char)class_of(s.arg[k]->elem), *scalar |= !s.arg[k]->rank;
    sn_infer in = {.module = m, .op = op, .arg_count = s.arg_count, .arg = s.arg, .attr = s.attr, .leaf = s.leaf};
    if (!sn_op_infer(&in) && in.result_count) c.made |= (unsigned char)class_of(in.result[0]->elem);
  }
  return c;
}

sn_gpairs *sn_gpairs_create(sn_arena *arena) {
  sn_gpairs *p = SN_NEW(arena, sn_gpairs);
  classes c[SN_OP_COUNT];
  bool scalar[SN_OP_COUNT] = {0};
  sn_arena *scratch = sn_arena_create();
  for (int op = 1; op < SN_OP_COUNT; op++) {
    c[op] = known[op];
    scalar[op] = !needs_axis((sn_op)op);
    if (scratch && sn_gr_is_growth((sn_op)op) && !sn_gr_is_known((sn_op)op)) {
      scalar[op] = false;
      c[op] = sampled(scratch, (sn_op)op, &scalar[op]);
    }
  }
  sn_arena_destroy(scratch);
  for (int a = 1; a < SN_OP_COUNT; a++)
    for (int k = 1; k < SN_OP_COUNT; k++) {
      p->possible[a][k] = (c[a].made & c[k].taken) && (a != SN_OP_DIM || scalar[k]);
      p->possible_count += p->possible[a][k];
    }
  return p;
}

/* The n-th possible pair, round and round in an order of its own. */
void sn_gpairs_aim(const sn_gpairs *p, uint64_t n, sn_op *producer, sn_op *consumer) {
  uint64_t k = n * 2654435761u % (uint64_t)p->possible_count;
  for (int a = 1; a < SN_OP_COUNT; a++)
    for (int c = 1; c < SN_OP_COUNT; c++)
      if (p->possible[a][c] && k-- == 0) {
        *producer = (sn_op)a, *consumer = (sn_op)c;
        return;
      }
}

void sn_gpairs_add(sn_gpairs *p, const sn_module *m) {
  for (int i = 0; i < m->func_count; i++)
    for (int k = 0; k < m->func[i]->node_count; k++) {
      const sn_node *n = m->func[i]->node[k];
      for (int a = 0; a < n->arg_count; a++) {
        sn_op from = sn_node_of(m->func[i], n->arg[a])->op;
        p->seen_count += p->possible[from][n->op] && !p->seen[from][n->op];
        p->seen[from][n->op] = true;
      }
    }
}
