/* Conversions between element types on vectors. bf16, f16 and f8 are held as bit patterns; where the level has no
 * instruction they are rounded here, so that no library call is left. */
#include "backends/llvm/cg.h"

static ll_v shl(ll *g, ll_v a, int n) { return LLVMBuildShl(g->b, a, ll_iconst(g, g->i32, n), ""); }
static ll_v shr(ll *g, ll_v a, int n) { return LLVMBuildLShr(g->b, a, ll_iconst(g, g->i32, n), ""); }
static ll_v and32(ll *g, ll_v a, int64_t m) { return ll_and(g, a, ll_iconst(g, g->i32, m)); }
static ll_v or32(ll *g, ll_v a, ll_v b) { return LLVMBuildOr(g->b, a, b, ""); }
static ll_v add32(ll *g, ll_v a, int64_t n) { return ll_add(g, a, ll_iconst(g, g->i32, n)); }
static ll_v bits_of(ll *g, ll_v f) { return ll_bits(g, f, ll_vec(g, g->i32)); }
static ll_v float_of(ll *g, ll_v bits) { return ll_bits(g, bits, ll_vec(g, g->f32)); }
static ll_v narrow16(ll *g, ll_v v) { return LLVMBuildTrunc(g->b, v, ll_vec(g, g->i16), ""); }
static ll_v wide32(ll *g, ll_v v) { return LLVMBuildZExt(g->b, v, ll_vec(g, g->i32), ""); }

/* ---- bf16 ------------------------------------------------------------------------------------------- */

static ll_v f32_to_bf16(ll *g, ll_v x) {
  if (g->isa.bf16) return ll_bits(g, LLVMBuildFPTrunc(g->b, x, ll_vec(g, g->bf16), ""), ll_vec(g, g->i16));
  ll_v u = bits_of(g, x), odd = and32(g, shr(g, u, 16), 1);
  ll_v rounded = shr(g, ll_add(g, add32(g, u, 0x7fff), odd), 16);
  ll_v quiet = or32(g, shr(g, u, 16), ll_iconst(g, g->i32, 0x40));
  return narrow16(g, ll_select(g, ll_fcmp(g, LLVMRealUNO, x, x), quiet, rounded));
}
static ll_v bf16_to_f32(ll *g, ll_v x) { return float_of(g, shl(g, wide32(g, x), 16)); }

/* ---- f16 -------------------------------------------------------------------------------------------- */

/* source: F. Giesen, "float->half variants", rounding to nearest even */
static ll_v f32_to_f16(ll *g, ll_v x) {
  if (g->isa.f16c) return ll_bits(g, LLVMBuildFPTrunc(g->b, x, ll_vec(g, g->f16), ""), ll_vec(g, g->i16));
  ll_v u = bits_of(g, x), sign = and32(g, u, (int64_t)0x80000000), magnitude = and32(g, u, 0x7fffffff);
  ll_v huge = ll_icmp(g, LLVMIntUGE, magnitude, ll_iconst(g, g->i32, (127 + 16) << 23));
  ll_v nan = ll_icmp(g, LLVMIntUGT, magnitude, ll_iconst(g, g->i32, 0x7f800000));
  ll_v special = ll_select(g, nan, ll_iconst(g, g->i32, 0x7e00), ll_iconst(g, g->i32, 0x7c00));
  int64_t magic = ((127 - 15) + (23 - 10) + 1) << 23; /* adding it rounds a denormal result in the last place */
  ll_v shifted = LLVMBuildFAdd(g->b, float_of(g, magnitude), float_of(g, ll_iconst(g, g->i32, magic)), "");
  ll_v denormal = add32(g, bits_of(g, shifted), -magic);
  ll_v odd = and32(g, shr(g, magnitude, 13), 1);
  ll_v normal = shr(g, ll_add(g, add32(g, magnitude, ((int64_t)(15 - 127) * (1 << 23)) + 0xfff), odd), 13);
  ll_v small = ll_icmp(g, LLVMIntULT, magnitude, ll_iconst(g, g->i32, 113 << 23));
  ll_v r = ll_select(g, huge, special, ll_select(g, small, denormal, normal));
  return narrow16(g, or32(g, r, shr(g, sign, 16)));
}

static ll_v f16_to_f32(ll *g, ll_v x) {
  if (g->isa.f16c) return LLVMBuildFPExt(g->b, ll_bits(g, x, ll_vec(g, g->f16)), ll_vec(g, g->f32), "");
  ll_v h = wide32(g, x), exponent = and32(g, h, 0x7c00), body = shl(g, and32(g, h, 0x7fff), 13);
  ll_v special = add32(g, body, 224 << 23), normal = add32(g, body, 112 << 23);
  ll_v mantissa = LLVMBuildSIToFP(g->b, and32(g, h, 0x3ff), ll_vec(g, g->f32), "");
  ll_v denormal = bits_of(g, LLVMBuildFMul(g->b, mantissa, ll_fconst(g, g->f32, 0x1p-24), ""));
  ll_v r = ll_select(g, ll_icmp(g, LLVMIntEQ, exponent, ll_iconst(g, g->i32, 0x7c00)), special, normal);
  r = ll_select(g, ll_icmp(g, LLVMIntEQ, exponent, ll_iconst(g, g->i32, 0)), denormal, r);
  return float_of(g, or32(g, r, shl(g, and32(g, h, 0x8000), 16)));
}

