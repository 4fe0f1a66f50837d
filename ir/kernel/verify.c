/* The rules that a kernel obeys. One message per kernel: the rule and the instruction as printed. */
#include <stdarg.h>
#include <string.h>

#include "ir/kernel/internal.h"

typedef struct verifier {
  const sn_kernel *k;
  sn_diags *diags;
  unsigned char *visible; /* per value: defined and in scope here */
  unsigned char *listed;  /* per value: met in a block */
  int depth;
} verifier;

static const sn_kins *at(const verifier *v, sn_kv x) { return sn_k_ins(v->k, x); }

/* Where x stands, if the kernel was read from a text. */
static sn_loc loc_of(const verifier *v, sn_kv x) {
  sn_loc loc = sn_k_loc(v->k, x);
  return v->k->loc.file && loc.file ? loc : v->k->loc;
}

/* The rule that x breaks; found: x as it is printed. */
static sn_code SN_PRINTF(4, 5) fail(verifier *v, sn_kv x, const char *rule, const char *expected, ...) {
  sn_code code = v->k->loc.file ? SN_ERR_INPUT : SN_ERR_FAIL;
  (void)sn_fail(v->diags, code, loc_of(v, x), "kernel %s: %s", v->k->name, rule);
  va_list args;
  va_start(args, expected);
  sn_fail_expected_list(v->diags, expected, args);
  va_end(args);
  if (v->diags && sn_k_valid(v->k, x)) sn_fail_found(v->diags, "%s", sn_k_text(v->k, x, v->diags->arena));
  return code;
}

/* fail, where what is found is not the text of x. */
static sn_code SN_PRINTF(5, 6)
    fail_found(verifier *v, sn_kv x, const char *rule, const char *expected, const char *found, ...) {
  sn_code code = fail(v, 0, rule, "%s", expected);
  if (!v->diags) return code;
  va_list args;
  va_start(args, found);
  v->diags->at[v->diags->count - 1].loc.line = loc_of(v, x).line;
  sn_fail_found_list(v->diags, found, args);
  va_end(args);
  return code;
}

/* "f32[8,4]": for messages. */
static const char *type_text(const verifier *v, sn_ktype t) {
  if (!v->diags) return "";
  if (t.r < 1) return sn_arena_printf(v->diags->arena, "%s", t.elem ? "a buffer" : "an index value");
  return sn_arena_printf(v->diags->arena, "%s[%d,%d]", sn_elem_name(t.elem), t.r, t.c);
}

/* fail, where the type of an operand is what is wrong: it is added to what is found. */
static sn_code fail_operand(verifier *v, sn_kv x, int operand, const char *rule, const char *expected) {
  sn_code code = fail(v, x, rule, "%s", expected);
  sn_fail_found(v->diags, "operand %d is %s", operand + 1,
                type_text(v, sn_k_type(v->k, sn_k_ins(v->k, x)->a[operand])));
  return code;
}

static bool same_shape(sn_ktype a, sn_ktype b) { return a.r == b.r && a.c == b.c; }
static bool same(sn_ktype a, sn_ktype b) { return a.elem == b.elem && same_shape(a, b); }

/* ---- element types ---- */

static bool is_compute_float(sn_elem e) { return e == SN_ELEM_F32 || e == SN_ELEM_F64; }
static bool is_integer(sn_elem e) { return e == SN_ELEM_I32 || e == SN_ELEM_I64; }
static bool is_number(sn_elem e) { return is_compute_float(e) || is_integer(e); }

