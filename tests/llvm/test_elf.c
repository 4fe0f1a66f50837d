/* Object files -> images: a good object, external symbols, and objects damaged anywhere: a refusal, never a crash. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/llvm/elf.h"
#include "backends/llvm/kernel.h"
#include "ir/base/rng.h"
#include "tests/llvm/harness_programs.h"

typedef struct world {
  sn_arena *arena;
  sn_diags *diags;
  char *object;
  size_t bytes;
} world;

static int setup(void **state) {
  world *w = calloc(1, sizeof *w);
  w->arena = sn_arena_create(), w->diags = sn_diags_create();
  px_contract o = {64, 96, 32, 32, 32, 32, 32, .packed_b = true, .elem = SN_ELEM_F32, .bias = true, .gelu = true};
  sn_target t = sn_target_cpu(SN_ISA_AVX2);
  cg_isa isa = cg_isa_of(&t);
  cg_output out;
  assert_int_equal(cg_compile(px_contract_kernel(w->arena, &o), &isa, CG_OBJECT, w->arena, w->diags, &out), SN_OK);
  w->object = sn_arena_copy(w->arena, out.bytes, out.count), w->bytes = out.count;
  *state = w;
  return 0;
}

static int teardown(void **state) {
  world *w = *state;
  sn_diags_destroy(w->diags);
  sn_arena_destroy(w->arena);
  free(w);
  return 0;
}

static sn_code image(world *w, const char *object, size_t bytes, cg_image *out) {
  return cg_image_of_object(object, bytes, CG_ENTRY, w->arena, w->diags, out);
}

static Elf64_Shdr *sections(const world *w, char *object, int *count) {
  (void)w;
  Elf64_Ehdr *h = (Elf64_Ehdr *)(void *)object;
  *count = h->e_shnum;
  return (Elf64_Shdr *)(void *)(object + h->e_shoff);
}

static void code_comes_first(void **state) {
  world *w = *state;
  cg_image im;
  assert_int_equal(image(w, w->object, w->bytes, &im), SN_OK);
  assert_true(im.count > 0 && im.count % 64 == 0 && im.entry >= 0 && im.entry < im.count);
  assert_int_equal(cg_image_of_object(w->object, w->bytes, "absent", w->arena, w->diags, &im), SN_ERR_FAIL);
}

/* A function symbol that code refers to becomes undefined, as a call of libm would be. */
static void external_symbols_are_named(void **state) {
  world *w = *state;
  int count, changed = 0;
  Elf64_Shdr *s = sections(w, w->object, &count);
  for (int i = 0; i < count; i++) {
    if (s[i].sh_type != SHT_SYMTAB) continue;
    Elf64_Sym *symbol = (Elf64_Sym *)(void *)(w->object + s[i].sh_offset);
    for (size_t j = 1; j < s[i].sh_size / sizeof *symbol; j++) {
      if (strcmp(w->object + s[s[i].sh_link].sh_offset + symbol[j].st_name, CG_ENTRY))
        symbol[j].st_shndx = SHN_UNDEF, changed++;
    }
  }
  cg_image im;
  assert_true(changed > 0);
  assert_int_equal(image(w, w->object, w->bytes, &im), SN_ERR_FAIL);
  assert_non_null(strstr(w->diags->at[w->diags->count - 1].message, "external symbol"));
}

static void absolute_relocations_are_refused(void **state) {
  world *w = *state;
  int count;
  Elf64_Shdr *s = sections(w, w->object, &count);
  for (int i = 0; i < count; i++) {
    if (s[i].sh_type != SHT_RELA) continue;
    Elf64_Rela *r = (Elf64_Rela *)(void *)(w->object + s[i].sh_offset);
    for (size_t j = 0; j < s[i].sh_size / sizeof *r; j++)
      r[j].r_info = ELF64_R_INFO(ELF64_R_SYM(r[j].r_info), R_X86_64_64);
  }
  cg_image im;
  assert_int_equal(image(w, w->object, w->bytes, &im), SN_ERR_FAIL);
}

static void other_architectures_are_refused(void **state) {
  world *w = *state;
  cg_image im;
  ((Elf64_Ehdr *)(void *)w->object)->e_machine = EM_AARCH64;
  assert_int_equal(image(w, w->object, w->bytes, &im), SN_ERR_FAIL);
  assert_non_null(strstr(w->diags->at[w->diags->count - 1].message, "x86-64"));
}

static void damaged_objects_do_no_harm(void **state) {
  world *w = *state;
  sn_rng rng = {.seed = 5};
  for (int i = 0; i < 3000; i++) {
    sn_arena *arena = sn_arena_create();
    size_t bytes = i % 3 ? w->bytes : sn_rng_below(&rng, w->bytes + 1);
    char *copy = sn_arena_copy(arena, w->object, bytes);
    for (int j = 0; j < 4 && bytes; j++) {
      /* headers at the start, tables at the end */
      size_t at = sn_rng_below(&rng, bytes < 256 || j % 2 ? bytes : 64);
      if (j == 3 && bytes > 2048) at = bytes - 1 - sn_rng_below(&rng, 2048);
      copy[at] = (char)sn_rng_u32(&rng);
    }
    sn_diags *d = sn_diags_create();
    cg_image im = {0};
    if (cg_image_of_object(copy, bytes, CG_ENTRY, arena, d, &im) == SN_OK)
      assert_true(im.entry >= 0 && im.entry < im.count);
    else
      assert_true(d->count > 0);
    sn_diags_destroy(d);
    sn_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(code_comes_first, setup, teardown),
      cmocka_unit_test_setup_teardown(external_symbols_are_named, setup, teardown),
      cmocka_unit_test_setup_teardown(absolute_relocations_are_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(other_architectures_are_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(damaged_objects_do_no_harm, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
