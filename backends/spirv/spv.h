/* SPIR-V modules, word by word: sections, interned types and constants, structured control flow. Equal calls give equal
 * bytes: ids are numbered in the order of emission, so a statement emits one instruction and no argument emits.
 * Numbers of opcodes and enumerants are those of the SPIR-V specification 1.6, kept in spv.def and spv_enum.def;
 * modules are of version 1.5. What an instruction, built-in or mode needs (capabilities, their extensions) is declared
 * with it. A failure is sticky; spv_end reports it. */
#ifndef SN_BACKENDS_SPIRV_SPV_H
#define SN_BACKENDS_SPIRV_SPV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/base/status.h"
#include "ir/base/str.h"

typedef uint32_t spv_id; /* 0: none */

typedef enum spv_opcode {
#define SPV_OP(name, number, type, result, operands) Spv##name = number,
#include "backends/spirv/spv.def"
#undef SPV_OP
} spv_opcode;

/* Enumerants: SpvCapabilityInt64, SpvStorageClassWorkgroup, SpvMemoryAccessAlignedMask, SpvGLSLstd450Fma, ... */
enum {
#define SPV_ENUM(group, name, number, operands) Spv##group##name = number,
#define SPV_MASK(group, name, number, operands) Spv##group##name##Mask = number,
#include "backends/spirv/spv_enum.def"
};

typedef struct spv spv; /* one module under construction; one entry point "main" of compute */

typedef struct spv_opt {
  bool vulkan_memory; /* the Vulkan memory model (cooperative matrices demand it), else GLSL450 */
  bool int64;         /* addresses are u64; false: pairs of u32 */
  bool names;         /* OpName, OpLine and what belongs to them */
  const char *name;   /* with names: that of the function; NULL: main, as the entry point */
} spv_opt;

spv *spv_begin(sn_arena *arena, spv_opt opt);
/* Ends main and the module: adds the entry point with its interface and the size of a workgroup.
 * words: in the arena.   errors: SN_ERR_LIMIT an instruction that does not fit */
SN_MUST sn_code spv_end(spv *s, uint32_t invocations, sn_diags *diags, const uint32_t **words, size_t *count);

/* ---- declarations ------------------------------------------------------------------------------------------------ */

void spv_capability(spv *s, uint32_t capability); /* once is enough */
void spv_extension(spv *s, const char *name);
void spv_mode(spv *s, uint32_t mode, uint32_t value); /* OpExecutionMode with one literal, of main */

/* Interned: equal calls give the same id. Types of 8, 16 and 64 bits declare the capability of their arithmetic
 * (Int8, Int16, Int64, Float16, Float64) unless `storage`: then that of access to memory is the caller's. */
spv_id spv_void(spv *s);
spv_id spv_bool(spv *s);
spv_id spv_uint(spv *s, int bits); /* the one integer type of a width; signed operations read it so */
spv_id spv_float(spv *s, int bits);
spv_id spv_float_storage(spv *s, int bits);
spv_id spv_uint_storage(spv *s, int bits);
spv_id spv_vector(spv *s, spv_id element, uint32_t count);
spv_id spv_array(spv *s, spv_id element, uint32_t count);
spv_id spv_pointer(spv *s, uint32_t storage, spv_id type);
/* Any other type, constant or undef by its words behind the opcode (and the type, 0: none). */
spv_id spv_intern(spv *s, spv_opcode op, spv_id type, int count, const uint32_t *operands);

spv_id spv_u32(spv *s, uint32_t value);
spv_id spv_u64(spv *s, uint64_t value);
spv_id spv_f32(spv *s, float value); /* the bits: NaN and infinity too */
spv_id spv_f64(spv *s, double value);
spv_id spv_flag(spv *s, bool value);

/* Is the id an integer constant of 32 or 64 bits? */
bool spv_is_const(const spv *s, spv_id id, uint64_t *out);

void spv_decorate(spv *s, spv_id id, uint32_t decoration, int count, const uint32_t *literals);
void spv_name(spv *s, spv_id id, const char *name);        /* nothing without opt.names */
void spv_line(spv *s, const char *file, int line);         /* of what follows; nothing without opt.names */
spv_id spv_global(spv *s, uint32_t storage, spv_id type);  /* OpVariable outside of functions, in the interface */
spv_id spv_builtin(spv *s, uint32_t builtin, spv_id type); /* its Input variable, one for each built-in */
spv_id spv_variable(spv *s, spv_id type);                  /* OpVariable of main, storage class Function */
/* The push block: `count` members of 8 bytes each, u64 or two u32 (opt.int64); member i as one value of that type. */
void spv_push_block(spv *s, int count);
void spv_push_name(spv *s, int member, const char *name); /* nothing without opt.names */
spv_id spv_push(spv *s, int member);

