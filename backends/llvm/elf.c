/* ELF64 x86-64 relocatable object -> image: code sections first, then read-only data, relative relocations applied.
 * Everything read from the object is checked against its size. */
#include "backends/llvm/elf.h"

#include <elf.h>
#include <string.h>

enum { ALIGNMENT = 64, MOST_ALIGNMENT = 4096 };

typedef struct object {
  const char *at;
  size_t bytes;
  Elf64_Shdr *section; /* copies: tables of a damaged object may lie anywhere */
  int section_count;
  const char *names; /* of sections */
  size_t names_bytes;
  Elf64_Sym *symbol;
  size_t symbol_count;
  const char *strings; /* of symbols */
  size_t strings_bytes;
  int64_t *offset; /* per section: place in the image, -1: not in it */
  sn_arena *arena;
  sn_diags *diags;
} object;

static sn_code fail(const object *o, const char *what, const char *name) {
  return sn_fail(o->diags, SN_ERR_FAIL, (sn_loc){0}, "code generator: object file: %s%s%s", what, name ? " " : "",
                 name ? name : "");
}

static bool inside(const object *o, uint64_t offset, uint64_t bytes) {
  return offset <= o->bytes && bytes <= o->bytes - offset;
}

static const char *string_at(const char *table, size_t bytes, uint32_t offset) {
  return offset < bytes && memchr(table + offset, 0, bytes - offset) ? table + offset : "?";
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static void *table_copy(const object *o, const Elf64_Shdr *s) {
  return sn_arena_copy(o->arena, o->at + s->sh_offset, s->sh_size);
}

static sn_code read_symbols(object *o) {
  for (int i = 0; i < o->section_count; i++) {
    const Elf64_Shdr *s = &o->section[i];
    if (s->sh_type != SHT_SYMTAB) continue;
    if (!inside(o, s->sh_offset, s->sh_size) || s->sh_link >= (uint32_t)o->section_count)
      return fail(o, "symbol table", NULL);
    const Elf64_Shdr *t = &o->section[s->sh_link];
    if (!inside(o, t->sh_offset, t->sh_size)) return fail(o, "symbol names", NULL);
    o->symbol = table_copy(o, s);
    o->symbol_count = s->sh_size / sizeof *o->symbol;
    o->strings = o->at + t->sh_offset, o->strings_bytes = t->sh_size;
    return SN_OK;
  }
  return fail(o, "no symbol table", NULL);
}

static sn_code read_header(object *o) {
  Elf64_Ehdr h;
  if (o->bytes < sizeof h) return fail(o, "not ELF64", NULL);
  memcpy(&h, o->at, sizeof h);
  if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64) return fail(o, "not ELF64", NULL);
  if (h.e_machine != EM_X86_64) return fail(o, "not for x86-64: other architectures are not supported", NULL);
  uint64_t table = (uint64_t)h.e_shnum * sizeof(Elf64_Shdr);
  if (h.e_shentsize != sizeof(Elf64_Shdr) || !inside(o, h.e_shoff, table)) return fail(o, "section table", NULL);
  o->section = sn_arena_copy(o->arena, o->at + h.e_shoff, table);
  o->section_count = h.e_shnum;
  if (h.e_shstrndx >= h.e_shnum) return fail(o, "section names", NULL);
  const Elf64_Shdr *n = &o->section[h.e_shstrndx];
  if (!inside(o, n->sh_offset, n->sh_size)) return fail(o, "section names", NULL);
  o->names = o->at + n->sh_offset, o->names_bytes = n->sh_size;
  return read_symbols(o);
}

static const char *section_name(const object *o, int i) {
  return string_at(o->names, o->names_bytes, o->section[i].sh_name);
}

/* ---- layout -------------------------------------------------------------------------------------------- */

static int64_t aligned(int64_t at, uint64_t alignment) {
  int64_t a = alignment > ALIGNMENT ? (int64_t)alignment : ALIGNMENT;
  return (at + a - 1) / a * a;
}

static bool is_unwind(const object *o, int i) { return !strncmp(section_name(o, i), ".eh_frame", 9); }

static sn_code lay_out(object *o, int64_t *total) {
  int64_t at = 0;
  o->offset = SN_ARRAY(o->arena, o->section_count, int64_t);
  for (int i = 0; i < o->section_count; i++) o->offset[i] = -1;
  for (int data = 0; data < 2; data++)
    for (int i = 0; i < o->section_count; i++) {
      const Elf64_Shdr *s = &o->section[i];
      bool code = s->sh_flags & SHF_EXECINSTR;
      if (!(s->sh_flags & SHF_ALLOC) || !s->sh_size || is_unwind(o, i) || code == (data == 1)) continue;
      if (s->sh_flags & SHF_WRITE) return fail(o, "writable data in", section_name(o, i));
      if (s->sh_type != SHT_PROGBITS || !inside(o, s->sh_offset, s->sh_size))
        return fail(o, "section", section_name(o, i));
      if (s->sh_addralign > MOST_ALIGNMENT) return fail(o, "alignment of section", section_name(o, i));
      at = aligned(at, s->sh_addralign);
      o->offset[i] = at;
      at += (int64_t)s->sh_size;
    }
  *total = aligned(at, 1);
  return SN_OK;
}

