/* Fuzz entry: any words as a SPIR-V module, with a header that fits where there is none, for the disassembler and the
 * verifier. What is verified can be printed; what is refused is refused with a reason. */
#include <stdlib.h>
#include <string.h>

#include "backends/spirv/spv.h"
#include "backends/spirv/spv_table.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes);

typedef struct input {
  sn_arena *arena;
  sn_diags *diags;
  const uint32_t *words;
  size_t count;
} input;

static int read_module(void *arg) {
  input *in = arg;
  sn_text text = sn_text_begin(in->arena);
  sn_code printed = spv_print(&text, in->words, in->count, in->diags);
  sn_code verified = spv_verify(in->words, in->count, in->arena, in->diags);
  if (printed && (printed != SN_ERR_INPUT || !verified)) abort();
  if (verified && verified != SN_ERR_FAIL) abort();
  if (in->diags->count != (printed != SN_OK) + (verified != SN_OK)) abort();
  return SN_OK;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes) {
  static const uint32_t header[SPV_HEADER_WORDS] = {SPV_MAGIC, SPV_VERSION_1_5, 0, 1000, 0};
  input in = {sn_arena_create(), sn_diags_create(), NULL, 0};
  uint32_t *words = SN_ARRAY(in.arena, SPV_HEADER_WORDS + bytes / 4 + 1, uint32_t);
  memcpy(words, header, sizeof header);
  if (bytes) memcpy(words + SPV_HEADER_WORDS, data, bytes / 4 * 4);
  const bool has_header = bytes >= 4 && words[SPV_HEADER_WORDS] == SPV_MAGIC;
  in.words = has_header ? words + SPV_HEADER_WORDS : words;
  in.count = bytes / 4 + (has_header ? 0 : SPV_HEADER_WORDS);
  (void)sn_protect(read_module, &in);
  sn_diags_destroy(in.diags);
  sn_arena_destroy(in.arena);
  return 0;
}
