/* Rules of order: sections of a module, functions, blocks. */
#include "backends/spirv/spv_verify.h"

/* ---- sections ---------------------------------------------------------------------------------------------------- */

enum { DECLARATIONS = 10, FUNCTIONS, ANYWHERE };

/* Position of the section of an instruction. */
static int section_of(const spv_insn *i) {
  switch (i->row->number) { /* table */
    case SpvOpCapability: return 0;
    case SpvOpExtension: return 1;
    case SpvOpExtInstImport: return 2;
    case SpvOpMemoryModel: return 3;
    case SpvOpEntryPoint: return 4;
    case SpvOpExecutionMode:
    case SpvOpExecutionModeId: return 5;
    case SpvOpString:
    case SpvOpSource:
    case SpvOpSourceExtension:
    case SpvOpSourceContinued: return 6;
    case SpvOpName:
    case SpvOpMemberName: return 7;
    case SpvOpModuleProcessed: return 8;
    case SpvOpDecorate:
    case SpvOpMemberDecorate: return 9;
    case SpvOpTypeForwardPointer: return DECLARATIONS;
    case SpvOpVariable:
    case SpvOpUndef:
    case SpvOpLine:
    case SpvOpNoLine: return ANYWHERE; /* in one of those two */
    default: break;
  }
  bool declares = spv_is_type(i->row->number) || spv_is_constant(i->row->number);
  return declares ? DECLARATIONS : FUNCTIONS;
}

static sn_code check_sections(spv_checker *c) {
  int section = 0, models = 0, entries = 0;
  c->functions_at = c->r.insn_count;
  for (int k = 0; k < c->r.insn_count; k++) {
    const spv_insn *i = &c->r.insn[k];
    int its = section_of(i);
    if (its == ANYWHERE) its = section < DECLARATIONS ? DECLARATIONS : section;
    if (its < section) return spv_wrong(c, i, "stands behind a later section");
    if (its == FUNCTIONS && section < FUNCTIONS) c->functions_at = k;
    section = its;
    if (i->row->number == SpvOpMemoryModel && models++) return spv_wrong(c, i, "is the second memory model");
    entries += i->row->number == SpvOpEntryPoint;
  }
  if (!models) return sn_fail(c->r.diags, c->r.code, (sn_loc){0}, "spirv: the module has no memory model");
  if (!entries) return sn_fail(c->r.diags, c->r.code, (sn_loc){0}, "spirv: the module has no entry point");
  return SN_OK;
}

/* Declarations use what stands before them. Members of structures may be pointers that were announced. */
static sn_code check_declarations(const spv_checker *c) {
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    int section = section_of(i);
    if (section < DECLARATIONS || i->row->number == SpvOpTypeForwardPointer) continue;
    if (i->type && spv_definition(&c->r, i->type) > i) return spv_wrong(c, i, "%%%u is defined further down", i->type);
    spv_cursor operands = spv_operands(&c->r, i);
    spv_operand o;
    while (spv_next(&operands, &o)) {
      if (o.letter != 'i') continue;
      const spv_insn *d = spv_definition(&c->r, c->r.words[o.at]);
      if (d < i) continue;
      if (i->row->number == SpvOpTypeStruct && d->row->number == SpvOpTypePointer) continue;
      return spv_wrong(c, i, "%%%u is defined further down", c->r.words[o.at]);
    }
  }
  return SN_OK;
}

/* ---- functions --------------------------------------------------------------------------------------------------- */

typedef enum place {
  OUTSIDE,    /* of functions */
  PARAMETERS, /* behind OpFunction */
  PHIS,       /* at the head of a block: phis, in the first block variables */
  BODY,
  MERGED,  /* behind a merge instruction */
  BETWEEN, /* blocks */
} place;

typedef struct walk {
  place at;
  int function, block; /* the newest */
  bool is_entry;       /* the block is the first of its function */
} walk;

static bool is_merge(uint32_t opcode) { return opcode == SpvOpLoopMerge || opcode == SpvOpSelectionMerge; }

static void open_block(spv_checker *c, walk *w, int k, int *capacity) {
  w->is_entry = w->at == PARAMETERS;
  w->at = PHIS;
  SN_GROW(c->r.arena, c->blocks, c->block_count, *capacity);
  w->block = c->block_count++;
  c->blocks[w->block] =
      (spv_bb){.function = w->function, .first = k, .last = k, .merge = -1, .order = -1, .parent = -1};
  c->labelled[c->r.insn[k].result] = w->block + 1;
}

/* Is what follows a merge the branch that it is for? */
static bool is_branch_of(const spv_checker *c, int merge, uint32_t opcode) {
  bool is_loop = c->r.insn[merge].row->number == SpvOpLoopMerge;
  return opcode == SpvOpBranchConditional || opcode == (is_loop ? SpvOpBranch : SpvOpSwitch);
}

