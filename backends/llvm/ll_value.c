/* Scalars, memory and vectors of the LLVM vocabulary. */
#include <string.h>

#include "backends/llvm/ll.h"

ll_v ll_imin(ll *g, ll_v a, ll_v b) { return ll_select(g, ll_icmp(g, LLVMIntSLT, a, b), a, b); }
ll_v ll_imax(ll *g, ll_v a, ll_v b) { return ll_select(g, ll_icmp(g, LLVMIntSGT, a, b), a, b); }

bool ll_const(ll_v v, int64_t *out) {
  if (!LLVMIsAConstantInt(v)) return false;
  *out = LLVMConstIntGetSExtValue(v);
  return true;
}

/* ---- memory ------------------------------------------------------------------------------------- */

ll_v ll_load(ll *g, ll_t t, ll_v p, int align) {
  ll_v v = LLVMBuildLoad2(g->b, t, p, "");
  LLVMSetAlignment(v, (unsigned)align);
  return v;
}

ll_v ll_load_invariant(ll *g, ll_t t, ll_v p, int align) {
  ll_v v = ll_load(g, t, p, align);
  LLVMMetadataRef none = LLVMMDNodeInContext2(g->c, NULL, 0);
  LLVMSetMetadata(v, LLVMGetMDKindIDInContext(g->c, "invariant.load", 14), LLVMMetadataAsValue(g->c, none));
  return v;
}

void ll_store(ll *g, ll_v v, ll_v p, int align) { LLVMSetAlignment(LLVMBuildStore(g->b, v, p), (unsigned)align); }

void ll_store_around(ll *g, ll_v v, ll_v p, int align) {
  ll_v store = LLVMBuildStore(g->b, v, p);
  LLVMMetadataRef one = LLVMValueAsMetadata(ll_i32(g, 1));
  LLVMSetAlignment(store, (unsigned)align);
  LLVMSetMetadata(store, LLVMGetMDKindIDInContext(g->c, "nontemporal", sizeof "nontemporal" - 1),
                  LLVMMetadataAsValue(g->c, LLVMMDNodeInContext2(g->c, &one, 1)));
}

void ll_prefetch(ll *g, ll_v p, bool write) {
  ll_call(g, "llvm.prefetch", 1, &g->ptr, 4, (ll_v[]){p, ll_i32(g, write), ll_i32(g, 3), ll_i32(g, 1)});
}

void ll_prefetch_l2(ll *g, ll_v p) {
  ll_call(g, "llvm.prefetch", 1, &g->ptr, 4, (ll_v[]){p, ll_i32(g, 0), ll_i32(g, 2), ll_i32(g, 1)});
}

/* LLVM 22 moved the alignment of masked intrinsics from an operand to an attribute of the pointer. at: position of the
 * pointer */
static ll_v masked(ll *g, const char *name, const ll_t *over, int n, const ll_v *a, int at, int align) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  ll_t type = LLVMIntrinsicGetType(g->c, id, (ll_t *)over, 2);
  ll_v fn = LLVMGetIntrinsicDeclaration(g->m, id, (ll_t *)over, 2), args[5];
  bool operand = (int)LLVMCountParamTypes(type) == n + 1;
  int count = 0;
  for (int i = 0; i < n; i++) {
    args[count++] = a[i];
    if (i == at && operand) args[count++] = ll_i32(g, align);
  }
  ll_v call = LLVMBuildCall2(g->b, type, fn, args, (unsigned)count, "");
  if (!operand) {
    unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
    LLVMAddCallSiteAttribute(call, (unsigned)at + 1, LLVMCreateEnumAttribute(g->c, kind, (uint64_t)align));
  }
  return call;
}

static ll_t pointers(ll *g) { return LLVMVectorType(g->ptr, (unsigned)g->lanes); }

ll_v ll_masked_load(ll *g, ll_t t, ll_v p, int align, ll_v mask, ll_v pass) {
  return masked(g, "llvm.masked.load", (ll_t[]){t, g->ptr}, 3, (ll_v[]){p, mask, pass}, 0, align);
}
/* a constant mask with only the first lane set */
static bool only_first(ll *g, ll_v mask) { return mask == ll_first_lanes(g, 1); }

void ll_masked_store(ll *g, ll_v v, ll_v p, int align, ll_v mask) {
  if (only_first(g, mask)) { /* LLVM 22.1 stores too many bytes when such a store meets a truncation */
    ll_store(g, ll_lane0(g, v), p, align);
    return;
  }
  masked(g, "llvm.masked.store", (ll_t[]){LLVMTypeOf(v), g->ptr}, 3, (ll_v[]){v, p, mask}, 1, align);
}
ll_v ll_gather(ll *g, ll_t t, ll_v ptrs, int align, ll_v mask, ll_v pass) {
  return masked(g, "llvm.masked.gather", (ll_t[]){t, pointers(g)}, 3, (ll_v[]){ptrs, mask, pass}, 0, align);
}
void ll_scatter(ll *g, ll_v v, ll_v ptrs, int align, ll_v mask) {
  masked(g, "llvm.masked.scatter", (ll_t[]){LLVMTypeOf(v), pointers(g)}, 3, (ll_v[]){v, ptrs, mask}, 1, align);
}

