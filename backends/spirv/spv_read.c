/* words -> instructions: header, lengths, operands by the table. */
#include "backends/spirv/spv_read.h"

#include <string.h>

/* ---- operands ---------------------------------------------------------------------------------------------------- */

spv_cursor spv_operands(const spv_reader *r, const spv_insn *i) {
  return (spv_cursor){.words = r->words, .at = i->at + i->first, .end = i->at + i->words, .pattern = i->row->operands};
}

/* The letter of the next operand, 0: there is none. */
static char next_letter(spv_cursor *c) {
  if (c->extra[c->extra_at]) return c->extra[c->extra_at++];
  if (*c->pattern == '?') c->optional = true, c->pattern++;
  if (*c->pattern == '|') c->repeat = ++c->pattern;
  if (!*c->pattern) c->pattern = c->repeat ? c->repeat : "";
  if (c->at == c->end && (c->optional || c->pattern == c->repeat)) return 0;
  return *c->pattern ? *c->pattern++ : 0;
}

static bool fails(spv_cursor *c, const char *wrong) {
  c->wrong = wrong;
  return false;
}

/* Words of a text with the zero byte that ends it; 0: it has no end. */
static uint32_t text_words(const spv_cursor *c) {
  for (uint32_t at = c->at; at < c->end; at++)
    for (int byte = 0; byte < 4; byte++)
      if (!(c->words[at] >> 8 * byte & 0xff)) return at + 1 - c->at;
  return 0;
}

static bool add_extra(spv_cursor *c, const char *operands) {
  size_t length = strlen(c->extra), more = strlen(operands);
  if (length + more >= sizeof c->extra) return false;
  memcpy(c->extra + length, operands, more + 1);
  return true;
}

/* The operands that an enumerant, or the bits of a mask, bring with them. */
static bool expand(spv_cursor *c, spv_group group, uint32_t value) {
  memset(c->extra, 0, sizeof c->extra);
  c->extra_at = 0;
  if (!spv_group_is_mask(group)) {
    const spv_enum_row *row = spv_enum_find(group, value);
    return row && add_extra(c, row->operands);
  }
  for (uint32_t bit = 1; value; bit <<= 1) {
    if (!(value & bit)) continue;
    const spv_enum_row *row = spv_enum_find(group, bit);
    if (!row || !add_extra(c, row->operands)) return false;
    value &= ~bit;
  }
  return true;
}

bool spv_next(spv_cursor *c, spv_operand *out) {
  if (c->wrong) return false;
  char letter = next_letter(c);
  if (!letter) return c->at < c->end ? fails(c, "has more words than operands") : false;
  if (c->at == c->end) return fails(c, "has too few operands");
  uint32_t words = 1;
  const spv_group group = letter == 'Z' ? SPV_NO_GROUP : spv_letter_group(letter); /* Z: the set decides */
  if (letter == 's') words = text_words(c);
  if (!words) return fails(c, "has a text without end");
  if (letter == 'n') words = c->end - c->at;
  if (words > 2 && letter == 'n') return fails(c, "has a number of more than 64 bits");
  if (group && !expand(c, group, c->words[c->at])) return fails(c, "has an unknown enumerant");
  *out = (spv_operand){letter, c->at, words};
  c->at += words;
  return true;
}

/* ---- modules ----------------------------------------------------------------------------------------------------- */

static sn_code SN_PRINTF(3, 4) bad_header(spv_reader *r, const char *expected, const char *found, ...) {
  (void)sn_fail(r->diags, r->code, (sn_loc){0}, "spirv: not a module");
  sn_fail_expected(r->diags, "%s", expected);
  va_list args;
  va_start(args, found);
  sn_fail_found_list(r->diags, found, args);
  va_end(args);
  return r->code;
}