/* ---- f8 -------------------------------------------------------------------------------------------- */

typedef struct format { /* as in ir/base/half.c */
  int mantissa, bias;
  int64_t largest, inf, nan; /* patterns */
} format;

static const format e4m3 = {3, 7, 0x7e, 0x7f, 0x7f}, e5m2 = {2, 15, 0x7b, 0x7c, 0x7e};
static const format *format_of(sn_elem e) { return e == SN_ELEM_F8E4M3 ? &e4m3 : &e5m2; }

/* As f16, but finite numbers that are too large become the largest. */
static ll_v f32_to_f8(ll *g, ll_v x, const format *f) {
  ll_v u = bits_of(g, x), sign = and32(g, u, (int64_t)0x80000000), magnitude = and32(g, u, 0x7fffffff);
  int drop = 23 - f->mantissa;
  int64_t magic = (int64_t)(127 - f->bias + drop + 1) << 23, shift = (int64_t)(127 - f->bias) << 23;
  ll_v shifted = LLVMBuildFAdd(g->b, float_of(g, magnitude), float_of(g, ll_iconst(g, g->i32, magic)), "");
  ll_v denormal = add32(g, bits_of(g, shifted), -magic);
  ll_v odd = and32(g, shr(g, magnitude, drop), 1);
  ll_v normal = shr(g, ll_add(g, add32(g, magnitude, ((int64_t)1 << (drop - 1)) - 1 - shift), odd), drop);
  ll_v small = ll_icmp(g, LLVMIntULT, magnitude, ll_iconst(g, g->i32, (int64_t)(128 - f->bias) << 23));
  ll_v most = ll_iconst(g, g->i32, f->largest), r = ll_select(g, small, denormal, normal);
  r = ll_select(g, ll_icmp(g, LLVMIntSGT, r, most), most, r);
  ll_v inf = ll_icmp(g, LLVMIntEQ, magnitude, ll_iconst(g, g->i32, 0x7f800000));
  r = ll_select(g, inf, ll_iconst(g, g->i32, f->inf), r);
  r = ll_select(g, ll_fcmp(g, LLVMRealUNO, x, x), ll_iconst(g, g->i32, f->nan), r);
  return LLVMBuildTrunc(g->b, or32(g, r, shr(g, sign, 24)), ll_vec(g, g->i8), "");
}

static ll_v f8_to_f32(ll *g, ll_v x, const format *f) {
  ll_v h = wide32(g, x), body = and32(g, h, 0x7f), exponent = shr(g, body, f->mantissa);
  ll_v normal = add32(g, shl(g, body, 23 - f->mantissa), (int64_t)(127 - f->bias) << 23);
  ll_v fraction = LLVMBuildSIToFP(g->b, body, ll_vec(g, g->f32), "");
  double step = f->mantissa == 3 ? 0x1p-9 : 0x1p-16;
  ll_v denormal = bits_of(g, LLVMBuildFMul(g->b, fraction, ll_fconst(g, g->f32, step), ""));
  ll_v r = ll_select(g, ll_icmp(g, LLVMIntEQ, exponent, ll_iconst(g, g->i32, 0)), denormal, normal);
  ll_v special = ll_icmp(g, LLVMIntSGT, body, ll_iconst(g, g->i32, f->largest));
  r = ll_select(g, special, ll_iconst(g, g->i32, 0x7fc00000), r);
  if (f->inf != f->nan)
    r = ll_select(g, ll_icmp(g, LLVMIntEQ, body, ll_iconst(g, g->i32, f->inf)), ll_iconst(g, g->i32, 0x7f800000), r);
  return float_of(g, or32(g, r, shl(g, and32(g, h, 0x80), 24)));
}

/* ---- all types --------------------------------------------------------------------------------------- */

static bool is_float(sn_elem e) { return e == SN_ELEM_F32 || e == SN_ELEM_F64; }