static void copy_sections(const object *o, cg_image *image) {
  image->bytes = sn_arena_alloc(o->arena, (size_t)image->count);
  for (int i = 0; i < o->section_count; i++)
    if (o->offset[i] >= 0) memcpy(image->bytes + o->offset[i], o->at + o->section[i].sh_offset, o->section[i].sh_size);
}

/* ---- symbols and relocations ------------------------------------------------------------------------------ */

static sn_code symbol_offset(const object *o, size_t index, int64_t *out) {
  if (index >= o->symbol_count) return fail(o, "symbol index", NULL);
  const Elf64_Sym *s = &o->symbol[index];
  const char *name = string_at(o->strings, o->strings_bytes, s->st_name);
  if (s->st_shndx == SHN_UNDEF) return fail(o, "generated code needs the external symbol", name);
  if (s->st_shndx >= o->section_count || o->offset[s->st_shndx] < 0)
    return fail(o, "symbol outside of the image:", name);
  if (s->st_value >= o->section[s->st_shndx].sh_size) return fail(o, "symbol outside of its section:", name);
  *out = o->offset[s->st_shndx] + (int64_t)s->st_value;
  return SN_OK;
}

static sn_code apply(const object *o, const cg_image *image, int64_t place, const Elf64_Rela *r) {
  uint32_t type = ELF64_R_TYPE(r->r_info);
  int64_t target;
  if (type == R_X86_64_NONE) return SN_OK;
  SN_TRY(symbol_offset(o, ELF64_R_SYM(r->r_info), &target));
  int64_t value = (int64_t)((uint64_t)target + (uint64_t)r->r_addend - (uint64_t)place);
  size_t width = type == R_X86_64_PC64 ? 8 : 4;
  if (type != R_X86_64_PC32 && type != R_X86_64_PLT32 && type != R_X86_64_PC64) {
    (void)fail(o, "a relocation that is not relative", NULL);
    sn_fail_found(o->diags, "type %u", type);
    return SN_ERR_FAIL;
  }
  if (place < 0 || place + (int64_t)width > image->count) return fail(o, "relocation outside of the image", NULL);
  if (width == 4 && value != (int32_t)value) return fail(o, "relocation out of range", NULL);
  memcpy(image->bytes + place, &value, width); /* little endian */
  return SN_OK;
}

static sn_code relocate(const object *o, const cg_image *image) {
  for (int i = 0; i < o->section_count; i++) {
    const Elf64_Shdr *s = &o->section[i];
    if (s->sh_type == SHT_REL) return fail(o, "relocations without addend", NULL);
    if (s->sh_type != SHT_RELA || s->sh_info >= (uint32_t)o->section_count || o->offset[s->sh_info] < 0) continue;
    if (!inside(o, s->sh_offset, s->sh_size)) return fail(o, "relocations", NULL);
    const Elf64_Rela *r = table_copy(o, s);
    for (size_t j = 0; j < s->sh_size / sizeof *r; j++) {
      if (r[j].r_offset >= o->section[s->sh_info].sh_size) return fail(o, "relocation offset", NULL);
      SN_TRY(apply(o, image, o->offset[s->sh_info] + (int64_t)r[j].r_offset, &r[j]));
    }
  }
  return SN_OK;
}

static sn_code find_entry(const object *o, const char *entry, int64_t *out) {
  for (size_t i = 0; i < o->symbol_count; i++) {
    if (o->symbol[i].st_shndx == SHN_UNDEF) continue;
    if (!strcmp(string_at(o->strings, o->strings_bytes, o->symbol[i].st_name), entry)) return symbol_offset(o, i, out);
  }
  return fail(o, "no function", entry);
}

sn_code cg_image_of_object(const char *bytes, size_t count, const char *entry, sn_arena *arena, sn_diags *diags,
                           cg_image *out) {
  object o = {.at = bytes, .bytes = count, .arena = arena, .diags = diags};
  cg_image image = {0};
  SN_TRY(read_header(&o));
  SN_TRY(lay_out(&o, &image.count));
  copy_sections(&o, &image);
  SN_TRY(relocate(&o, &image));
  SN_TRY(find_entry(&o, entry, &image.entry));
  *out = image;
  return SN_OK;
}
