/* A small vocabulary over the LLVM C API: module, values, vectors, masked memory, structured control.
 * One `ll` is one compilation with its own context, so several may run at once.
 * owns: ll_begin acquires LLVM objects, ll_end releases them. */
#ifndef SN_BACKENDS_LLVM_LL_H
#define SN_BACKENDS_LLVM_LL_H

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "backends/llvm/features.h"
#include "ir/base/status.h"
#include "ir/base/str.h"

typedef LLVMValueRef ll_v;
typedef LLVMTypeRef ll_t;

enum { LL_LANES = 16, LL_CARRY = 96 }; /* largest lane count; most values carried round a loop */

/* Values that were emitted at some point and dominate what follows in the open scope. Loops and branches restore the
 * state of their entry when they end. */
typedef struct ll_memo {
  ll_v *at;            /* NULL: not emitted in this scope */
  int *trail;          /* keys in order of insertion */
  int count, capacity; /* of trail */
} ll_memo;

typedef struct ll {
  LLVMContextRef c;
  LLVMModuleRef m;
  LLVMBuilderRef b;
  LLVMTargetMachineRef machine;
  cg_isa isa;
  int lanes;
  ll_t f64, f32, f16, bf16, i1, i8, i16, i32, i64, ptr, none;
  ll_v fn;         /* the function being built */
  sn_arena *arena; /* scratch */
  ll_memo memo;
} ll;

/* errors: SN_ERR_DEVICE when LLVM is not there, or has no x86-64 target. On failure nothing is held. */
SN_MUST sn_code ll_begin(ll *g, const char *name, const cg_isa *isa, sn_arena *arena, sn_diags *diags);
void ll_end(ll *g);
/* Adds a function returning nothing and moves the builder to its entry. internal: local and never inlined. */
ll_v ll_function(ll *g, const char *name, int n, const ll_t *args, bool internal);

/* ---- scalars ------------------------------------------------------------------------------------ */
static inline ll_t ll_vec(ll *g, ll_t t) { return LLVMVectorType(t, (unsigned)g->lanes); }
static inline ll_v ll_i(ll *g, int64_t v) { return LLVMConstInt(g->i64, (uint64_t)v, 1); }
static inline ll_v ll_i32(ll *g, int64_t v) { return LLVMConstInt(g->i32, (uint64_t)v, 1); }
static inline ll_v ll_add(ll *g, ll_v a, ll_v b) { return LLVMBuildAdd(g->b, a, b, ""); }
static inline ll_v ll_sub(ll *g, ll_v a, ll_v b) { return LLVMBuildSub(g->b, a, b, ""); }
static inline ll_v ll_mul(ll *g, ll_v a, ll_v b) { return LLVMBuildMul(g->b, a, b, ""); }
static inline ll_v ll_and(ll *g, ll_v a, ll_v b) { return LLVMBuildAnd(g->b, a, b, ""); }
static inline ll_v ll_select(ll *g, ll_v c, ll_v a, ll_v b) { return LLVMBuildSelect(g->b, c, a, b, ""); }
static inline ll_v ll_icmp(ll *g, LLVMIntPredicate p, ll_v a, ll_v b) { return LLVMBuildICmp(g->b, p, a, b, ""); }
static inline ll_v ll_fcmp(ll *g, LLVMRealPredicate p, ll_v a, ll_v b) { return LLVMBuildFCmp(g->b, p, a, b, ""); }
static inline ll_v ll_bits(ll *g, ll_v a, ll_t t) { return LLVMBuildBitCast(g->b, a, t, ""); }
static inline ll_v ll_gep(ll *g, ll_v p, ll_v bytes) { return LLVMBuildGEP2(g->b, g->i8, p, &bytes, 1, ""); }
ll_v ll_imin(ll *g, ll_v a, ll_v b);
ll_v ll_imax(ll *g, ll_v a, ll_v b);
bool ll_const(ll_v v, int64_t *out); /* is it a constant integer? */