/* May the operands of an elementwise op (not the condition of select) have elements e? */
static bool computes_in(sn_kop op, sn_elem e) { /* table */
  switch (op) {
    case SN_K_NEG:
    case SN_K_ABS:
    case SN_K_DIV:
    case SN_K_MIN:
    case SN_K_MAX:
    case SN_K_ADD:
    case SN_K_SUB:
    case SN_K_MUL:
    case SN_K_LT:
    case SN_K_LE:
    case SN_K_EQ:
    case SN_K_NE:
    case SN_K_BITCAST: return is_number(e);
    case SN_K_AND:
    case SN_K_OR:
    case SN_K_XOR: return e == SN_ELEM_BOOL || is_integer(e);
    case SN_K_MOD:
    case SN_K_SHL:
    case SN_K_SHR:
    case SN_K_SAR: return is_integer(e);
    case SN_K_MULHI: return e == SN_ELEM_I32;
    case SN_K_NOT: return e == SN_ELEM_BOOL;
    case SN_K_CAST:
    case SN_K_SELECT: return true;
    default: return is_compute_float(e);
  }
}

/* The other type of as many bits: of bitcasts. */
static sn_elem same_bits(sn_elem e) {
  switch (e) {
    case SN_ELEM_F32: return SN_ELEM_I32;
    case SN_ELEM_I32: return SN_ELEM_F32;
    case SN_ELEM_F64: return SN_ELEM_I64;
    default: return SN_ELEM_F64;
  }
}

/* Those in which op computes: for messages. */
static const char *types_of(const verifier *v, sn_kop op) {
  if (!v->diags) return "";
  sn_text t = sn_text_begin(v->diags->arena);
  for (int e = SN_ELEM_NONE + 1; e < SN_ELEM_COUNT; e++)
    if (computes_in(op, (sn_elem)e)) sn_text_add(&t, "%s%s", t.count ? ", " : "", sn_elem_name((sn_elem)e));
  sn_text_add(&t, ": cast first");
  return t.at;
}

/* ---- index values ---- */

static bool is_index(const verifier *v, sn_kv x) {
  if (!sn_k_valid(v->k, x)) return false;
  const sn_kins *i = at(v, x);
  if (i->op == SN_K_PARAM) return v->k->param[i->i].role == SN_K_SIZE;
  return i->op == SN_K_IV || (sn_kop_class(i->op) == SN_KCLASS_IDX);
}

static sn_code iload_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  if (!sn_k_valid(v->k, i->a[0])) return fail(v, x, "iload without a buffer", "an `in` buffer of i32");
  const sn_kins *b = at(v, i->a[0]);
  bool ok = b->op == SN_K_PARAM && v->k->param[b->i].role == SN_K_IN && b->type.elem == SN_ELEM_I32;
  return ok ? SN_OK : fail(v, x, "iload of another buffer", "an `in` buffer of i32");
}

/* Built of sizes, grid ids (unless it is a grid extent) and loop variables in scope. `user` is named in messages. */
static sn_code index_ok(verifier *v, sn_kv user, sn_kv x, bool in_grid) {
  int64_t d;
  if (!is_index(v, x))
    return fail(v, user, "an operand is not an index value", "numbers, sizes, grid ids and loop variables");
  const sn_kins *i = at(v, x);
  switch (i->op) {
    case SN_K_ICONST:
    case SN_K_PARAM: return SN_OK;
    case SN_K_GID:
      return !in_grid && i->i < v->k->grid_count ? SN_OK
                                                 : fail(v, user, "no such grid dimension here",
                                                        in_grid ? "sizes only" : "g0 to g%d", v->k->grid_count - 1);
    case SN_K_IV:
      return v->visible[x] ? SN_OK : fail(v, user, "a loop variable is used outside of its loop", "a loop around it");
    default: break;
  }
  if (i->count != 2 || i->a[0] >= x || i->a[1] >= x)
    return fail(v, user, "a malformed index value", "two operands that are defined before it");
  if (i->op == SN_K_ILOAD && in_grid) return fail(v, user, "iload in a grid extent", "sizes only");
  if (i->op == SN_K_ILOAD)
    SN_TRY(iload_ok(v, x));
  else
    SN_TRY(index_ok(v, user, i->a[0], in_grid));
  SN_TRY(index_ok(v, user, i->a[1], in_grid));
  if ((i->op == SN_K_IDIV || i->op == SN_K_IMOD) && sn_k_is_const(v->k, i->a[1], &d) && d <= 0)
    return fail(v, user, "division by a constant that is not positive", "1 or more");
  return SN_OK;
}

