/* Every register tile of every feature level: a kernel whose macro tile is that tile has its microkernel, which touches
 * the stack with no vector register, and no function of a library is called (an image with an outer symbol is refused).
 * Code is made for all levels on any machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/llvm/features.h"
#include "tests/llvm/harness.h"
#include "tests/llvm/harness_programs.h"
#include "tests/llvm/harness_spills.h"

typedef struct form { /* of operands */
  const char *name;
  bool packed_b, ta, symbolic, vnni;
  sn_elem elem;
} form;

static const form forms[] = {
    {"packed", .packed_b = true, .elem = SN_ELEM_F32},
    {"in place", .elem = SN_ELEM_F32},
    {"in place, any k", .symbolic = true, .elem = SN_ELEM_F32},
    {"in place, transposed", .symbolic = true, .ta = true, .elem = SN_ELEM_F32},
    {"transposed", .packed_b = true, .ta = true, .elem = SN_ELEM_F32},
    {"bf16", .packed_b = true, .elem = SN_ELEM_BF16},
    {"pairs", .packed_b = true, .vnni = true, .elem = SN_ELEM_BF16},
};
enum { FORMS = sizeof forms / sizeof *forms };

/* The microkernel of the tile is there, and none spills. */
static void check_tile(const sn_target *t, const cg_isa *isa, const form *f, int rows, int columns) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const px_contract o = {rows,
                         columns,
                         256,
                         rows,
                         columns,
                         f->symbolic ? 64 : 256,
                         rows,
                         .packed_b = f->packed_b,
                         .symbolic = f->symbolic,
                         .elem = f->elem,
                         .vnni = f->vnni,
                         .ta = f->ta};
  sn_kernel *k = px_contract_kernel(arena, &o);
  sn_text text = sn_text_begin(arena);
  char label[32];
  int functions = 0;
  snprintf(label, sizeof label, "_%dx%d:", rows, (columns + isa->lanes - 1) / isa->lanes * isa->lanes);
  if (sn_backend_llvm()->show(t, k, "asm", &text, diags)) fail_msg("%s", sn_diags_print(diags, arena));
  if (hx_microkernel_spills(text.at, &functions))
    fail_msg("%s: the tile %d x %d spills (%s)", t->features, rows, columns, f->name);
  if (!strstr(text.at, label)) fail_msg("%s: no microkernel %s of %d (%s)", t->features, label, functions, f->name);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static bool has_form(const sn_target *t, const form *f) { return !f->vnni || strstr(t->features, "avx512bf16"); }

/* Every tile of packed f32; the largest of each width, whole and with a tail, in every form. */
static void check_level(const char *name) {
  sn_target t;
  assert_true(sn_target_find_level(name, &t) >= 0);
  cg_isa isa = cg_isa_of(&t);
  for (int v = 1; v <= isa.nv; v++) {
    for (int rows = 1; rows < isa.rows[v]; rows++) check_tile(&t, &isa, &forms[0], rows, v * isa.lanes);
    for (int f = 0; f < FORMS; f++)
      for (int tail = 0; tail < 2 && has_form(&t, &forms[f]); tail++)
        check_tile(&t, &isa, &forms[f], isa.rows[v], v * isa.lanes - tail * 3);
  }
}

static void baseline(void **state) { (void)state, check_level("baseline"); }
static void avx2(void **state) { (void)state, check_level("avx2"); }
static void avx512(void **state) { (void)state, check_level("avx512"); }
static void avx512bf16(void **state) { (void)state, check_level("avx512bf16"); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(baseline), cmocka_unit_test(avx2), cmocka_unit_test(avx512),
                                     cmocka_unit_test(avx512bf16)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
