/* Names of ids for people: what OpName says, else what types, constants and built-ins are. */
#include <inttypes.h>
#include <string.h>

#include "backends/spirv/spv_read.h"
#include "ir/base/half.h"
#include "ir/base/map.h"

typedef struct namer {
  const spv_reader *r;
  const char **names; /* by id, NULL: none yet */
  sn_map *taken;
} namer;

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static uint64_t bits_at(const spv_reader *r, uint32_t at, uint32_t words) {
  return r->words[at] | (words > 1 ? (uint64_t)r->words[at + 1] << 32 : 0);
}

/* Infinities and NaN have no decimal: a hexadecimal number with the largest exponent plus one, as assemblers read it.
 */
static void print_special(sn_text *out, uint64_t bits, int mantissa_bits, int exponent_bits) {
  uint64_t mantissa = bits & ((UINT64_C(1) << mantissa_bits) - 1);
  int digits = (mantissa_bits + 3) / 4;
  bool is_negative = bits >> (mantissa_bits + exponent_bits) & 1;
  sn_text_add(out, "%s0x1", is_negative ? "-" : "");
  if (mantissa) sn_text_add(out, ".%0*" PRIx64, digits, mantissa << (4 * digits - mantissa_bits));
  sn_text_add(out, "p+%d", 1 << (exponent_bits - 1));
}

static void print_f64(sn_text *out, uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  if ((bits >> 52 & 0x7ff) == 0x7ff)
    print_special(out, bits, 52, 11);
  else
    sn_text_number(out, x);
}

static void print_f32(sn_text *out, uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  if ((bits >> 23 & 0xff) == 0xff)
    print_special(out, bits, 23, 8);
  else
    sn_text_number(out, (double)x);
}

static void print_f16(sn_text *out, uint16_t bits) {
  if ((bits >> 10 & 0x1f) == 0x1f)
    print_special(out, bits, 10, 5);
  else
    sn_text_number(out, (double)sn_f32_from_f16(bits));
}

