/* kernel, sizes -> counts. The grid is walked at a typical and at the last place of each dimension: of a causal loop
 * the middle one stands for all, and tails are counted as what they are. */
#include "ir/kernel/work.h"

#include <math.h>
#include <string.h>

typedef struct walk {
  const sn_kernel *k;
  const int64_t *size;
  double gid[3];
  double *value; /* of index values that are known; NaN: not yet */
  sn_work *sum;
} walk;

/* ---- index values ------------------------------------------------------------------------------------------------ */

static double index_of(walk *w, sn_kv v);

static double middle_of(walk *w, const sn_kins *loop) {
  double lo = index_of(w, loop->a[0]), hi = index_of(w, loop->a[1]), step = index_of(w, loop->a[2]);
  double rounds = step > 0 ? ceil((hi - lo) / step) : 1;
  return rounds > 1 ? lo + floor((rounds - 1) / 2) * step : lo;
}

static double compute(walk *w, const sn_kins *x) { /* table */
  double a = x->count > 0 && x->op != SN_K_IV && x->op != SN_K_ILOAD ? index_of(w, x->a[0]) : 0;
  double b = x->count > 1 && x->op != SN_K_IV && x->op != SN_K_ILOAD ? index_of(w, x->a[1]) : 0;
  switch (x->op) {
    case SN_K_ICONST: return (double)x->i;
    case SN_K_PARAM: return w->k->param[x->i].role == SN_K_SIZE ? (double)w->size[x->i] : 0;
    case SN_K_GID: return w->gid[x->i];
    case SN_K_IADD: return a + b;
    case SN_K_ISUB: return a - b;
    case SN_K_IMUL: return a * b;
    case SN_K_IDIV: return b > 0 ? floor(a / b) : 0;
    case SN_K_IMOD: return b > 0 ? a - floor(a / b) * b : 0;
    case SN_K_IMIN: return a < b ? a : b;
    case SN_K_IMAX: return a > b ? a : b;
    case SN_K_ILT: return a < b;
    case SN_K_IEQ: return a == b;
    case SN_K_IV: return middle_of(w, &w->k->ins[x->a[0]]);
    default: return 0; /* loaded */
  }
}

static double index_of(walk *w, sn_kv v) {
  if (!v) return 0;
  if (isnan(w->value[v])) w->value[v] = compute(w, &w->k->ins[v]);
  return w->value[v];
}

/* ---- instructions ------------------------------------------------------------------------------------------------ */

static double within(walk *w, int extent, sn_kv limit) {
  double n = limit ? index_of(w, limit) : extent;
  return n < 0 ? 0 : n < extent ? n : extent;
}

/* The window that a value was loaded from, turned round or not. */
static const sn_kins *window_of(const walk *w, sn_kv v, bool *turned) {
  for (;;) {
    const sn_kins *x = &w->k->ins[v];
    if (x->op == SN_K_LOAD || x->op == SN_K_GATHER) return x;
    if (x->op != SN_K_CAST && x->op != SN_K_TRANS && x->op != SN_K_BCAST) return NULL;
    *turned ^= x->op == SN_K_TRANS;
    v = x->a[0];
  }
}

/* Rows (axis 0) or columns of an operand that exist. */
static double extent_of(walk *w, sn_kv v, int axis) {
  sn_ktype t = sn_k_type(w->k, v);
  bool turned = false;
  const sn_kins *x = window_of(w, v, &turned);
  int extent = axis ? t.c : t.r, side = turned ? !axis : axis;
  if (!x || (side ? x->type.c : x->type.r) != extent) return extent;
  return within(w, extent, x->a[4 + side]);
}

static void count_product(walk *w, const sn_kins *x, double times) {
  bool ta = x->i & SN_K_TA, tb = x->i & SN_K_TB;
  sn_elem e = sn_k_type(w->k, x->a[1]).elem;
  double m = extent_of(w, x->a[1], ta), k = extent_of(w, x->a[1], !ta);
  double n = x->i & SN_K_VNNI ? x->type.c : extent_of(w, x->a[2], !tb);
  *(e == SN_ELEM_BF16 || e == SN_ELEM_I8 ? &w->sum->pairs : &w->sum->products) += times * m * n * k;
}

/* Rows of a window that do not follow each other. */
static double pieces_of(walk *w, const sn_kins *x, sn_ktype t) {
  bool follow = x->op != SN_K_GATHER && index_of(w, x->a[2]) == t.c;
  return follow ? 1 : within(w, t.r, x->a[4]);
}

static void count_block(walk *w, const sn_kblock *b, double times);

