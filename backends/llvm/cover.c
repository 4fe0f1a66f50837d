/* One walk over a kernel: is there an emission rule for every instruction? Everything in kop.def is covered except the
 * elementary functions, which are expanded before, and products of packed bf16 pairs outside of their hardware's
 * shapes. */
#include "backends/llvm/cover.h"

#include "backends/llvm/cg.h"

/* b of packed pairs: a slot, or a window whose rows are contiguous and complete in columns */
static bool readable_pairs(const sn_kernel *k, sn_kv v) {
  const sn_kins *x = sn_k_ins(k, v);
  int64_t cs, least, most;
  sn_kclass class = sn_kop_class(x->op);
  if (class == SN_KCLASS_SRC || x->op == SN_K_BCAST) return false;
  if (x->op != SN_K_LOAD) return true;
  if (!sn_k_is_const(k, x->a[3], &cs) || cs != 1 || x->f != 0) return false;
  if (!x->a[5]) return true;
  sn_k_bounds(k, x->a[5], &least, &most);
  return least >= x->type.c;
}

static const char *packed_product(const sn_kernel *k, const sn_kins *x, const cg_isa *isa) {
  if (!isa->bf16) return "packed bf16 pairs need AMX tiles or bf16 products (avx512bf16)";
  if (x->i & SN_K_TA && !cg_tile_product(k, x, isa)) return "packed bf16 pairs with a transposed first operand";
  if (!readable_pairs(k, x->a[2])) return "packed bf16 pairs must be contiguous rows without padding";
  return NULL;
}

static const char *uncovered(const sn_kernel *k, sn_kv v, const cg_isa *isa) {
  const sn_kins *x = sn_k_ins(k, v);
  if (sn_kop_is_elementary(x->op)) return "is an elementary function, which passes/kernel/math expands first";
  if (x->op == SN_K_MMA && x->i & SN_K_VNNI) return packed_product(k, x, isa);
  return NULL;
}

const char *cg_uncovered(const sn_kernel *k, const cg_isa *isa, sn_arena *arena) {
  for (sn_kv v = 1; v < k->ins_count; v++) {
    const char *why = uncovered(k, v, isa);
    if (why) return sn_arena_printf(arena, "%%%d %s: %s", v, sn_kop_name(sn_k_ins(k, v)->op), why);
  }
  return NULL;
}
