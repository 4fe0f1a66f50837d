/* Inside of the builder: sections of words, and what was made before. */
#ifndef SN_BACKENDS_SPIRV_SPV_INTERNAL_H
#define SN_BACKENDS_SPIRV_SPV_INTERNAL_H

#include "backends/spirv/spv.h"
#include "backends/spirv/spv_table.h"

/* Sections in their order in a module. The first block of main has one of its own for its variables. */
typedef enum spv_section {
  SPV_CAPABILITIES,
  SPV_EXTENSIONS,
  SPV_IMPORTS,
  SPV_MODEL,
  SPV_ENTRY,
  SPV_MODES,
  SPV_STRINGS,
  SPV_NAMES,
  SPV_ANNOTATIONS,
  SPV_GLOBALS,
  SPV_HEAD,
  SPV_VARIABLES,
  SPV_CODE,
  SPV_SECTIONS
} spv_section;

typedef struct spv_words {
  uint32_t *at;
  int count, capacity; /* words */
} spv_words;

/* Keys of what is made once: an opcode for interned instructions, or one of these. */
enum {
  SPV_KEY_STRING = 0x10000, /* words of the text */
  SPV_KEY_EXTENSION,        /* words of its name */
  SPV_KEY_BUILTIN,          /* number */
  SPV_KEY_BUFFER,           /* type, stride, coherent? -> pointer to the runtime array in its block */
  SPV_KEY_BASE,             /* block, address, pointer type -> the address as that pointer */
  SPV_KEY_PUSH,             /* block, member -> its value */
};

typedef struct spv_memo {
  uint64_t hash;
  int key, key_words; /* where it stands in `keys` */
  spv_id id;          /* 0: not made yet */
} spv_memo;

struct spv {
  sn_arena *arena;
  spv_opt opt;
  spv_words section[SPV_SECTIONS];
  spv_words capabilities; /* numbers, ascending */
  spv_words interface;    /* ids of global variables */
  spv_words constants;    /* by id: where its OpConstant stands in SPV_GLOBALS, plus 1; 0: it is none */
  spv_words keys;
  spv_memo *memos; /* by hash; capacity a power of two, at most half full */
  int memo_count, memo_capacity;
  spv_id bound;      /* the next id */
  spv_id main;       /* the function */
  spv_id block;      /* label of the open one, 0: none */
  spv_id glsl;       /* GLSL.std.450, 0: not imported */
  spv_id word, wide; /* the integer types of 32 and 64 bits, 0: not made */
  spv_id push;       /* variable of the push block, 0: none */
  spv_id push_type;  /* its structure */
  spv_id file;       /* OpString of what spv_line said, 0: nothing */
  uint32_t line;     /* in that file */
  uint64_t line_set; /* file and line of the newest OpLine of the open block, 0: none */
  bool addresses;    /* PhysicalStorageBuffer pointers are used */
  bool too_long;     /* an instruction does not fit */
};

/* Room for an instruction of so many words in all behind what is there; the first word is set. */
uint32_t *spv_add(spv *s, spv_section section, spv_opcode op, size_t words);
/* The same with a text behind `before` operands. */
void spv_add_text(spv *s, spv_section section, spv_opcode op, int before, const uint32_t *operands, const char *text);
void spv_word(spv *s, spv_words *w, uint32_t word);
/* What was made for the key; valid until the next call. */
spv_memo *spv_memo_find(spv *s, uint32_t tag, uint32_t what, int count, const uint32_t *words);
spv_memo *spv_memo_text(spv *s, uint32_t tag, const char *text);

#endif