/* ---- code of main, into the open block --------------------------------------------------------------------------- */

void spv_main(spv *s);          /* opens it */
spv_id spv_new(spv *s);         /* an id for a label or a phi to come */
spv_id spv_bound(const spv *s); /* the next id: all that are smaller are made */
spv_id spv_block(const spv *s); /* label of the open block; 0: it has ended */
spv_id spv_op(spv *s, spv_opcode op, spv_id type, int count, const uint32_t *operands); /* -> its result */
void spv_do(spv *s, spv_opcode op, int count, const uint32_t *operands);                /* no result */
spv_id spv_op1(spv *s, spv_opcode op, spv_id type, uint32_t a);
spv_id spv_op2(spv *s, spv_opcode op, spv_id type, uint32_t a, uint32_t b);
spv_id spv_op3(spv *s, spv_opcode op, spv_id type, uint32_t a, uint32_t b, uint32_t c);
spv_id spv_ext(spv *s, uint32_t instruction, spv_id type, int count, const uint32_t *operands); /* GLSL.std.450 */

/* Addresses: a runtime array of `type` behind a u64 (or u32 pair) address, stride bytes apart. */
spv_id spv_at(spv *s, spv_id address, spv_id type, uint32_t stride, spv_id index); /* -> pointer to element */
/* The same of memory that other invocations of the workgroup write: Coherent, which barriers alone are not enough for.
 * Not under the Vulkan memory model. */
spv_id spv_at_coherent(spv *s, spv_id address, spv_id type, uint32_t stride, spv_id index);
spv_id spv_load(spv *s, spv_id type, spv_id pointer, uint32_t align); /* align 0: not PhysicalStorageBuffer */
void spv_store(spv *s, spv_id pointer, spv_id value, uint32_t align);
/* The same of variables that other invocations see (Workgroup): NonPrivatePointer under the Vulkan memory model. */
spv_id spv_load_shared(spv *s, spv_id type, spv_id pointer);
void spv_store_shared(spv *s, spv_id pointer, spv_id value);

void spv_label(spv *s, spv_id label); /* opens the block; the one before must have ended */
void spv_branch(spv *s, spv_id label);
void spv_branch_if(spv *s, spv_id condition, spv_id yes, spv_id no);

/* if (condition) { ... }: spv_if opens the block, spv_end_if the one behind.  -> merge label */
spv_id spv_if(spv *s, spv_id condition);
void spv_end_if(spv *s, spv_id merge);

/* A loop of a counter of `type` (u32 or u64, compared signed) and of phis, not unrolled by the driver. Between begin
 * and end: the body. spv_loop_carry between begin and body. After the end the phis hold the results. */
typedef struct spv_loop {
  spv_id before, head, body, next, merge, counter, type, step, limit;
  size_t patch; /* where the counter's phi waits for its next value */
} spv_loop;
spv_loop spv_loop_begin(spv *s, spv_id type, spv_id from);
typedef struct spv_carry {
  spv_id phi;
  size_t patch;
} spv_carry;
spv_carry spv_loop_carry(spv *s, const spv_loop *l, spv_id type, spv_id initial);
void spv_loop_body(spv *s, spv_loop *l, spv_id limit, spv_id step);
/* The same of a counter of any type: whether it goes on, and at the end what the counter is next. */
void spv_loop_body_if(spv *s, spv_loop *l, spv_id goes_on);
void spv_loop_next(spv *s, spv_loop *l);                   /* after the body: opens the continue block */
void spv_loop_yield(spv *s, spv_carry carry, spv_id next); /* between next and end */
void spv_loop_end(spv *s, spv_loop *l);
void spv_loop_end_with(spv *s, spv_loop *l, spv_id next);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The text of a module, one instruction a line, in the form of the specification's examples.
 *   errors: SN_ERR_INPUT not a module: where */
SN_MUST sn_code spv_print(sn_text *out, const uint32_t *words, size_t count, sn_diags *diags);
/* What a module of compute has to be: sections in order, operands as the table says, ids below the bound, defined once
 * and on every way to their use; blocks that end once, structured merges and loops; types that match; capabilities and
 * extensions of what is used; the interface of the entry point; layouts and alignment behind addresses; barriers that
 * order memory. Not checked: that branches leave constructs only by their merge, that control is uniform at barriers.
 *   errors: SN_ERR_FAIL naming the instruction */
SN_MUST sn_code spv_verify(const uint32_t *words, size_t count, sn_arena *arena, sn_diags *diags);

#endif