/* Does the index value follow from a number that is loaded? */
static bool is_loaded(const walk *w, sn_kv v) {
  const sn_kins *x = &w->k->ins[v];
  if (x->op == SN_K_ILOAD) return true;
  if (x->op == SN_K_IV) return false;
  for (int i = 0; i < x->count && i < 2; i++)
    if (x->a[i] && is_loaded(w, x->a[i])) return true;
  return false;
}

/* A round that is done or not, as a loaded number says: done if it is not 0, or done in one of two such loops. 0: no
 * such round. */
static double share_of_round(const walk *w, sn_kv v) {
  const sn_kins *x = &w->k->ins[v];
  if ((x->op != SN_K_IEQ && x->op != SN_K_IMIN) || !is_loaded(w, v)) return 0;
  if (x->op == SN_K_IEQ) return 0.5;
  const sn_kins *most = &w->k->ins[x->a[1]];
  return most->op == SN_K_ICONST && most->i == 1;
}

static void count_loop(walk *w, const sn_kins *x, double times) {
  double step = index_of(w, x->a[2]),
         rounds = step > 0 ? ceil((index_of(w, x->a[1]) - index_of(w, x->a[0])) / step) : 1;
  double share = share_of_round(w, x->a[1]);
  if (share > 0) rounds = share;
  if (rounds > 0) count_block(w, x->body[0], times * rounds);
}

static void count_branch(walk *w, const sn_kins *x, double times) {
  sn_work before = *w->sum, yes;
  count_block(w, x->body[0], times);
  if (!x->body[1]) return;
  yes = *w->sum, *w->sum = before;
  count_block(w, x->body[1], times);
  if (yes.points + yes.products + yes.pairs > w->sum->points + w->sum->products + w->sum->pairs) *w->sum = yes;
}

static void count(walk *w, const sn_kins *x, double times) {
  sn_ktype t = x->op == SN_K_STORE ? sn_k_type(w->k, x->a[6]) : x->type;
  double elements = (double)t.r * t.c;
  switch (x->op) {
    case SN_K_FOR: count_loop(w, x, times); return;
    case SN_K_IF: count_branch(w, x, times); return;
    case SN_K_MMA: count_product(w, x, times); return;
    case SN_K_LOAD:
    case SN_K_GATHER:
    case SN_K_STORE:
      w->sum->pieces += times * pieces_of(w, x, t);
      elements = within(w, t.r, x->a[4]) * within(w, t.c, x->a[5]);
      elements *= times * (double)sn_elem_bytes(sn_k_type(w->k, x->a[0]).elem);
      *(x->op == SN_K_STORE ? &w->sum->stored : &w->sum->loaded) += elements;
      return;
    case SN_K_RSUM:
    case SN_K_RPROD:
    case SN_K_RMAX:
    case SN_K_RARGMAX: {
      sn_ktype of = sn_k_type(w->k, x->a[0]);
      w->sum->points += times * of.r * of.c;
      return;
    }
    default: {
      sn_kclass c = sn_kop_class(x->op);
      bool costs = c == SN_KCLASS_UN || c == SN_KCLASS_BIN || c == SN_KCLASS_CMP || c == SN_KCLASS_TER ||
                   x->op == SN_K_TRANS || x->op == SN_K_RESCALE;
      if (costs) w->sum->points += times * elements;
    }
  }
}

static void count_block(walk *w, const sn_kblock *b, double times) {
  for (int i = 0; i < b->count; i++) count(w, &w->k->ins[b->ins[i]], times);
}

void sn_kernel_work(const sn_kernel *k, sn_arena *scratch, const int64_t *size, sn_work *out) {
  walk w = {.k = k, .size = size, .sum = out, .value = SN_ARRAY(scratch, k->ins_count, double)};
  double extent[3] = {1, 1, 1};
  *out = (sn_work){0};
  for (int v = 0; v < k->ins_count; v++) w.value[v] = NAN;
  for (int d = 0; d < k->grid_count; d++) extent[d] = index_of(&w, k->grid[d]);
  out->instances = extent[0] * extent[1] * extent[2];
  for (int corner = 0; corner < 8; corner++) { /* bit d: the last place of dimension d */
    double times = 1;
    for (int d = 0; d < 3; d++) {
      bool last = corner >> d & 1;
      times *= last ? extent[d] > 0 : extent[d] - 1;
      w.gid[d] = last ? extent[d] - 1 : floor((extent[d] - 1) / 2);
    }
    if (times <= 0) continue;
    for (int v = 0; v < k->ins_count; v++) w.value[v] = NAN;
    count_block(&w, k->body, times);
  }
}
