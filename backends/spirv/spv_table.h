/* The tables of spv.def and spv_enum.def at run time: what an opcode, a letter of its operands and an enumerant mean.
 */
#ifndef SN_BACKENDS_SPIRV_SPV_TABLE_H
#define SN_BACKENDS_SPIRV_SPV_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define SPV_MAGIC 0x07230203u
#define SPV_VERSION_1_5 0x00010500u
enum { SPV_HEADER_WORDS = 5, SPV_WORDS_MAX = 65535 /* of an instruction */ };

typedef struct spv_op_row {
  const char *name;
  uint32_t number;
  bool has_type, has_result;
  const char *operands; /* letters of spv.def */
} spv_op_row;

typedef enum spv_group {
  SPV_NO_GROUP,
#define SPV_GROUP(group, letter, is_mask) SPV_GROUP_##group,
#define SPV_CONSTANTS(group) SPV_GROUP_##group,
#include "backends/spirv/spv_enum.def"
} spv_group;

typedef struct spv_enum_row {
  const char *name;
  uint32_t number;
  const char *operands; /* letters of spv.def */
} spv_enum_row;

/* Row of an opcode; NULL: not in the table. */
const spv_op_row *spv_op_find(uint32_t number);
/* Row of an enumerant of the group; of a mask: of one bit. NULL: not in the table. */
const spv_enum_row *spv_enum_find(spv_group group, uint32_t number);
/* Group of the letter of an operand; SPV_NO_GROUP: it is no enumerant. */
spv_group spv_letter_group(char letter);
bool spv_group_is_mask(spv_group group);

/* Capability that the use of an opcode or enumerant needs; false: none. */
bool spv_op_need(uint32_t opcode, uint32_t *capability);
bool spv_enum_need(spv_group group, uint32_t number, uint32_t *capability);
/* Extension that a capability has to be named with; NULL: none. */
const char *spv_capability_extension(uint32_t capability);

/* Does it end a block? */
bool spv_is_end(uint32_t opcode);

#endif