/* narrow types to the one they compute in: f32 for floats, i32 for integers and bool */
static ll_v widen(cg *c, ll_v x, sn_elem *e) {
  ll *g = &c->g;
  ll_t i32 = ll_vec(g, g->i32);
  switch (*e) {
    case SN_ELEM_BF16: *e = SN_ELEM_F32; return bf16_to_f32(g, x);
    case SN_ELEM_F16: *e = SN_ELEM_F32; return f16_to_f32(g, x);
    case SN_ELEM_F8E4M3:
    case SN_ELEM_F8E5M2: {
      const format *f = format_of(*e);
      *e = SN_ELEM_F32;
      return f8_to_f32(g, x, f);
    }
    case SN_ELEM_I8: *e = SN_ELEM_I32; return LLVMBuildSExt(g->b, x, i32, "");
    case SN_ELEM_U8:
    case SN_ELEM_BOOL: *e = SN_ELEM_I32; return LLVMBuildZExt(g->b, x, i32, "");
    default: return x;
  }
}

/* to a number of f32, f64 */
static ll_v to_float(cg *c, ll_v x, sn_elem from, sn_elem to) {
  LLVMBuilderRef b = c->g.b;
  ll_t t = ll_vec(&c->g, cg_reg(c, to));
  if (!is_float(from)) return LLVMBuildSIToFP(b, x, t, "");
  if (from == to) return x;
  return from == SN_ELEM_F32 ? LLVMBuildFPExt(b, x, t, "") : LLVMBuildFPTrunc(b, x, t, "");
}

static ll_v clamp_low(ll *g, ll_v x, double lo) {
  ll_v v = ll_fconst(g, LLVMGetElementType(LLVMTypeOf(x)), lo);
  return ll_select(g, ll_fcmp(g, LLVMRealOGT, x, v), x, v);
}
static ll_v clamp_high(ll *g, ll_v x, double hi) {
  ll_v v = ll_fconst(g, LLVMGetElementType(LLVMTypeOf(x)), hi);
  return ll_select(g, ll_fcmp(g, LLVMRealOLT, x, v), x, v);
}

/* Truncation that saturates; NaN gives 0. (LLVM 19 breaks llvm.fptosi.sat of vectors into elements.) */
static ll_v saturate(cg *c, ll_v x, sn_elem from, sn_elem to) {
  ll *g = &c->g;
  ll_t t = ll_vec(g, to == SN_ELEM_I64 ? g->i64 : g->i32), result = ll_vec(g, cg_reg(c, to));
  ll_v ordered = ll_fcmp(g, LLVMRealORD, x, x), r;
  if (to == SN_ELEM_I64 || (to == SN_ELEM_I32 && from == SN_ELEM_F32)) { /* the greatest integer is no float */
    double end = to == SN_ELEM_I64 ? 0x1p63 : 0x1p31;
    ll_v over = ll_fcmp(g, LLVMRealOGE, x, ll_fconst(g, cg_reg(c, from), end));
    ll_v most = ll_iconst(g, LLVMGetElementType(t), to == SN_ELEM_I64 ? INT64_MAX : INT32_MAX);
    r = ll_select(g, over, most, LLVMBuildFPToSI(g->b, clamp_low(g, x, -end), t, ""));
  } else {
    double lo = to == SN_ELEM_I32 ? INT32_MIN : to == SN_ELEM_I8 ? INT8_MIN : 0;
    double hi = to == SN_ELEM_I32 ? INT32_MAX : to == SN_ELEM_I8 ? INT8_MAX : UINT8_MAX;
    r = LLVMBuildFPToSI(g->b, clamp_high(g, clamp_low(g, x, lo), hi), t, "");
  }
  r = ll_select(g, ordered, r, LLVMConstNull(t));
  return t == result ? r : LLVMBuildTrunc(g->b, r, result, "");
}

/* to i64, i32, i8, u8: floats saturate, integers wrap */
static ll_v to_integer(cg *c, ll_v x, sn_elem from, sn_elem to) {
  if (is_float(from)) return saturate(c, x, from, to);
  return LLVMBuildIntCast2(c->g.b, x, ll_vec(&c->g, cg_reg(c, to)), 1, "");
}

ll_v cg_cast(cg *c, ll_v x, sn_elem from, sn_elem to) {
  ll *g = &c->g;
  if (from == to) return x;
  x = widen(c, x, &from);
  switch (to) {
    case SN_ELEM_F64:
    case SN_ELEM_F32: return to_float(c, x, from, to);
    case SN_ELEM_BF16: return f32_to_bf16(g, to_float(c, x, from, SN_ELEM_F32));
    case SN_ELEM_F16: return f32_to_f16(g, to_float(c, x, from, SN_ELEM_F32));
    case SN_ELEM_F8E4M3:
    case SN_ELEM_F8E5M2: return f32_to_f8(g, to_float(c, x, from, SN_ELEM_F32), format_of(to));
    case SN_ELEM_BOOL: {
      ll_v zero = LLVMConstNull(LLVMTypeOf(x));
      return is_float(from) ? ll_fcmp(g, LLVMRealUNE, x, zero) : ll_icmp(g, LLVMIntNE, x, zero);
    }
    default: return from == to ? x : to_integer(c, x, from, to);
  }
}
