/* Random tile programs on a backend. */
#include <string.h>

#include "backends/conform/conform.h"
#include "backends/conform/device.h"
#include "ir/ref/krandom.h"
#include "passes/kernel/kernel_passes.h"
#include "runtime/cpu/image.h"

enum { GUARD = 256, MORE = 600 };

/* ---- running the code of one kernel ------------------------------------------------------------------------------ */

typedef struct made {
  const sn_kernel *kernel;
  const sn_code_blob *blob;
  sn_kernel *parsed; /* of kernel text */
  sn_image *image;   /* of native code */
  unsigned char *workspace;
  sn_arena *arena;
  sn_diags *diags;
} made;

static sn_code load(made *c) {
  sn_plan plan = {.code_count = 1, .code = (sn_code_blob *)(uintptr_t)c->blob};
  if (c->blob->workspace_bytes < 0 || c->blob->workspace_bytes > INT64_C(1) << 32)
    return sn_fail(c->diags, SN_ERR_LIMIT, (sn_loc){0}, "the code asks for %lld bytes of workspace",
                   (long long)c->blob->workspace_bytes);
  unsigned char *at = sn_arena_alloc(c->arena, (size_t)c->blob->workspace_bytes + GUARD + 64);
  c->workspace = at + (64 - (uintptr_t)at % 64) % 64;
  if (c->blob->kind == SN_CODE_KERNEL_TEXT)
    return sn_kernel_parse(c->arena, c->diags, "code", (const char *)c->blob->bytes, (size_t)c->blob->byte_count,
                           &c->parsed);
  if (c->blob->kind != SN_CODE_CPU)
    return sn_fail(c->diags, SN_ERR_DEVICE, (sn_loc){0}, "this build has no device that runs the code");
  return sn_image_create(&plan, c->diags, &c->image);
}

static sn_code run_range(made *c, const sn_krandom_case *k, const sn_karg *args, int64_t lo, int64_t hi) {
  if (c->parsed) {
    sn_kinterp in = {.diags = c->diags, .args = args, .elements = k->elements, .round = true, .lo = lo, .hi = hi};
    return sn_kinterp_run(&in, c->parsed);
  }
  sn_rt_arg native[SN_K_PARAMS];
  for (int j = 0; j < c->kernel->param_count; j++) memcpy(&native[j], &args[j], sizeof native[j]);
  sn_image_entry(c->image, 0)(native, c->workspace, lo, hi);
  return SN_OK;
}

/* Forwards at once, or one by one backwards, on a workspace of NaN with guard words behind. */
static sn_code run_all(made *c, const sn_krandom_case *k, const sn_karg *args, bool backwards) {
  int64_t n = sn_kernel_instances(c->kernel, args);
  size_t bytes = (size_t)c->blob->workspace_bytes;
  memset(c->workspace, 0xff, bytes);
  memset(c->workspace + bytes, 0xa5, GUARD);
  sn_code code = SN_OK;
  if (!backwards) code = run_range(c, k, args, 0, n);
  for (int64_t i = n; backwards && i > 0 && !code; i--) code = run_range(c, k, args, i - 1, i);
  for (int i = 0; i < GUARD && !code; i++)
    if (c->workspace[bytes + (size_t)i] != 0xa5)
      code = sn_fail(c->diags, SN_ERR_FAIL, (sn_loc){0}, "the code writes beyond its workspace");
  return code;
}

/* ---- one program ------------------------------------------------------------------------------------------------- */

/* Copies of the arguments between guard words. */
static void guarded(sn_arena *arena, const sn_kernel *k, const sn_krandom_case *c, sn_karg *args) {
  for (int j = 0; j < k->param_count; j++) {
    args[j] = c->args[j];
    if (k->param[j].role == SN_K_SIZE) continue;
    size_t bytes = (size_t)c->elements[j] * sn_elem_bytes(k->param[j].elem);
    unsigned char *at = sn_arena_alloc(arena, bytes + 2 * GUARD + 64);
    at += (64 - (uintptr_t)at % 64) % 64;
    memset(at, 0xa5, bytes + 2 * GUARD);
    args[j].p = memcpy(at + GUARD, c->args[j].p, bytes);
  }
}

static const char *check_guards(sn_arena *arena, const sn_kernel *k, const sn_krandom_case *c, const sn_karg *args) {
  for (int j = 0; j < k->param_count; j++) {
    if (k->param[j].role == SN_K_SIZE) continue;
    size_t bytes = (size_t)c->elements[j] * sn_elem_bytes(k->param[j].elem);
    const unsigned char *at = args[j].p;
    for (int i = 1; i <= GUARD; i++)
      if (at[-i] != 0xa5 || at[bytes + (size_t)i - 1] != 0xa5)
        return sn_arena_printf(arena, "memory beside %s was written", k->param[j].name);
    if (k->param[j].role == SN_K_IN && memcmp(at, c->args[j].p, bytes))
      return sn_arena_printf(arena, "the input %s was written", k->param[j].name);
  }
  return NULL;
}

static const char *same_bits(sn_arena *arena, const sn_kernel *k, const sn_krandom_case *c, const sn_karg *x,
                             const sn_karg *y) {
  for (int j = 0; j < k->param_count; j++)
    if (k->param[j].role != SN_K_SIZE &&
        memcmp(x[j].p, y[j].p, (size_t)c->elements[j] * sn_elem_bytes(k->param[j].elem)))
      return sn_arena_printf(arena, "bits of %s depend on how the grid is split", k->param[j].name);
  return NULL;
}

