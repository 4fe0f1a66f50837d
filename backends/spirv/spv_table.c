/* The tables of SPIR-V at run time: rows by switches. */
#include "backends/spirv/spv_table.h"

#include <stddef.h>

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

enum {
#define SPV_ENUM(group, name, number, operands) ENUM_##group##name,
#define SPV_MASK(group, name, number, operands) ENUM_##group##name,
#include "backends/spirv/spv_enum.def"
};

static const spv_enum_row enum_rows[] = {
#define SPV_ENUM(group, name, number, operands) {#name, number, operands},
#define SPV_MASK(group, name, number, operands) {#name, number, operands},
#include "backends/spirv/spv_enum.def"
};

/* A number of a group as one; those of the table are below 2^16. */
#define KEY(group, number) ((int)(group) << 16 | (number))
enum { NUMBER_MAX = 0xffff };

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
const spv_enum_row *spv_enum_find(spv_group group, uint32_t number) {
  if (number > NUMBER_MAX) return NULL;
  switch (KEY(group, (int)number)) {
#define SPV_ENUM(group, name, number, operands) case KEY(SPV_GROUP_##group, number): return &enum_rows[ENUM_##group##name];
#define SPV_MASK(group, name, number, operands) case KEY(SPV_GROUP_##group, number): return &enum_rows[ENUM_##group##name];
#include "backends/spirv/spv_enum.def"
    default: return NULL;
  }
}

bool spv_enum_need(spv_group group, uint32_t number, uint32_t *capability) {
  if (number > NUMBER_MAX) return false;
  switch (KEY(group, (int)number)) {
#define SPV_NEED(group, name, needed) case KEY(SPV_GROUP_##group, Spv##group##name): *capability = SpvCapability##needed; return true;
#include "backends/spirv/spv_enum.def"
    default: return false;
  }
}

spv_group spv_letter_group(char letter) {
  switch (letter) {
#define SPV_GROUP(group, letter, is_mask) case letter: return SPV_GROUP_##group;
#include "backends/spirv/spv_enum.def"
    default: return SPV_NO_GROUP;
  }
}

bool spv_group_is_mask(spv_group group) {
  switch (group) {
#define SPV_GROUP(group, letter, is_mask) case SPV_GROUP_##group: return is_mask;
#include "backends/spirv/spv_enum.def"
    default: return false;
  }
}
/* clang-format on */

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