/* ---- tiles ---- */

static sn_code tile_ok(verifier *v, sn_kv user, sn_kv x) {
  if (!sn_k_valid(v->k, x) || at(v, x)->type.r < 1)
    return fail(v, user, "an operand is not a tile", "values of a type such as f32[8,4]");
  return v->visible[x] ? SN_OK
                       : fail(v, user, "an operand is not in scope",
                              "a value that is defined before it, in this block or one around it");
}

static sn_code type_ok(verifier *v, sn_kv x) {
  sn_ktype t = at(v, x)->type;
  bool ok = t.elem > SN_ELEM_NONE && t.elem < SN_ELEM_COUNT && t.r >= 1 && t.c >= 1 && t.r <= SN_K_EXTENT_MAX &&
            t.c <= SN_K_EXTENT_MAX && (int64_t)t.r * t.c <= SN_K_TILE_MAX;
  return ok ? SN_OK
            : fail(v, x, "the type of the result", "extents of 1 to %d, at most %lld elements", SN_K_EXTENT_MAX,
                   (long long)SN_K_TILE_MAX);
}

static sn_code buffer_ok(verifier *v, sn_kv x, sn_krole *role) {
  sn_kv b = at(v, x)->a[0];
  if (!sn_k_valid(v->k, b)) return fail(v, x, "the first operand is not a buffer", "a parameter or a local buffer");
  const sn_kins *i = at(v, b);
  if (i->op == SN_K_LOCAL) {
    *role = SN_K_INOUT;
    return v->visible[b] ? SN_OK
                         : fail(v, x, "a local buffer is used outside of its block",
                                "one that is defined before it, in this block or one around it");
  }
  if (i->op != SN_K_PARAM || v->k->param[i->i].role == SN_K_SIZE)
    return fail(v, x, "the first operand is not a buffer", "a parameter or a local buffer");
  *role = v->k->param[i->i].role;
  return SN_OK;
}

static sn_code window_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  bool stores = i->op == SN_K_STORE;
  sn_krole role;
  if (i->count != (i->op == SN_K_LOAD ? 6 : 7)) return fail(v, x, "number of operands", "a window");
  SN_TRY(buffer_ok(v, x, &role));
  for (int j = 1; j < 6; j++)
    if (i->a[j] || j < 4) SN_TRY(index_ok(v, x, i->a[j], false));
  if (stores) SN_TRY(tile_ok(v, x, i->a[6]));
  sn_ktype t = stores ? at(v, i->a[6])->type : i->type;
  if (at(v, i->a[0])->type.elem != t.elem) {
    const char *want = sn_elem_name(at(v, i->a[0])->type.elem);
    sn_code code = fail(v, x, "the element type differs from the buffer's", "%s", want);
    if (stores) sn_fail_found(v->diags, "the value is %s", type_text(v, t));
    return code;
  }
  if (!stores && role == SN_K_OUT) return fail(v, x, "loads from an `out` buffer", "an `in` or `inout` buffer");
  if (stores && role == SN_K_IN) return fail(v, x, "stores to an `in` buffer", "an `out` or `inout` buffer");
  if (i->op != SN_K_GATHER) return SN_OK;
  SN_TRY(tile_ok(v, x, i->a[6]));
  sn_ktype rows = at(v, i->a[6])->type;
  bool ok = rows.elem == SN_ELEM_I32 && rows.r == t.r && (rows.c == 1 || rows.c == t.c);
  return ok ? SN_OK
            : fail_operand(v, x, 6, "rows of a gather",
                           v->diags ? sn_arena_printf(v->diags->arena, "i32[%d,1] or i32[%d,%d]", t.r, t.r, t.c) : "");
}

