/* One operation on vectors of the level's lane count. Float operations are f32 or f64, integer operations i32 or i64.
 */
#include "backends/llvm/cg.h"

static bool is_float(sn_elem e) { return e == SN_ELEM_F32 || e == SN_ELEM_F64; }

static ll_v one(cg *c, sn_elem e) { return ll_fconst(&c->g, cg_reg(c, e), 1); }

/* ---- rounding --------------------------------------------------------------------------------------- */

/* to nearest even without the instruction: adding and subtracting 2^23 (2^52) rounds; larger values are integers
 * already */
static ll_v rint_plain(cg *c, ll_v x, sn_elem e) {
  ll *g = &c->g;
  ll_v big = ll_fconst(g, cg_reg(c, e), e == SN_ELEM_F32 ? 0x1p23 : 0x1p52), size = ll_call_same(g, "llvm.fabs", x);
  ll_v r = LLVMBuildFSub(g->b, LLVMBuildFAdd(g->b, size, big, ""), big, "");
  ll_t t = LLVMTypeOf(x);
  r = ll_call(g, "llvm.copysign", 1, &t, 2, (ll_v[]){r, x});
  return ll_select(g, ll_fcmp(g, LLVMRealOLT, size, big), r, x);
}

static ll_v round_even(cg *c, ll_v x, sn_elem e) {
  return c->g.isa.rounding ? ll_call_same(&c->g, "llvm.rint", x) : rint_plain(c, x, e);
}

static ll_v floor_of(cg *c, ll_v x, sn_elem e) {
  ll *g = &c->g;
  if (g->isa.rounding) return ll_call_same(g, "llvm.floor", x);
  ll_v r = rint_plain(c, x, e), below = LLVMBuildFSub(g->b, r, one(c, e), "");
  ll_v floored = ll_select(g, ll_fcmp(g, LLVMRealOGT, r, x), below, r);
  ll_t t = LLVMTypeOf(x);
  ll_v signed_zero = ll_call(g, "llvm.copysign", 1, &t, 2, (ll_v[]){floored, x});
  return ll_select(g, ll_fcmp(g, LLVMRealOEQ, floored, LLVMConstNull(t)), signed_zero, floored);
}

/* ---- integers --------------------------------------------------------------------------------------- */

/* floor(a / b) of i32 through f64: exact, since the distance of a / b to the next integer is at least 2^-31 of it */
static ll_v floor_div(cg *c, ll_v a, ll_v b) {
  ll *g = &c->g;
  ll_t wide = ll_vec(g, g->f64);
  ll_v q = LLVMBuildFDiv(g->b, LLVMBuildSIToFP(g->b, a, wide, ""), LLVMBuildSIToFP(g->b, b, wide, ""), "");
  return cg_cast(c, floor_of(c, q, SN_ELEM_F64), SN_ELEM_F64, SN_ELEM_I32);
}

/* floor(a / b) of i64. The machine traps at a divisor of 0 and where the quotient overflows: they become 1, and the
 * quotient by -1 is -a. */
static ll_v floor_div_wide(cg *c, ll_v a, ll_v b) {
  ll *g = &c->g;
  ll_v zero = LLVMConstNull(LLVMTypeOf(a)), unit = ll_iconst(g, g->i64, 1);
  ll_v minus = ll_icmp(g, LLVMIntEQ, b, ll_iconst(g, g->i64, -1));
  ll_v unfit = LLVMBuildOr(g->b, minus, ll_icmp(g, LLVMIntEQ, b, zero), "");
  ll_v d = ll_select(g, unfit, unit, b), q = LLVMBuildSDiv(g->b, a, d, "");
  ll_v rest = ll_sub(g, a, ll_mul(g, q, d));
  ll_v signs = ll_icmp(g, LLVMIntSLT, LLVMBuildXor(g->b, rest, d, ""), zero);
  ll_v below = ll_and(g, ll_icmp(g, LLVMIntNE, rest, zero), signs);
  q = ll_select(g, below, ll_sub(g, q, unit), q);
  return ll_select(g, minus, LLVMBuildNeg(g->b, a, ""), q);
}

