/* The tables of SPIR-V at run time: opcodes by a switch, enumerants group by group. */
#include "backends/spirv/spv_table.h"

#include <stddef.h>
#include <string.h>

#include "backends/spirv/spv.h"

/* clang-format off */
enum {
#define SPV_OP(name, number, type, result, operands) ROW_##name,
#include "backends/spirv/spv.def"
#undef SPV_OP
};

static const spv_op_row op_rows[] = {
#define SPV_OP(name, number, type, result, operands) {#name, number, type, result, operands},
#include "backends/spirv/spv.def"
#undef SPV_OP
};

static const spv_enum_row enum_rows[] = {
#define SPV_ENUM(group, name, number, operands) {#group, #name, number, false, operands},
#define SPV_MASK(group, name, number, operands) {#group, #name, number, true, operands},
#include "backends/spirv/spv_enum.def"
};

static const struct {
  const char *group, *name;
  uint32_t capability;
} needs[] = {
#define SPV_NEED(group, name, capability) {#group, #name, SpvCapability##capability},
#include "backends/spirv/spv_enum.def"
};

static const struct {
  char letter;
  bool is_mask;
  const char *group;
} letters[] = {
  {'C', false, "Capability"},      {'A', false, "AddressingModel"},  {'O', false, "MemoryModel"},
  {'E', false, "ExecutionModel"},  {'X', false, "ExecutionMode"},    {'S', false, "StorageClass"},
  {'D', false, "Decoration"},      {'B', false, "BuiltIn"},          {'G', false, "GroupOperation"},  {'U', false, "SourceLanguage"},   {'P', false, "FPEncoding"},
  {'Z', false, "GLSLstd450"},      {'F', true, "FunctionControl"},   {'L', true, "LoopControl"},
  {'N', true, "SelectionControl"}, {'M', true, "MemoryAccess"},      {'K', true, "CooperativeMatrixOperands"},
  {'T', true, "TensorAddressingOperands"}, {'R', true, "CooperativeMatrixReduce"},
};

const spv_op_row *spv_op_find(uint32_t number) {
  switch (number) {
#define SPV_OP(name, number, type, result, operands) case number: return &op_rows[ROW_##name];
#include "backends/spirv/spv.def"
#undef SPV_OP
    default: return NULL;
  }
}

bool spv_op_need(uint32_t opcode, uint32_t *capability) {
  switch (opcode) {
#define SPV_NEED_OP(opcode, needed) case Spv##opcode: *capability = SpvCapability##needed; return true;
#include "backends/spirv/spv_enum.def"
    default: return false;
  }
}

const char *spv_capability_extension(uint32_t capability) {
  switch (capability) {
#define SPV_EXTENSION(capability, extension) case SpvCapability##capability: return extension;
#include "backends/spirv/spv_enum.def"
    default: return NULL;
  }
}
/* clang-format on */

const spv_enum_row *spv_enum_find(const char *group, uint32_t number) {
  for (size_t i = 0; i < sizeof enum_rows / sizeof *enum_rows; i++)
    if (enum_rows[i].number == number && !strcmp(enum_rows[i].group, group)) return &enum_rows[i];
  return NULL;
}

const char *spv_letter_group(char letter, bool *is_mask) {
  for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
    if (letters[i].letter == letter) {
      *is_mask = letters[i].is_mask;
      return letters[i].group;
    }
  return NULL;
}

bool spv_enum_need(const char *group, uint32_t number, uint32_t *capability) {
  const spv_enum_row *row = NULL;
  for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
    if (strcmp(needs[i].group, group)) continue;
    if (!row && !(row = spv_enum_find(group, number))) return false;
    if (strcmp(needs[i].name, row->name)) continue;
    *capability = needs[i].capability;
    return true;
  }
  return false;
}

bool spv_is_end(uint32_t opcode) {
  switch (opcode) {
    case SpvOpBranch:
    case SpvOpBranchConditional:
    case SpvOpSwitch:
    case SpvOpReturn:
    case SpvOpReturnValue:
    case SpvOpUnreachable:
    case SpvOpKill: return true;
    default: return false;
  }
}
