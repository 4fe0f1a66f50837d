/* Inside of the verifier: a module that has been read, with what its rules look up. */
#ifndef SN_BACKENDS_SPIRV_SPV_VERIFY_H
#define SN_BACKENDS_SPIRV_SPV_VERIFY_H

#include "backends/spirv/spv_read.h"

/* A block of a function. */
typedef struct spv_bb {
  int function;         /* which of the module */
  int first, last;      /* instructions: its label, what ends it */
  int merge;            /* instruction that declares the construct it heads, -1: none */
  int to, to_count;     /* its successors in `edges`, in the order of the operands */
  int from, from_count; /* its predecessors in `back_edges`, each once */
  int order;            /* position in reverse postorder of its function, -1: not reachable */
  int parent;           /* immediate dominator, -1: none */
  int tree, tree_end;   /* it dominates the blocks with `tree` in [tree, tree_end) */
} spv_bb;

typedef struct spv_checker {
  spv_reader r;
  int functions_at; /* first instruction behind the declarations */
  spv_bb *blocks;   /* of all functions, in their order */
  int block_count;
  int *block_of;    /* by instruction: its block, -1: none */
  int *function_of; /* by instruction: its function, -1: none */
  int *labelled;    /* by id: the block with that label, plus 1 */
  int *edges, *back_edges;
  int function_count;
} spv_checker;

/* A rule that instruction i breaks: SN_ERR_FAIL, with its word and text. */
sn_code spv_wrong(const spv_checker *c, const spv_insn *i, const char *format, ...) SN_PRINTF(3, 4);

/* Does every path to block b of a function lead through block a? True if b cannot be reached. */
bool spv_dominates(const spv_checker *c, int a, int b);

/* What was declared, and what types hold: for the rules of a module as a whole. */
typedef struct spv_facts {
  uint32_t *capabilities;
  int capability_count;
  uint32_t addressing, model;
  bool *narrow8, *narrow16;    /* by id of a type: there are 8 or 16 bits in it */
  bool *is_block, *has_stride; /* by id of a type: its decorations */
  uint32_t *offsets;           /* by id of a structure: members with an offset */
} spv_facts;

/* Is a capability declared, by its own name? */
bool spv_declares(const spv_facts *f, uint32_t capability);
/* Instruction i needs a capability, that may be declared by one that contains it. */
SN_MUST sn_code spv_need(const spv_checker *c, const spv_facts *f, const spv_insn *i, uint32_t capability);

/* The rules, in the order in which they are checked; each relies on those before. */
SN_MUST sn_code spv_verify_ids(spv_checker *c);    /* in range, defined once, types are types */
SN_MUST sn_code spv_verify_layout(spv_checker *c); /* sections, functions, blocks; finds functions_at and the blocks */
SN_MUST sn_code spv_verify_flow(spv_checker *c);   /* edges, dominance, merges, phis, definitions before uses */
SN_MUST sn_code spv_verify_declared(spv_checker *c); /* types, constants, variables, functions */
SN_MUST sn_code spv_verify_types(spv_checker *c);    /* what each instruction says of the types of its operands */
SN_MUST sn_code spv_verify_memory(spv_checker *c);   /* the same of memory, branches, subgroups, matrices */
SN_MUST sn_code spv_verify_module(spv_checker *c);   /* memory model, interface, barriers, layouts, and: */
SN_MUST sn_code spv_verify_capabilities(const spv_checker *c, const spv_facts *f);

/* ---- what several of them ask ------------------------------------------------------------------------------------ */

typedef enum spv_kind {
  SPV_OTHER,
  SPV_BOOL,
  SPV_INT,
  SPV_FLOAT,
  SPV_POINTER,
} spv_kind;

/* A scalar, or what the components of a vector or cooperative matrix are. */
typedef struct spv_shape {
  spv_kind kind;
  uint32_t bits;    /* of a component; of a pointer: its storage class */
  uint32_t lanes;   /* of a vector; 1: a scalar; 0: a cooperative matrix */
  spv_id component; /* its type */
  spv_id matrix;    /* the type, if it is one */
} spv_shape;

spv_shape spv_shape_of(const spv_reader *r, spv_id type);
/* Type of the value that an id stands for, 0: it is none. */
spv_id spv_type_of(const spv_reader *r, spv_id id);
/* The same of operand k. */
spv_id spv_operand_type(const spv_reader *r, const spv_insn *i, uint32_t k);
/* Storage class and target of a pointer type; false: it is none. */
bool spv_pointer_of(const spv_reader *r, spv_id type, uint32_t *storage, spv_id *target);
/* Value of a constant of 32 bits or less. */
bool spv_constant_of(const spv_reader *r, spv_id id, uint32_t *out);
/* Type of a member: of a vector, array, matrix, structure. 0: there is none. */
spv_id spv_member_type(const spv_reader *r, spv_id type, uint32_t index);

/* Does the opcode make a type; a constant or an undefined value? */
bool spv_is_type(uint32_t opcode);
bool spv_is_constant(uint32_t opcode);

#endif
