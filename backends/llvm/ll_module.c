/* One compilation: target machine, context, functions, optimisation, machine code in memory. */
#include <pthread.h>
#include <string.h>

#include "backends/llvm/library.h"
#include "backends/llvm/ll.h"

static const char triple[] = "x86_64-unknown-linux-gnu";
/* Kernels arrive in their final form: common subexpressions, invariants and dead branches are all that is left to do.
 */
static const char passes[] = "function(early-cse,loop-mssa(licm),early-cse,simplifycfg)";

static pthread_once_t targets_once = PTHREAD_ONCE_INIT;

static void init_targets(void) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
}

static sn_code refuse(sn_diags *diags, sn_code code, const char *what, const char *message) {
  return sn_fail(diags, code, (sn_loc){0}, "code generator: %s: %.2000s", what, message ? message : "unknown");
}

static LLVMTargetMachineRef machine_of(const cg_isa *isa, sn_diags *diags) {
  LLVMTargetRef target = NULL;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(triple, &target, &message)) {
    (void)refuse(diags, SN_ERR_DEVICE, "no x86-64 target", message);
    LLVMDisposeMessage(message);
    return NULL;
  }
  return LLVMCreateTargetMachine(target, triple, isa->cpu, isa->features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                 LLVMCodeModelDefault);
}

static void init_types(ll *g) {
  LLVMContextRef c = g->c;
  g->f64 = LLVMDoubleTypeInContext(c);
  g->f32 = LLVMFloatTypeInContext(c);
  g->f16 = LLVMHalfTypeInContext(c);
  g->bf16 = LLVMBFloatTypeInContext(c);
  g->i1 = LLVMInt1TypeInContext(c);
  g->i8 = LLVMInt8TypeInContext(c);
  g->i16 = LLVMInt16TypeInContext(c);
  g->i32 = LLVMInt32TypeInContext(c);
  g->i64 = LLVMInt64TypeInContext(c);
  g->ptr = LLVMPointerTypeInContext(c, 0);
  g->none = LLVMVoidTypeInContext(c);
}

static void attribute_text(ll *g, const char *key, const char *value) {
  LLVMAttributeRef a = LLVMCreateStringAttribute(g->c, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(g->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

static void attribute(ll *g, unsigned at, const char *key) {
  unsigned kind = LLVMGetEnumAttributeKindForName(key, strlen(key));
  if (kind) LLVMAddAttributeAtIndex(g->fn, at, LLVMCreateEnumAttribute(g->c, kind, 0));
}

ll_v ll_function(ll *g, const char *name, int n, const ll_t *args, bool internal) {
  g->fn = LLVMAddFunction(g->m, name, LLVMFunctionType(g->none, (ll_t *)args, (unsigned)n, 0));
  for (int i = 0; i < n; i++)
    if (args[i] == g->ptr) attribute(g, (unsigned)i + 1, "noalias");
  attribute(g, (unsigned)LLVMAttributeFunctionIndex, "nounwind");
  attribute_text(g, "no-builtins", "true");
  attribute_text(g, "target-cpu", g->isa.cpu);
  attribute_text(g, "tune-cpu", g->isa.tune);
  attribute_text(g, "target-features", g->isa.features);
  attribute_text(g, "prefer-vector-width", g->isa.width);
  if (internal) {
    LLVMSetLinkage(g->fn, LLVMInternalLinkage);
    attribute(g, (unsigned)LLVMAttributeFunctionIndex, "noinline");
  }
  LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->c, g->fn, "entry"));
  return g->fn;
}

sn_code ll_begin(ll *g, const char *name, const cg_isa *isa, sn_arena *arena, sn_diags *diags) {
  *g = (ll){.isa = *isa, .lanes = isa->lanes, .arena = arena};
  SN_TRY(ll_library_open(diags));
  pthread_once(&targets_once, init_targets);
  g->machine = machine_of(isa, diags);
  if (!g->machine) return SN_ERR_DEVICE;
  g->c = LLVMContextCreate();
  g->m = LLVMModuleCreateWithNameInContext(name, g->c);
  g->b = LLVMCreateBuilderInContext(g->c);
  init_types(g);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(g->machine);
  LLVMSetModuleDataLayout(g->m, layout);
  LLVMDisposeTargetData(layout);
  LLVMSetTarget(g->m, triple);
  return SN_OK;
}

void ll_end(ll *g) {
  if (g->b) LLVMDisposeBuilder(g->b);
  if (g->m) LLVMDisposeModule(g->m);
  if (g->c) LLVMContextDispose(g->c);
  if (g->machine) LLVMDisposeTargetMachine(g->machine);
  *g = (ll){0};
}

sn_code ll_optimise(ll *g, sn_diags *diags) {
  char *message = NULL;
  sn_code code = SN_OK;
  if (LLVMVerifyModule(g->m, LLVMReturnStatusAction, &message))
    code = refuse(diags, SN_ERR_FAIL, "invalid code", message);
  LLVMDisposeMessage(message);
  if (code) return code;
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(g->m, passes, g->machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (!error) return SN_OK;
  char *text = LLVMGetErrorMessage(error);
  code = refuse(diags, SN_ERR_FAIL, "optimisation failed", text);
  LLVMDisposeErrorMessage(text);
  return code;
}

typedef struct room {
  sn_arena *arena;
  size_t bytes;
  char *at;
} room;

static int take_room(void *arg) {
  room *r = arg;
  r->at = sn_arena_alloc(r->arena, r->bytes);
  return SN_OK;
}

sn_code ll_emit(ll *g, bool assembly, sn_arena *arena, sn_diags *diags, const char **out, size_t *out_bytes) {
  char *message = NULL;
  LLVMMemoryBufferRef buffer = NULL;
  LLVMCodeGenFileType kind = assembly ? LLVMAssemblyFile : LLVMObjectFile;
  if (LLVMTargetMachineEmitToMemoryBuffer(g->machine, g->m, kind, &message, &buffer)) {
    sn_code code = refuse(diags, SN_ERR_FAIL, "no machine code", message);
    LLVMDisposeMessage(message);
    return code;
  }
  *out_bytes = LLVMGetBufferSize(buffer);
  room copy = {.arena = arena, .bytes = *out_bytes + 1};
  sn_code code = (sn_code)sn_protect(take_room, &copy); /* the buffer is freed also when memory runs out */
  if (!code) memcpy(copy.at, LLVMGetBufferStart(buffer), *out_bytes);
  LLVMDisposeMemoryBuffer(buffer);
  *out = copy.at;
  return code ? sn_fail(diags, code, (sn_loc){0}, "no memory for code") : SN_OK;
}