static ll_v divided(cg *c, sn_elem e, ll_v a, ll_v b) {
  return e == SN_ELEM_I64 ? floor_div_wide(c, a, b) : floor_div(c, a, b);
}

static ll_v mulhi(cg *c, ll_v a, ll_v b) {
  ll *g = &c->g;
  ll_t wide = ll_vec(g, g->i64);
  ll_v p = ll_mul(g, LLVMBuildZExt(g->b, a, wide, ""), LLVMBuildZExt(g->b, b, wide, ""));
  return LLVMBuildTrunc(g->b, LLVMBuildLShr(g->b, p, ll_iconst(g, g->i64, 32), ""), ll_vec(g, g->i32), "");
}

static ll_v shift_count(cg *c, sn_elem e, ll_v n) {
  return ll_and(&c->g, n, ll_iconst(&c->g, cg_reg(c, e), e == SN_ELEM_I64 ? 63 : 31));
}

/* ---- minimum and maximum ------------------------------------------------------------------------------ */

static bool is_number(ll_v v) { /* a constant that is not NaN */
  LLVMBool loses;
  if (!LLVMIsConstant(v) || !LLVMGetAggregateElement(v, 0)) return false;
  ll_v e = LLVMGetAggregateElement(v, 0);
  if (!LLVMIsAConstantFP(e)) return false;
  double x = LLVMConstRealGetDouble(e, &loses);
  return x == x;
}

/* a NaN in either operand gives NaN; a NaN in `a` stays by itself, so `a` is the running value of a reduction */
static ll_v extreme(cg *c, sn_elem e, bool max, ll_v a, ll_v b) {
  ll *g = &c->g;
  if (LLVMIsConstant(a)) {
    ll_v t = a;
    a = b, b = t;
  }
  if (e == SN_ELEM_BOOL) return max ? LLVMBuildOr(g->b, a, b, "") : ll_and(g, a, b);
  if (!is_float(e)) {
    LLVMIntPredicate p = e == SN_ELEM_U8 ? (max ? LLVMIntUGT : LLVMIntULT) : max ? LLVMIntSGT : LLVMIntSLT;
    return ll_select(g, ll_icmp(g, p, a, b), a, b);
  }
  ll_v r = ll_select(g, ll_fcmp(g, max ? LLVMRealOGT : LLVMRealOLT, b, a), b, a);
  if (is_number(b)) return r;
  return ll_select(g, ll_fcmp(g, LLVMRealUNO, b, b), b, r);
}

ll_v cg_max(cg *c, sn_elem e, ll_v a, ll_v b) { return extreme(c, e, true, a, b); }

/* f32 known to lie in the range of i32 unless it is NaN, which gives 0 */
static ll_v truncate_small(cg *c, ll_v x) {
  ll *g = &c->g;
  ll_t t = ll_vec(g, g->i32);
  return ll_select(g, ll_fcmp(g, LLVMRealORD, x, x), LLVMBuildFPToSI(g->b, x, t, ""), LLVMConstNull(t));
}

/* ---- by class --------------------------------------------------------------------------------------- */

static ll_v unary(cg *c, const sn_kins *x, sn_elem from, ll_v a) {
  ll *g = &c->g;
  switch (x->op) {
    case SN_K_NEG: return is_float(from) ? LLVMBuildFNeg(g->b, a, "") : LLVMBuildNeg(g->b, a, "");
    case SN_K_ABS:
      if (is_float(from)) return ll_call_same(g, "llvm.fabs", a);
      return ll_select(g, ll_icmp(g, LLVMIntSLT, a, LLVMConstNull(LLVMTypeOf(a))), LLVMBuildNeg(g->b, a, ""), a);
    case SN_K_SQRT: return ll_call_same(g, "llvm.sqrt", a);
    case SN_K_RSQRT: return LLVMBuildFDiv(g->b, one(c, from), ll_call_same(g, "llvm.sqrt", a), "");
    case SN_K_RECIP: return LLVMBuildFDiv(g->b, one(c, from), a, "");
    case SN_K_FLOOR: return floor_of(c, a, from);
    case SN_K_RINT: return round_even(c, a, from);
    case SN_K_NOT: return LLVMBuildNot(g->b, a, "");
    case SN_K_BITCAST: return ll_bits(g, a, ll_vec(g, cg_reg(c, x->type.elem)));
    default:
      if (from == SN_ELEM_F32 && x->type.elem == SN_ELEM_I32 && cg_fits_i32(c, x->a[0])) return truncate_small(c, a);
      return cg_cast(c, a, from, x->type.elem);
  }
}