static sn_code mma_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  sn_ktype c = i->type, a = at(v, i->a[1])->type, b = at(v, i->a[2])->type;
  int m = i->i & SN_K_TA ? a.c : a.r, ka = i->i & SN_K_TA ? a.r : a.c;
  int n = i->i & SN_K_TB ? b.r : b.c, kb = i->i & SN_K_TB ? b.c : b.r;
  bool vnni = i->i & SN_K_VNNI;
  if (vnni && (b.elem != SN_ELEM_BF16 || i->i & SN_K_TB || n % 2))
    return fail_operand(v, x, 2, "the second factor of a product with vnni", "bf16 [K/2, 2N], not transposed");
  if (vnni) n /= 2, kb *= 2;
  if (m != c.r || n != c.c || ka != kb)
    return fail_found(v, x, "the shapes do not multiply", "[M,K] * [K,N] -> [M,N]", "[%d,%d] * [%d,%d] -> [%d,%d]", m,
                      ka, kb, n, c.r, c.c);
  if (a.elem != b.elem || !same(c, at(v, i->a[0])->type))
    return fail_found(v, x, "types of accumulator and operands",
                      "two factors of one element type, a result like the sum", "%s, %s and %s -> %s",
                      type_text(v, at(v, i->a[0])->type), type_text(v, a), type_text(v, b), type_text(v, c));
  sn_elem want = a.elem == SN_ELEM_I8 ? SN_ELEM_I32 : a.elem == SN_ELEM_F64 ? SN_ELEM_F64 : SN_ELEM_F32;
  bool byte = a.elem == SN_ELEM_F8E4M3 || a.elem == SN_ELEM_F8E5M2; /* cast first */
  bool ok = ((sn_elem_is_float(a.elem) && !byte) || a.elem == SN_ELEM_I8) && c.elem == want;
  return ok ? SN_OK
            : fail_found(v, x, "element types of a product", "f32, f16, bf16 -> f32, i8 -> i32, f64 -> f64", "%s -> %s",
                         sn_elem_name(a.elem), sn_elem_name(c.elem));
}

static sn_code reduce_ok(verifier *v, sn_kv x, sn_ktype t) {
  const sn_kins *i = at(v, x);
  sn_ktype want = t;
  if (!is_number(t.elem))
    return fail_operand(v, x, 0, "a reduction of another type", "f32, f64, i32 or i64: cast first");
  if (i->i != 0 && i->i != 1) return fail(v, x, "the axis", "0 or 1");
  if (i->op == SN_K_RARGMAX && i->i != 1) return fail(v, x, "the axis of rargmax", "1");
  if (i->op == SN_K_RARGMAX) want.elem = SN_ELEM_I32;
  if (i->i)
    want.c = 1;
  else
    want.r = 1;
  return same(want, i->type) ? SN_OK : fail(v, x, "the type of the result", "%s", type_text(v, want));
}

static sn_code shape_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  sn_ktype t = at(v, i->a[0])->type, stat;
  bool ok;
  switch (i->op) {
    case SN_K_BCAST:
      ok = t.elem == i->type.elem && (t.r == i->type.r || t.r == 1) && (t.c == i->type.c || t.c == 1);
      return ok ? SN_OK
                : fail_operand(v, x, 0, "the source of a broadcast",
                               "extents that are 1 or those of the result, its element type");
    case SN_K_TRANS:
      ok = t.elem == i->type.elem && t.r == i->type.c && t.c == i->type.r;
      return ok ? SN_OK : fail(v, x, "the type of the result", "%s", type_text(v, (sn_ktype){t.elem, t.c, t.r}));
    case SN_K_RESCALE:
      stat = at(v, i->a[1])->type;
      ok = is_compute_float(t.elem) && same(t, i->type) && stat.elem == t.elem && (stat.r == t.r || stat.r == 1) &&
           (stat.c == t.c || stat.c == 1) && (stat.r == 1 || stat.c == 1);
      return ok ? SN_OK
                : fail_operand(v, x, 1, "the statistic of a rescale",
                               "f32 or f64, a row or a column of the accumulator, which has the type of the result");
    default: return reduce_ok(v, x, t);
  }
}