void spv_print_number(sn_text *out, const spv_reader *r, spv_id type, uint32_t at, uint32_t words) {
  const spv_insn *t = spv_definition(r, type);
  uint64_t bits = bits_at(r, at, words);
  uint32_t width = t ? spv_word_at(r, t, 0) : 0;
  bool is_float = t && t->row->number == SpvOpTypeFloat;
  if (is_float && width == 64 && words == 2)
    print_f64(out, bits);
  else if (is_float && width == 32)
    print_f32(out, (uint32_t)bits);
  else if (is_float && width == 16 && t->words == 3)
    print_f16(out, (uint16_t)bits);
  else if (t && t->row->number == SpvOpTypeInt && spv_word_at(r, t, 1) && width <= 64)
    sn_text_add(out, "%" PRId64, words > 1 ? (int64_t)bits : (int64_t)(int32_t)bits);
  else
    sn_text_add(out, "%" PRIu64, bits);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Only what assemblers take for an id: letters, digits and underscores, not digits alone. */
static const char *clean(const namer *n, const char *text) {
  char *name = sn_arena_strdup(n->r->arena, text);
  static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  for (char *c = name; *c; c++) {
    if (*c == '-') *c = 'n';
    if (!strchr(good, *c)) *c = '_';
  }
  if (!*name || strspn(name, "0123456789") == strlen(name)) return sn_arena_printf(n->r->arena, "_%s", name);
  return name;
}

/* The first id keeps the name, later ones get their number behind it. */
static void take(namer *n, spv_id id, const char *text) {
  if (id >= n->r->bound || n->names[id]) return;
  const char *name = clean(n, text);
  while (sn_map_get_str(n->taken, name)) name = sn_arena_printf(n->r->arena, "%s_%u", name, id);
  sn_map_put_str(n->taken, name, n);
  n->names[id] = name;
}

static const char *name_of(const namer *n, spv_id id) {
  return id < n->r->bound && n->names[id] ? n->names[id] : sn_arena_printf(n->r->arena, "%u", id);
}

static const char *enum_name(const namer *n, spv_group group, uint32_t number) {
  const spv_enum_row *row = spv_enum_find(group, number);
  return row ? row->name : sn_arena_printf(n->r->arena, "%u", number);
}

static const char *scalar_type(const namer *n, const spv_insn *i) {
  uint32_t bits = spv_word_at(n->r, i, 0), more = spv_word_at(n->r, i, 1);
  bool is_float = i->row->number == SpvOpTypeFloat;
  if (is_float && i->words > 3) return bits == 16 && !more ? "bfloat16" : NULL;
  switch (bits) {
    case 8: return is_float ? NULL : more ? "char" : "uchar";
    case 16: return is_float ? "half" : more ? "short" : "ushort";
    case 32: return is_float ? "float" : more ? "int" : "uint";
    case 64: return is_float ? "double" : more ? "long" : "ulong";
    default: return NULL;
  }
}

static const char *type_name(const namer *n, const spv_insn *i) {
  sn_arena *arena = n->r->arena;
  uint32_t a = spv_word_at(n->r, i, 0), b = spv_word_at(n->r, i, 1);
  switch (i->row->number) {
    case SpvOpTypeVoid: return "void";
    case SpvOpTypeBool: return "bool";
    case SpvOpTypeInt:
    case SpvOpTypeFloat: return scalar_type(n, i);
    case SpvOpTypeVector: return sn_arena_printf(arena, "v%u%s", b, name_of(n, a));
    case SpvOpTypeArray: return sn_arena_printf(arena, "_arr_%s_%s", name_of(n, a), name_of(n, b));
    case SpvOpTypeRuntimeArray: return sn_arena_printf(arena, "_runtimearr_%s", name_of(n, a));
    case SpvOpTypeStruct: return sn_arena_printf(arena, "_struct_%u", i->result);
    case SpvOpTypePointer:
      return sn_arena_printf(arena, "_ptr_%s_%s", enum_name(n, SPV_GROUP_StorageClass, a), name_of(n, b));
    default: return NULL;
  }
}

static const char *constant_name(const namer *n, const spv_insn *i) {
  if (i->row->number == SpvOpConstantTrue) return "true";
  if (i->row->number == SpvOpConstantFalse) return "false";
  if (i->row->number != SpvOpConstant) return NULL;
  sn_text t = sn_text_begin(n->r->arena);
  sn_text_add(&t, "%s_", name_of(n, i->type));
  spv_print_number(&t, n->r, i->type, i->at + i->first, i->words - i->first);
  return t.at;
}

/* What debug information and decorations say of an id that is defined further down. */
static void take_said(namer *n, const spv_insn *i) {
  const uint32_t id = spv_word_at(n->r, i, 0);
  if (i->row->number == SpvOpName) take(n, id, spv_text_at(n->r, i->at + 2, i->words - 2));
  if (i->row->number == SpvOpDecorate && spv_word_at(n->r, i, 1) == SpvDecorationBuiltIn)
    take(n, id, enum_name(n, SPV_GROUP_BuiltIn, spv_word_at(n->r, i, 2)));
}

enum { NAME_BYTES_MAX = 200 };

const char *const *spv_names(const spv_reader *r) {
  namer n = {.r = r, .names = SN_ARRAY(r->arena, r->bound, const char *), .taken = sn_map_create(r->arena)};
  for (int i = 0; i < r->insn_count; i++) take_said(&n, &r->insn[i]);
  for (int i = 0; i < r->insn_count; i++) {
    const spv_insn *x = &r->insn[i];
    if (!x->result) continue;
    const char *name = type_name(&n, x);
    if (!name) name = constant_name(&n, x);
    if (name && strlen(name) <= NAME_BYTES_MAX) take(&n, x->result, name); /* types of types grow without end */
  }
  return n.names;
}
