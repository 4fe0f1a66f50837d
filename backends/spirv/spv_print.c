/* words -> text: a module in the form that the specification's examples have and assemblers read. */
#include <string.h>

#include "backends/spirv/spv_read.h"

static void print_id(sn_text *out, const spv_reader *r, const char *const *names, spv_id id) {
  if (names && id < r->bound && names[id])
    sn_text_add(out, "%%%s", names[id]);
  else
    sn_text_add(out, "%%%u", id);
}

static void print_mask(sn_text *out, spv_group group, uint32_t value) {
  if (!value) sn_text_add(out, "None");
  const char *between = "";
  for (uint32_t bit = 1; value; bit <<= 1) {
    if (!(value & bit)) continue;
    const spv_enum_row *row = spv_enum_find(group, bit);
    sn_text_add(out, "%s%s", between, row ? row->name : "?"); /* none is unknown: the reader refuses those */
    between = "|";
    value &= ~bit;
  }
}

static void print_enum(sn_text *out, spv_group group, uint32_t value) {
  const spv_enum_row *row = spv_enum_find(group, value);
  if (row)
    sn_text_add(out, "%s", row->name);
  else
    sn_text_add(out, "%u", value);
}

/* The instruction of a set is named if the set is GLSL.std.450. */
static void print_ext(sn_text *out, const spv_reader *r, const spv_insn *i, uint32_t value) {
  print_enum(out, spv_is_glsl(r, spv_word_at(r, i, 0)) ? SPV_GROUP_GLSLstd450 : SPV_NO_GROUP, value);
}

static void print_text(sn_text *out, const char *text) {
  sn_text_char(out, '"');
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\') sn_text_char(out, '\\');
    sn_text_char(out, *c >= ' ' && *c != 0x7f ? *c : '?'); /* for people: nothing that moves a cursor */
  }
  sn_text_char(out, '"');
}

static void print_operand(sn_text *out, const spv_reader *r, const char *const *names, const spv_insn *i,
                          spv_operand o) {
  uint32_t word = r->words[o.at];
  const spv_group group = spv_letter_group(o.letter);
  sn_text_char(out, ' ');
  switch (o.letter) {
    case 'i': print_id(out, r, names, word); break;
    case 'l': sn_text_add(out, "%u", word); break;
    case 's': print_text(out, spv_text_at(r, o.at, o.words)); break;
    case 'n': spv_print_number(out, r, i->type, o.at, o.words); break;
    case 'Z': print_ext(out, r, i, word); break;
    default:
      if (spv_group_is_mask(group))
        print_mask(out, group, word);
      else
        print_enum(out, group, word);
  }
}

void spv_print_insn(sn_text *out, const spv_reader *r, const char *const *names, const spv_insn *i) {
  if (i->row->has_result) {
    print_id(out, r, names, i->result);
    sn_text_add(out, " = ");
  }
  sn_text_add(out, "%s", i->row->name);
  if (i->row->has_type) {
    sn_text_char(out, ' ');
    print_id(out, r, names, i->type);
  }
  spv_cursor c = spv_operands(r, i);
  spv_operand operand;
  while (spv_next(&c, &operand)) print_operand(out, r, names, i, operand);
}

sn_code spv_print(sn_text *out, const uint32_t *words, size_t count, sn_diags *diags) {
  sn_arena *scratch = sn_arena_scratch();
  spv_reader r;
  sn_code code = spv_read(&r, words, count, scratch, diags, SN_ERR_INPUT);
  if (!code) {
    const char *const *names = spv_names(&r);
    sn_text_add(out, "; SPIR-V\n; Version: %u.%u\n; Bound: %u\n", words[1] >> 16, words[1] >> 8 & 0xff, r.bound);
    for (int i = 0; i < r.insn_count; i++) {
      spv_print_insn(out, &r, names, &r.insn[i]);
      sn_text_char(out, '\n');
    }
  }
  sn_arena_destroy(scratch);
  return code;
}