static sn_code elementwise_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  sn_elem e = at(v, i->a[i->count - 1])->type.elem;
  for (int j = 0; j < i->count; j++) {
    sn_ktype t = at(v, i->a[j])->type;
    if (!same_shape(t, i->type))
      return fail_operand(v, x, j, "the shape of an operand", "that of the result: a broadcast is written as bcast");
    bool cond = i->op == SN_K_SELECT && j == 0;
    if (t.elem != (cond ? SN_ELEM_BOOL : e))
      return fail_operand(v, x, j, "the element type of an operand", sn_elem_name(cond ? SN_ELEM_BOOL : e));
  }
  if (!computes_in(i->op, e))
    return fail_operand(v, x, i->count - 1, "does not compute in this element type", types_of(v, i->op));
  sn_elem want = sn_kop_class(i->op) == SN_KCLASS_CMP ? SN_ELEM_BOOL : e;
  if (i->op == SN_K_BITCAST) want = same_bits(e);
  if (i->op == SN_K_CAST)
    return i->type.elem != SN_ELEM_BOOL ? SN_OK : fail(v, x, "a cast to bool", "a comparison with zero");
  return i->type.elem == want ? SN_OK : fail(v, x, "the element type of the result", "%s", sn_elem_name(want));
}

static int operands_of(const sn_kins *i) { /* of ops whose operands are all tiles; -1: others */
  switch (sn_kop_class(i->op)) {
    case SN_KCLASS_UN: return 1;
    case SN_KCLASS_BIN:
    case SN_KCLASS_CMP: return 2;
    case SN_KCLASS_TER:
    case SN_KCLASS_MMA: return 3;
    case SN_KCLASS_SHAPE: return i->op == SN_K_RESCALE ? 2 : 1;
    default: return -1;
  }
}

static sn_code compute_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  if (i->count != operands_of(i)) return fail(v, x, "number of operands", "%d", operands_of(i));
  SN_TRY(type_ok(v, x));
  for (int j = 0; j < i->count; j++) SN_TRY(tile_ok(v, x, i->a[j]));
  if (i->op == SN_K_MMA) return mma_ok(v, x);
  return sn_kop_class(i->op) == SN_KCLASS_SHAPE ? shape_ok(v, x) : elementwise_ok(v, x);
}

static sn_code source_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  SN_TRY(type_ok(v, x));
  if (i->op == SN_K_CONST) return i->count == 0 ? SN_OK : fail(v, x, "number of operands", "none");
  if (i->count != 1) return fail(v, x, "number of operands", "1");
  if (i->type.elem != SN_ELEM_I32) return fail(v, x, "the element type of the result", "i32");
  if (i->i != 0 && i->i != 1) return fail(v, x, "the axis", "0 or 1");
  return index_ok(v, x, i->a[0], false);
}

/* ---- control ---- */

static sn_code block_ok(verifier *v, const sn_kblock *b);

static sn_code for_head_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  int64_t step;
  if (i->count < 3 || i->count - 3 != i->body[0]->yield_count)
    return fail(v, x, "yields differ in number from the carried values", "%d", i->count - 3);
  for (int j = 0; j < 3; j++) SN_TRY(index_ok(v, x, i->a[j], false));
  if (!sn_k_is_const(v->k, i->a[2], &step) || step <= 0)
    return fail(v, x, "the step of a loop", "a constant of 1 or more");
  if (!sn_k_valid(v->k, i->iv) || at(v, i->iv)->op != SN_K_IV || at(v, i->iv)->a[0] != x)
    return fail(v, x, "its loop variable", "one of its own");
  for (int j = 0; j < i->count - 3; j++) {
    SN_TRY(tile_ok(v, x, i->a[3 + j]));
    sn_kv c = i->in[j];
    bool ok = sn_k_valid(v->k, c) && at(v, c)->op == SN_K_CARRY && at(v, c)->a[0] == x && at(v, c)->i == j;
    if (!ok || !same(at(v, c)->type, at(v, i->a[3 + j])->type))
      return fail(v, x, "the type of a carried value", "%s, as it starts", type_text(v, at(v, i->a[3 + j])->type));
  }
  return SN_OK;
}