static sn_code step_in_block(spv_checker *c, walk *w, int k) {
  const spv_insn *i = &c->r.insn[k];
  uint32_t opcode = i->row->number;
  if (opcode == SpvOpLabel || opcode == SpvOpFunctionEnd || opcode == SpvOpFunction)
    return spv_wrong(c, i, "the block before has not ended");
  if (w->at == MERGED && !is_branch_of(c, c->blocks[w->block].merge, opcode))
    return spv_wrong(c, &c->r.insn[c->blocks[w->block].merge], "does not stand before the branch it is for");
  if (opcode == SpvOpPhi && (w->at != PHIS || w->is_entry))
    return spv_wrong(c, i, "does not stand at the head of a block with predecessors");
  if (opcode == SpvOpVariable && (w->at != PHIS || !w->is_entry))
    return spv_wrong(c, i, "does not stand at the head of its function");
  if (opcode == SpvOpFunctionParameter) return spv_wrong(c, i, "stands behind the first block");
  c->block_of[k] = w->block;
  if (opcode != SpvOpPhi && opcode != SpvOpVariable && opcode != SpvOpLine && opcode != SpvOpNoLine) w->at = BODY;
  if (is_merge(opcode)) {
    w->at = MERGED;
    c->blocks[w->block].merge = k;
  }
  if (spv_is_end(opcode)) {
    w->at = BETWEEN;
    c->blocks[w->block].last = k;
  }
  return SN_OK;
}

static sn_code step(spv_checker *c, walk *w, int k, int *capacity) {
  const spv_insn *i = &c->r.insn[k];
  uint32_t opcode = i->row->number;
  c->function_of[k] = w->at == OUTSIDE ? -1 : w->function;
  if (w->at == PHIS || w->at == BODY || w->at == MERGED) return step_in_block(c, w, k);
  if (opcode == SpvOpLine || opcode == SpvOpNoLine) return SN_OK;
  if (opcode == SpvOpFunction && w->at == OUTSIDE) {
    w->at = PARAMETERS;
    w->function = c->function_count++;
    c->function_of[k] = w->function;
  } else if (opcode == SpvOpLabel && w->at != OUTSIDE) {
    open_block(c, w, k, capacity);
    c->block_of[k] = w->block;
  } else if (opcode == SpvOpFunctionEnd && w->at == BETWEEN) {
    w->at = OUTSIDE;
  } else if (opcode != SpvOpFunctionParameter || w->at != PARAMETERS) {
    return spv_wrong(c, i, w->at == OUTSIDE ? "stands outside of a function" : "stands outside of a block");
  }
  return SN_OK;
}

static sn_code check_functions(spv_checker *c) {
  const int n = c->r.insn_count;
  int capacity = 0;
  walk w = {.at = OUTSIDE};
  c->block_of = SN_ARRAY(c->r.arena, n, int);
  c->function_of = SN_ARRAY(c->r.arena, n, int);
  c->labelled = SN_ARRAY(c->r.arena, c->r.bound, int);
  for (int k = 0; k < n; k++) c->block_of[k] = c->function_of[k] = -1;
  for (int k = c->functions_at; k < n; k++) SN_TRY(step(c, &w, k, &capacity));
  if (w.at == OUTSIDE) return SN_OK;
  return spv_wrong(c, &c->r.insn[n - 1], "the function does not end behind it");
}

/* Entry points and their modes name functions, lines their file, members their structure. */
static sn_code check_name(const spv_checker *c, const spv_insn *i) {
  const uint32_t a = spv_word_at(&c->r, i, 0), b = spv_word_at(&c->r, i, 1);
  const spv_insn *d;
  switch (i->row->number) {
    case SpvOpEntryPoint:
    case SpvOpExecutionMode:
    case SpvOpExecutionModeId:
      d = spv_definition_as(&c->r, i->row->number == SpvOpEntryPoint ? b : a, SpvOpFunction);
      return d ? SN_OK : spv_wrong(c, i, "does not name a function");
    case SpvOpLine: return spv_definition_as(&c->r, a, SpvOpString) ? SN_OK : spv_wrong(c, i, "does not name a file");
    case SpvOpMemberName:
    case SpvOpMemberDecorate:
      d = spv_definition_as(&c->r, a, SpvOpTypeStruct);
      return d && b < d->words - d->first ? SN_OK : spv_wrong(c, i, "does not name a member of a structure");
    case SpvOpExtInstImport: return spv_is_glsl(&c->r, i->result) ? SN_OK : spv_wrong(c, i, "is not a known set");
    default: return SN_OK;
  }
}

sn_code spv_verify_layout(spv_checker *c) {
  SN_TRY(check_sections(c));
  SN_TRY(check_declarations(c));
  SN_TRY(check_functions(c));
  for (int k = 0; k < c->r.insn_count; k++) SN_TRY(check_name(c, &c->r.insn[k]));
  return SN_OK;
}