static sn_code read_header(spv_reader *r) {
  const uint32_t *w = r->words;
  if (r->count < SPV_HEADER_WORDS) return bad_header(r, "a header of 5 words", "%zu words", r->count);
  if (r->count > INT32_MAX) return bad_header(r, "fewer than 2^31 words", "%zu", r->count);
  if (w[0] != SPV_MAGIC) return bad_header(r, "the magic number 0x07230203", "0x%08x", w[0]);
  if (w[1] < 0x00010000 || w[1] > 0x00010600 || (w[1] & 0xff))
    return bad_header(r, "a version from 1.0 to 1.6", "0x%08x", w[1]);
  if (!w[3] || w[3] > SPV_BOUND_MAX) return bad_header(r, "a bound of ids from 1 to 0x3fffff", "%u", w[3]);
  if (w[4]) return bad_header(r, "schema 0", "%u", w[4]);
  r->bound = w[3];
  return SN_OK;
}

static sn_code SN_PRINTF(3, 4) bad_insn(spv_reader *r, size_t at, const char *format, ...) {
  va_list args;
  va_start(args, format);
  sn_text t = sn_text_begin(r->arena);
  sn_text_add_list(&t, format, args);
  va_end(args);
  return sn_fail(r->diags, r->code, (sn_loc){0}, "spirv: word %zu: %s", at, t.at);
}

static sn_code read_insn(spv_reader *r, size_t at, spv_insn *out) {
  uint32_t words = r->words[at] >> 16, opcode = r->words[at] & 0xffff;
  const spv_op_row *row = spv_op_find(opcode);
  if (!row) return bad_insn(r, at, "unknown opcode %u", opcode);
  if (!words || words > r->count - at)
    return bad_insn(r, at, "%s: %u words, %zu are left", row->name, words, r->count - at);
  spv_insn i = {.row = row, .at = (uint32_t)at, .words = words};
  i.first = 1u + row->has_type + row->has_result;
  if (words < i.first) return bad_insn(r, at, "%s: has too few operands", row->name);
  if (row->has_type) i.type = r->words[at + 1];
  if (row->has_result) i.result = r->words[at + i.first - 1];
  spv_cursor c = spv_operands(r, &i);
  spv_operand operand;
  while (spv_next(&c, &operand)) {}
  if (c.wrong) return bad_insn(r, at, "%s: %s", row->name, c.wrong);
  *out = i;
  return SN_OK;
}

sn_code spv_read(spv_reader *r, const uint32_t *words, size_t count, sn_arena *arena, sn_diags *diags, sn_code code) {
  *r = (spv_reader){.words = words, .count = count, .arena = arena, .diags = diags, .code = code};
  SN_TRY(read_header(r));
  int capacity = 0;
  for (size_t at = SPV_HEADER_WORDS; at < count; at += words[at] >> 16) {
    SN_GROW(arena, r->insn, r->insn_count, capacity);
    SN_TRY(read_insn(r, at, &r->insn[r->insn_count]));
    r->insn_count++;
  }
  r->defined = SN_ARRAY(arena, r->bound, int);
  for (int i = r->insn_count - 1; i >= 0; i--)
    if (r->insn[i].result < r->bound) r->defined[r->insn[i].result] = i + 1;
  r->defined[0] = 0;
  return SN_OK;
}

const spv_insn *spv_definition(const spv_reader *r, spv_id id) {
  return id < r->bound && r->defined[id] ? &r->insn[r->defined[id] - 1] : NULL;
}

const spv_insn *spv_definition_as(const spv_reader *r, spv_id id, spv_opcode op) {
  const spv_insn *i = spv_definition(r, id);
  return i && i->row->number == (uint32_t)op ? i : NULL;
}

uint32_t spv_word_at(const spv_reader *r, const spv_insn *i, uint32_t k) {
  return i->first + k < i->words ? r->words[i->at + i->first + k] : 0;
}

const char *spv_text_at(const spv_reader *r, uint32_t at, uint32_t words) {
  char *text = SN_ARRAY(r->arena, 4 * (size_t)words + 1, char);
  for (uint32_t i = 0; i < 4 * words; i++) text[i] = (char)(r->words[at + i / 4] >> 8 * (i % 4) & 0xff);
  return text;
}

bool spv_is_glsl(const spv_reader *r, spv_id set) {
  const spv_insn *i = spv_definition_as(r, set, SpvOpExtInstImport);
  return i && !strcmp(spv_text_at(r, i->at + 2, i->words - 2), "GLSL.std.450");
}