/* Yield j of a statement differs from what it carries or from the other branch. */
static sn_code fail_yield(verifier *v, sn_kv x, int j) {
  const sn_kins *i = at(v, x);
  sn_kv a = i->op == SN_K_FOR ? i->in[j] : i->body[0]->yield[j], b = i->body[i->op != SN_K_FOR]->yield[j];
  if (!sn_k_valid(v->k, a) || !sn_k_valid(v->k, b)) return fail(v, x, "yields what does not exist", "a value");
  return fail_found(v, b, "the type of a yielded value", type_text(v, at(v, a)->type), "%s",
                    type_text(v, at(v, b)->type));
}

static sn_code results_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  for (int j = 0; j < i->body[0]->yield_count; j++) {
    sn_kv r = i->out[j];
    bool ok = sn_k_valid(v->k, r) && at(v, r)->op == SN_K_RESULT && at(v, r)->a[0] == x && at(v, r)->i == j;
    for (int side = 0; ok && side < 2 && i->body[side]; side++) {
      sn_kv y = i->body[side]->yield[j];
      ok = sn_k_valid(v->k, y) && same(at(v, y)->type, at(v, r)->type);
    }
    if (ok && i->op == SN_K_FOR) ok = same(at(v, r)->type, at(v, i->in[j])->type);
    if (!ok) return fail_yield(v, x, j);
  }
  return SN_OK;
}

static void show_carries(verifier *v, const sn_kins *i, unsigned char visible) {
  v->visible[i->iv] = visible;
  for (int j = 0; j < i->count - 3; j++) v->visible[i->in[j]] = visible;
}

static sn_code control_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  bool loop = i->op == SN_K_FOR;
  if (!i->body[0] || !i->body[1] != loop) return fail(v, x, "bodies of a statement", "one of a loop, two of a branch");
  if (v->depth + 1 >= SN_K_DEPTH) return fail(v, x, "nests too deep", "at most %d", SN_K_DEPTH - 1);
  if (loop)
    SN_TRY(for_head_ok(v, x));
  else
    SN_TRY(i->count == 1 ? index_ok(v, x, i->a[0], false) : fail(v, x, "number of operands", "1"));
  if (!loop && i->body[0]->yield_count != i->body[1]->yield_count)
    return fail_found(v, x, "the branches yield different numbers of values", "as many of both", "%d and %d",
                      i->body[0]->yield_count, i->body[1]->yield_count);
  SN_TRY(results_ok(v, x));
  v->depth++;
  if (loop) show_carries(v, i, 1);
  for (int side = 0; side < 2 && i->body[side]; side++) SN_TRY(block_ok(v, i->body[side]));
  if (loop) show_carries(v, i, 0);
  v->depth--;
  for (int j = 0; j < i->body[0]->yield_count; j++) v->visible[i->out[j]] = 1;
  return SN_OK;
}

static sn_code local_ok(verifier *v, sn_kv x) {
  const sn_kins *i = at(v, x);
  bool ok = i->type.elem > SN_ELEM_NONE && i->type.elem < SN_ELEM_COUNT && i->i >= 1 && i->i <= SN_K_TILE_MAX;
  return ok ? SN_OK : fail(v, x, "type or size of a local buffer", "1 to %lld elements", (long long)SN_K_TILE_MAX);
}

static sn_code instruction_ok(verifier *v, sn_kv x) {
  switch (at(v, x)->op) {
    case SN_K_LOAD:
    case SN_K_GATHER: SN_TRY(type_ok(v, x)); return window_ok(v, x);
    case SN_K_STORE: return window_ok(v, x);
    case SN_K_LOCAL: return local_ok(v, x);
    case SN_K_FOR:
    case SN_K_IF: return control_ok(v, x);
    case SN_K_CONST:
    case SN_K_ISPLAT:
    case SN_K_IOTA: return source_ok(v, x);
    default:
      return operands_of(at(v, x)) < 0 ? fail(v, x, "does not belong in a block", "an instruction") : compute_ok(v, x);
  }
}