/* ---- memory ------------------------------------------------------------------------------------- */
ll_v ll_load(ll *g, ll_t t, ll_v p, int align);
/* From memory that nobody writes during the kernel. */
ll_v ll_load_invariant(ll *g, ll_t t, ll_v p, int align);
void ll_store(ll *g, ll_v v, ll_v p, int align);
void ll_store_around(ll *g, ll_v v, ll_v p, int align); /* the caches */
void ll_prefetch(ll *g, ll_v p, bool write);
void ll_prefetch_l2(ll *g, ll_v p); /* into the second level cache */
/* The signature of masked intrinsics differs between LLVM versions; these hide it. p: pointer, ptrs: vector of
 * pointers. */
ll_v ll_masked_load(ll *g, ll_t t, ll_v p, int align, ll_v mask, ll_v pass);
void ll_masked_store(ll *g, ll_v v, ll_v p, int align, ll_v mask);
ll_v ll_gather(ll *g, ll_t t, ll_v ptrs, int align, ll_v mask, ll_v pass);
void ll_scatter(ll *g, ll_v v, ll_v ptrs, int align, ll_v mask);

/* ---- vectors ------------------------------------------------------------------------------------ */
ll_v ll_splat(ll *g, ll_v scalar);
ll_v ll_repeat(ll *g, ll_v constant);    /* constant vector of one constant */
ll_v ll_fconst(ll *g, ll_t t, double v); /* t: f32 or f64 */
ll_v ll_iconst(ll *g, ll_t t, int64_t v);
ll_v ll_lane_numbers(ll *g, int64_t first); /* i32: first, first + 1, ... */
ll_v ll_first_lanes(ll *g, int n);          /* constant mask: the first n lanes */
ll_v ll_lane0(ll *g, ll_v v);
ll_v ll_shuffle(ll *g, ll_v a, ll_v b, const int *lane_of);
/* r[i][j] <-> r[j][i] of lanes x lanes */
void ll_transpose(ll *g, ll_v *r);
ll_v ll_call(ll *g, const char *intrinsic, int n_overloads, const ll_t *over, int n, ll_v *a);
ll_v ll_call_same(ll *g, const char *intrinsic, ll_v x); /* one operand, overloaded on its type */
ll_v ll_fma(ll *g, ll_v a, ll_v b, ll_v c);              /* mul and add where the level has no fma */
ll_v ll_fma_exact(ll *g, ll_v a, ll_v b, ll_v c);        /* of f32: the product is exact at every level */

/* ---- scopes of emitted values -------------------------------------------------------------------- */
void ll_memo_begin(ll *g, int keys);
static inline ll_v ll_recall(const ll *g, int key) { return g->memo.at[key]; }
ll_v ll_remember(ll *g, int key, ll_v v);
static inline int ll_scope(const ll *g) { return g->memo.count; }
void ll_scope_end(ll *g, int mark);

/* ---- control ------------------------------------------------------------------------------------ */
typedef struct ll_loop {
  ll_v iv, hi, step;
  ll_v phi[LL_CARRY], out[LL_CARRY], init[LL_CARRY];
  LLVMBasicBlockRef before, body, exit;
  int count, scope;
  bool guard;
} ll_loop;
/* for (iv = lo; iv < hi; iv += step) with carried values; guard: may run zero times */
void ll_loop_begin(ll *g, ll_loop *l, ll_v lo, ll_v hi, ll_v step, int n, const ll_v *init, bool guard);
void ll_loop_end(ll *g, ll_loop *l, const ll_v *next); /* l->out: values after the loop */

typedef struct ll_branch {
  LLVMBasicBlockRef then_end, else_begin, end;
  int scope;
} ll_branch;
void ll_if(ll *g, ll_branch *br, ll_v cond);
void ll_else(ll *g, ll_branch *br);
void ll_endif(ll *g, ll_branch *br); /* the current block joins both */

/* ---- the finished module ---------------------------------------------------------------------------- */
/* Verifies and optimises. errors: SN_ERR_FAIL with LLVM's message. */
SN_MUST sn_code ll_optimise(ll *g, sn_diags *diags);
/* Machine code; asm: text instead of an object. owns: arena. */
SN_MUST sn_code ll_emit(ll *g, bool assembly, sn_arena *arena, sn_diags *diags, const char **out, size_t *out_bytes);

#endif
