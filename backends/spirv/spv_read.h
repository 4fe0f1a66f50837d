/* A SPIR-V module taken apart: its instructions, their operands, what defines an id. For the printer and the verifier;
 * the words come from anywhere. */
#ifndef SN_BACKENDS_SPIRV_SPV_READ_H
#define SN_BACKENDS_SPIRV_SPV_READ_H

#include "backends/spirv/spv.h"
#include "backends/spirv/spv_table.h"

typedef struct spv_insn {
  const spv_op_row *row;
  uint32_t at, words;  /* first word in the module, how many */
  spv_id type, result; /* 0: none */
  uint32_t first;      /* word of the first operand behind those, from `at` */
} spv_insn;

typedef struct spv_reader {
  const uint32_t *words;
  size_t count; /* words */
  sn_arena *arena;
  sn_diags *diags;
  sn_code code; /* of what is wrong */
  uint32_t bound;
  spv_insn *insn;
  int insn_count;
  int *defined; /* by id: the first instruction with that result, plus 1; 0: none */
} spv_reader;

enum { SPV_BOUND_MAX = 0x3fffff /* universal limit of the specification */ };

/* Takes the words apart; every instruction is in the table and has the operands that the table says.
 *   errors: `code`: what is not so, and where */
SN_MUST sn_code spv_read(spv_reader *r, const uint32_t *words, size_t count, sn_arena *arena, sn_diags *diags,
                         sn_code code);

/* One operand, in the order of the words. */
typedef struct spv_operand {
  char letter; /* of spv.def */
  uint32_t at, words;
} spv_operand;

typedef struct spv_cursor {
  const uint32_t *words;
  uint32_t at, end;    /* in the module */
  const char *pattern; /* letters to come */
  const char *repeat;  /* first letter of what repeats, NULL: nothing does */
  bool optional;       /* the instruction may end here */
  char extra[16];      /* letters of what the newest enumerant brings with it */
  int extra_at;
  const char *wrong; /* after the last operand: what is wrong with them, NULL: nothing */
} spv_cursor;

spv_cursor spv_operands(const spv_reader *r, const spv_insn *i);
/* false: there are no more. */
bool spv_next(spv_cursor *c, spv_operand *out);

/* What defines an id, NULL: nothing. */
const spv_insn *spv_definition(const spv_reader *r, spv_id id);
/* The same if it is an instruction of that opcode, else NULL. */
const spv_insn *spv_definition_as(const spv_reader *r, spv_id id, spv_opcode op);
/* Operand word k behind type and result; 0: there are less. */
uint32_t spv_word_at(const spv_reader *r, const spv_insn *i, uint32_t k);
/* The text at a word; in the arena. */
const char *spv_text_at(const spv_reader *r, uint32_t at, uint32_t words);

/* Is it the import of GLSL.std.450? */
bool spv_is_glsl(const spv_reader *r, spv_id set);

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* Names of ids, by id, NULL: its number. From OpName, else from what is defined: %uint, %v4float, %uint_64. */
const char *const *spv_names(const spv_reader *r);
/* One instruction, without the end of the line. */
void spv_print_insn(sn_text *out, const spv_reader *r, const char *const *names, const spv_insn *i);
/* The literal of an OpConstant of that type. */
void spv_print_number(sn_text *out, const spv_reader *r, spv_id type, uint32_t at, uint32_t words);

#endif