static void hide(verifier *v, const sn_kblock *b) {
  for (int j = 0; j < b->count; j++) {
    const sn_kins *i = at(v, b->ins[j]);
    v->visible[b->ins[j]] = 0;
    for (int r = 0; i->body[0] && r < i->body[0]->yield_count; r++) v->visible[i->out[r]] = 0;
  }
}

static sn_code block_ok(verifier *v, const sn_kblock *b) {
  for (int j = 0; j < b->count; j++) {
    sn_kv x = b->ins[j];
    if (!sn_k_valid(v->k, x)) return fail(v, 0, "a block lists what does not exist", "an instruction");
    if (v->listed[x]++) return fail(v, x, "is listed twice", "once");
    SN_TRY(instruction_ok(v, x));
    v->visible[x] = 1;
  }
  for (int j = 0; j < b->yield_count; j++)
    if (!v->visible[b->yield[j]])
      return fail(v, b->yield[j], "yields what is not in scope", "a value of this block or one around it");
  hide(v, b);
  return SN_OK;
}

/* ---- head ---- */

static bool is_name(const char *s) {
  for (int j = 0; s[j]; j++) {
    char c = s[j];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(j && (c == '.' || (c >= '0' && c <= '9')))) return false;
  }
  return s[0];
}

/* g0, i12: names of grid ids and loop variables */
static bool is_reserved(const char *s) {
  return (s[0] == 'g' || s[0] == 'i') && s[1] && strspn(s + 1, "0123456789") == strlen(s + 1);
}

static sn_code params_ok(verifier *v) {
  const sn_kernel *k = v->k;
  for (int j = 0; j < k->param_count; j++) {
    const sn_kparam *p = &k->param[j];
    bool size = p->role == SN_K_SIZE;
    if (!is_name(p->name) || (size && is_reserved(p->name)))
      return fail_found(v, 0, "the name of a parameter", "letters, digits, _ and dots; not g0 or i0 for a size", "%s",
                        p->name);
    for (int other = 0; other < j; other++)
      if (!strcmp(p->name, k->param[other].name))
        return fail_found(v, 0, "two parameters of one name", "another name", "%s twice", p->name);
    if (size && (p->min > p->max || p->divisor < 1))
      return fail_found(v, 0, "bounds or divisor of a size", "MIN..MAX step N, MIN at most MAX, N 1 or more",
                        "%s: %lld..%lld step %lld", p->name, (long long)p->min, (long long)p->max,
                        (long long)p->divisor);
    if (!size && (p->elem <= SN_ELEM_NONE || p->elem >= SN_ELEM_COUNT || p->divisor < 1))
      return fail_found(v, 0, "element type or alignment of a buffer", "a type, an alignment of 1 byte or more",
                        "%s: align %lld", p->name, (long long)p->divisor);
  }
  return SN_OK;
}

static sn_code kernel_ok(verifier *v) {
  const sn_kernel *k = v->k;
  if (k->broken) return fail(v, 0, k->broken, "fewer");
  if (!is_name(k->name)) return fail_found(v, 0, "the name of a kernel", "letters, digits, _ and dots", "%s", k->name);
  if (k->depth) return fail_found(v, 0, "a statement is not closed", "none open", "%d", k->depth);
  SN_TRY(params_ok(v));
  if (k->grid_count < 1 || k->grid_count > 3)
    return fail_found(v, 0, "the extents of the grid", "1 to 3", "%d", k->grid_count);
  for (int d = 0; d < k->grid_count; d++) SN_TRY(index_ok(v, k->grid[d], k->grid[d], true));
  return block_ok(v, k->body);
}

sn_code sn_kernel_verify(const sn_kernel *k, sn_diags *diags) {
  sn_arena *scratch = sn_arena_scratch(); /* not the kernel's: kernels of one arena are verified by several threads */
  if (!scratch) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  verifier v = {.k = k, .diags = diags};
  v.visible = SN_ARRAY(scratch, k->ins_count, unsigned char);
  v.listed = SN_ARRAY(scratch, k->ins_count, unsigned char);
  sn_code code = kernel_ok(&v);
  sn_arena_destroy(scratch);
  return code;
}