static ll_v arithmetic(cg *c, sn_kop op, sn_elem e, ll_v a, ll_v b) {
  LLVMBuilderRef B = c->g.b;
  bool f = is_float(e);
  switch (op) { /* table */
    case SN_K_ADD: return f ? LLVMBuildFAdd(B, a, b, "") : LLVMBuildAdd(B, a, b, "");
    case SN_K_SUB: return f ? LLVMBuildFSub(B, a, b, "") : LLVMBuildSub(B, a, b, "");
    case SN_K_MUL: return f ? LLVMBuildFMul(B, a, b, "") : LLVMBuildMul(B, a, b, "");
    case SN_K_DIV: return f ? LLVMBuildFDiv(B, a, b, "") : divided(c, e, a, b);
    case SN_K_MOD: return LLVMBuildSub(B, a, LLVMBuildMul(B, b, divided(c, e, a, b), ""), "");
    case SN_K_MIN: return extreme(c, e, false, a, b);
    case SN_K_MAX: return extreme(c, e, true, a, b);
    case SN_K_AND: return LLVMBuildAnd(B, a, b, "");
    case SN_K_OR: return LLVMBuildOr(B, a, b, "");
    case SN_K_XOR: return LLVMBuildXor(B, a, b, "");
    case SN_K_SHL: return LLVMBuildShl(B, a, shift_count(c, e, b), "");
    case SN_K_SHR: return LLVMBuildLShr(B, a, shift_count(c, e, b), "");
    case SN_K_SAR: return LLVMBuildAShr(B, a, shift_count(c, e, b), "");
    default: return mulhi(c, a, b);
  }
}

static ll_v compare(cg *c, sn_kop op, sn_elem e, ll_v a, ll_v b) {
  ll *g = &c->g;
  if (is_float(e)) {
    LLVMRealPredicate p = op == SN_K_LT   ? LLVMRealOLT
                          : op == SN_K_LE ? LLVMRealOLE
                          : op == SN_K_EQ ? LLVMRealOEQ
                                          : LLVMRealUNE;
    return ll_fcmp(g, p, a, b);
  }
  bool s = e != SN_ELEM_BOOL && e != SN_ELEM_U8;
  LLVMIntPredicate p = op == SN_K_LT   ? (s ? LLVMIntSLT : LLVMIntULT)
                       : op == SN_K_LE ? (s ? LLVMIntSLE : LLVMIntULE)
                       : op == SN_K_EQ ? LLVMIntEQ
                                       : LLVMIntNE;
  return ll_icmp(g, p, a, b);
}

ll_v cg_apply(cg *c, const sn_kins *x, sn_elem from, ll_v *a) {
  ll *g = &c->g;
  switch (sn_kop_class(x->op)) {
    case SN_KCLASS_UN: return unary(c, x, from, a[0]);
    case SN_KCLASS_BIN: return arithmetic(c, x->op, from, a[0], a[1]);
    case SN_KCLASS_CMP: return compare(c, x->op, from, a[0], a[1]);
    default: break;
  }
  if (x->op == SN_K_SELECT) return ll_select(g, a[0], a[1], a[2]);
  if (x->op == SN_K_RESCALE) return arithmetic(c, SN_K_MUL, x->type.elem, a[0], a[1]);
  if (is_float(x->type.elem)) return ll_fma_exact(g, a[0], a[1], a[2]);
  return ll_add(g, ll_mul(g, a[0], a[1]), a[2]);
}