/* -> what is wrong; NULL: nothing */
static const char *compare(made *c, const sn_krandom_case *k) {
  sn_karg args[2][SN_K_PARAMS];
  const char *why = NULL;
  for (int way = 0; way < 2; way++) {
    guarded(c->arena, c->kernel, k, args[way]);
    if (run_all(c, k, args[way], way == 1)) return sn_diags_print(c->diags, c->arena);
    why = check_guards(c->arena, c->kernel, k, args[way]);
    if (why) return why;
    if (!sn_krandom_check(c->arena, c->kernel, k, args[way], &why)) return why;
  }
  return same_bits(c->arena, c->kernel, k, args[0], args[1]);
}

/* Programs of odd seeds have elementary functions and take the way that the compiler's kernels take; those of even
 * seeds are as they were drawn. */
static sn_kernel *draw(sn_arena *arena, const sn_target *t, uint64_t seed, sn_krandom_case *c) {
  c->avoid = (t->vnni ? 0 : SN_KRANDOM_NO_VNNI) | (seed % 2 ? 0 : SN_KRANDOM_NO_MATH);
  sn_kernel *k = sn_krandom(arena, seed, c);
  if (seed % 2 == 0) return k;
  return sn_kernel_finish(arena, sn_kernel_simplify(arena, sn_kernel_expand_math(arena, sn_kernel_simplify(arena, k))));
}

typedef struct trial {
  const sn_conform_opt *opt;
  uint64_t seed;
  sn_arena *arena; /* of this program */
  sn_arena *kept;  /* of the result */
  sn_conform *out;
  int64_t *ops;
} trial;

/* Twice: a device gives the same bits again. */
static const char *compare_on_device(made *c, const sn_krandom_case *k) {
  sn_karg args[2][SN_K_PARAMS];
  const char *why = NULL;
  for (int way = 0; way < 2; way++) {
    if (sn_conform_on_device(c->arena, c->kernel, c->blob, k, args[way], c->diags))
      return sn_diags_print(c->diags, c->arena);
    if (!sn_krandom_check(c->arena, c->kernel, k, args[way], &why)) return why;
  }
  return same_bits(c->arena, c->kernel, k, args[0], args[1]);
}

/* The same code again. */
static const char *made_again(trial *t, const made *c) {
  sn_code_blob again = {0};
  if (t->opt->backend->emit(t->opt->target, c->kernel, t->arena, c->diags, &again))
    return sn_diags_print(c->diags, t->arena);
  bool same = again.byte_count == c->blob->byte_count && !memcmp(again.bytes, c->blob->bytes, (size_t)again.byte_count);
  return same ? NULL : "other code the second time";
}

static const char *try_kernel(trial *t, const sn_kernel *k, const sn_krandom_case *c) {
  sn_code_blob blob = {0};
  made run = {.kernel = k, .blob = &blob, .arena = t->arena, .diags = sn_diags_create()};
  if (!run.diags) return "out of memory";
  const char *wrong = NULL;
  if (t->opt->backend->emit(t->opt->target, k, t->arena, run.diags, &blob))
    wrong = sn_diags_print(run.diags, t->arena);
  else if (t->opt->made)
    wrong = made_again(t, &run);
  else if (blob.kind == SN_CODE_SPIRV)
    wrong = compare_on_device(&run, c);
  else if (load(&run))
    wrong = sn_diags_print(run.diags, t->arena);
  else
    wrong = compare(&run, c);
  sn_image_destroy(run.image);
  sn_diags_destroy(run.diags);
  return wrong;
}

static int one_program(void *arg) {
  trial *t = arg;
  sn_krandom_case c = {0};
  const char *why = NULL;
  sn_kernel *k = draw(t->arena, t->opt->target, t->seed, &c);
  if (c.error) return SN_OK; /* the generator's mistake: its own test finds it */
  if (!t->opt->backend->supports(t->opt->target, k, t->arena, &why)) {
    sn_conform_refuse(t->out, why ? why : "no reason given", t->kept);
    return SN_OK;
  }
  const char *wrong = try_kernel(t, k, &c);
  t->out->run++;
  for (int v = 1; v < k->ins_count; v++) t->ops[k->ins[v].op]++;
  if (!wrong) return SN_OK;
  sn_text text = sn_text_begin(t->kept);
  sn_kernel_print(&text, k);
  sn_conform_fail(t->out, t->kept, "program of seed %llu: %s\n%s", (unsigned long long)t->seed, wrong, text.at);
  return SN_OK;
}

/* ---- the suite
 * ------------------------------------------------------------------------------------------------------- */

/* EXP .. ERF become polynomials before a backend sees them; f64 keeps them, which it may refuse. */
static bool counts(int op) { return op != SN_K_NONE && !(op >= SN_K_EXP2 && op <= SN_K_ERF); }

static int unseen(const int64_t *ops) {
  int n = 0;
  for (int op = 0; op < SN_K_COUNT; op++) n += counts(op) && !ops[op];
  return n;
}

void sn_conform_programs(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out) {
  int64_t ops[SN_K_COUNT] = {0};
  *out = (sn_conform){0};
  for (int i = 0; i < opt->count || (i < opt->count + MORE && !opt->exactly && out->run && !out->failed && unseen(ops));
       i++) {
    trial t = {opt, opt->seed + (uint64_t)i, sn_arena_create(), arena, out, ops};
    if (!t.arena || sn_protect(one_program, &t)) sn_conform_fail(out, arena, "out of memory");
    sn_arena_destroy(t.arena);
  }
  sn_text missing = sn_text_begin(arena);
  for (int op = 0; op < SN_K_COUNT; op++) {
    if (!counts(op)) continue;
    out->all++;
    out->seen += ops[op] > 0;
    if (!ops[op]) sn_text_add(&missing, " %s", sn_kop_name((sn_kop)op));
  }
  out->missing = missing.at;
  if (out->seen < out->all && !opt->exactly) sn_conform_fail(out, arena, "in no program that was taken:%s", missing.at);
}