/* ---- vectors ------------------------------------------------------------------------------------ */

ll_v ll_splat(ll *g, ll_v s) {
  ll_v none = LLVMGetPoison(ll_vec(g, LLVMTypeOf(s)));
  ll_v v = LLVMBuildInsertElement(g->b, none, s, ll_i32(g, 0), "");
  return LLVMBuildShuffleVector(g->b, v, none, LLVMConstNull(ll_vec(g, g->i32)), "");
}

ll_v ll_repeat(ll *g, ll_v constant) {
  ll_v v[LL_LANES];
  for (int i = 0; i < g->lanes; i++) v[i] = constant;
  return LLVMConstVector(v, (unsigned)g->lanes);
}

ll_v ll_fconst(ll *g, ll_t t, double v) { return ll_repeat(g, LLVMConstReal(t, v)); }
ll_v ll_iconst(ll *g, ll_t t, int64_t v) { return ll_repeat(g, LLVMConstInt(t, (uint64_t)v, 1)); }

ll_v ll_lane_numbers(ll *g, int64_t first) {
  ll_v v[LL_LANES];
  for (int i = 0; i < g->lanes; i++) v[i] = ll_i32(g, first + i);
  return LLVMConstVector(v, (unsigned)g->lanes);
}

ll_v ll_first_lanes(ll *g, int n) {
  ll_v v[LL_LANES];
  for (int i = 0; i < g->lanes; i++) v[i] = LLVMConstInt(g->i1, i < n, 0);
  return LLVMConstVector(v, (unsigned)g->lanes);
}

ll_v ll_lane0(ll *g, ll_v v) { return LLVMBuildExtractElement(g->b, v, ll_i32(g, 0), ""); }

ll_v ll_shuffle(ll *g, ll_v a, ll_v b, const int *lane_of) {
  ll_v m[LL_LANES];
  for (int i = 0; i < g->lanes; i++) m[i] = ll_i32(g, lane_of[i]);
  return LLVMBuildShuffleVector(g->b, a, b, LLVMConstVector(m, (unsigned)g->lanes), "");
}

void ll_transpose(ll *g, ll_v *r) {
  int lanes = g->lanes;
  for (int s = 1; s < lanes; s *= 2) {
    int lo[LL_LANES], hi[LL_LANES];
    for (int e = 0; e < lanes; e++) {
      lo[e] = e & s ? lanes + (e & ~s) : e;
      hi[e] = e & s ? lanes + e : e | s;
    }
    for (int i = 0; i < lanes; i++) {
      if (i & s) continue;
      ll_v x = r[i], y = r[i | s];
      r[i] = ll_shuffle(g, x, y, lo);
      r[i | s] = ll_shuffle(g, x, y, hi);
    }
  }
}

ll_v ll_call(ll *g, const char *name, int n_overloads, const ll_t *over, int n, ll_v *a) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  ll_v fn = LLVMGetIntrinsicDeclaration(g->m, id, (ll_t *)over, (size_t)n_overloads);
  return LLVMBuildCall2(g->b, LLVMIntrinsicGetType(g->c, id, (ll_t *)over, (size_t)n_overloads), fn, a, (unsigned)n,
                        "");
}

ll_v ll_call_same(ll *g, const char *name, ll_v x) {
  ll_t t = LLVMTypeOf(x);
  return ll_call(g, name, 1, &t, 1, &x);
}

ll_v ll_fma(ll *g, ll_v a, ll_v b, ll_v c) {
  if (!g->isa.fma) return LLVMBuildFAdd(g->b, LLVMBuildFMul(g->b, a, b, ""), c, "");
  ll_t t = LLVMTypeOf(a);
  return ll_call(g, "llvm.fma", 1, &t, 3, (ll_v[]){a, b, c});
}

ll_v ll_fma_exact(ll *g, ll_v a, ll_v b, ll_v c) {
  ll_t t = LLVMTypeOf(a), wide = LLVMVectorType(g->f64, (unsigned)g->lanes);
  if (g->isa.fma || t != ll_vec(g, g->f32)) return ll_fma(g, a, b, c);
  ll_v product = LLVMBuildFMul(g->b, LLVMBuildFPExt(g->b, a, wide, ""), LLVMBuildFPExt(g->b, b, wide, ""), "");
  return LLVMBuildFPTrunc(g->b, LLVMBuildFAdd(g->b, product, LLVMBuildFPExt(g->b, c, wide, ""), ""), t, "");
}
