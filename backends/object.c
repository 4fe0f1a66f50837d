/* Plan + prelinked runtime object -> relocatable object: an editor of ELF files that adds one section and renames
 * symbols. */
#include "backends/object.h"

#include <ctype.h>
#include <elf.h>
#include <string.h>

#define PREFIX "sn_object_"
#define MODEL_SYMBOL "sn_object_model"

const char *sn_object_identifier(sn_arena *arena, const char *name) {
  char *id = sn_arena_printf(arena, "%s%s", isdigit((unsigned char)name[0]) ? "m" : "", name);
  for (char *p = id; *p; p++)
    if (!isalnum((unsigned char)*p)) *p = '_';
  return id;
}

typedef struct object {
  const unsigned char *at;
  size_t bytes;
  const Elf64_Ehdr *header;
  const Elf64_Shdr *section;
  const Elf64_Shdr *symbols, *strings;
} object;

static bool inside(const object *o, uint64_t offset, uint64_t bytes) {
  return offset <= o->bytes && bytes <= o->bytes - offset;
}

static bool open_object(object *o, const void *data, size_t bytes) {
  *o = (object){.at = data, .bytes = bytes, .header = data};
  if (bytes < sizeof(Elf64_Ehdr) || memcmp(data, ELFMAG, SELFMAG) || o->header->e_type != ET_REL) return false;
  if (!inside(o, o->header->e_shoff, (uint64_t)o->header->e_shnum * sizeof(Elf64_Shdr))) return false;
  o->section = (const Elf64_Shdr *)(o->at + o->header->e_shoff);
  for (int i = 0; i < o->header->e_shnum; i++)
    if (o->section[i].sh_type == SHT_SYMTAB && o->section[i].sh_link < o->header->e_shnum) o->symbols = &o->section[i];
  if (!o->symbols) return false;
  o->strings = &o->section[o->symbols->sh_link];
  return inside(o, o->symbols->sh_offset, o->symbols->sh_size) && inside(o, o->strings->sh_offset, o->strings->sh_size);
}

/* The new file: the old one, the model, new names, new section headers. */
typedef struct layout {
  size_t model, names, names_bytes, sections, total;
} layout;

static size_t align_up(size_t n, size_t by) { return (n + by - 1) / by * by; }

static layout lay_out(const object *o, size_t model_bytes, size_t names_bytes) {
  layout l;
  l.model = align_up(o->bytes, 64);
  l.names = l.model + align_up(model_bytes, 8);
  l.names_bytes = names_bytes;
  l.sections = align_up(l.names + names_bytes, 8);
  l.total = l.sections + (size_t)(o->header->e_shnum + 1) * sizeof(Elf64_Shdr);
  return l;
}

static const char *symbol_name(const object *o, const Elf64_Sym *s) {
  return s->st_name < o->strings->sh_size ? (const char *)o->at + o->strings->sh_offset + s->st_name : "";
}

/* Old names followed by the renamed ones; sets st_name of each renamed symbol and defines the model's symbol. */
static bool rename_symbols(const object *o, unsigned char *file, const char *name, size_t model_bytes, sn_text *names) {
  Elf64_Sym *symbol = (Elf64_Sym *)(file + o->symbols->sh_offset);
  size_t count = o->symbols->sh_size / sizeof *symbol;
  bool defined = false;
  sn_text_bytes(names, (const char *)o->at + o->strings->sh_offset, o->strings->sh_size);
  for (size_t i = 0; i < count; i++) {
    const char *old = symbol_name(o, &symbol[i]);
    if (strncmp(old, PREFIX, strlen(PREFIX))) continue;
    if (!strcmp(old, MODEL_SYMBOL)) {
      symbol[i].st_shndx = o->header->e_shnum;
      symbol[i].st_value = 0;
      symbol[i].st_size = model_bytes;
      symbol[i].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
      symbol[i].st_other = STV_HIDDEN;
      defined = true;
    }
    symbol[i].st_name = (Elf64_Word)names->count;
    sn_text_add(names, "%s_%s", name, old + strlen(PREFIX));
    sn_text_char(names, 0);
  }
  return defined;
}

static void write_sections(const object *o, unsigned char *file, const layout *l, size_t model_bytes) {
  Elf64_Shdr *section = (Elf64_Shdr *)(file + l->sections);
  int n = o->header->e_shnum;
  memcpy(section, o->section, (size_t)n * sizeof *section);
  Elf64_Shdr *strings = &section[o->symbols->sh_link];
  strings->sh_offset = l->names;
  strings->sh_size = l->names_bytes;
  uint32_t title = 0; /* the name of any read-only data section of the runtime */
  const char *titles = (const char *)o->at + o->section[o->header->e_shstrndx].sh_offset;
  for (int i = 1; i < n; i++)
    if (!strcmp(titles + section[i].sh_name, ".rodata")) title = section[i].sh_name;
  section[n] = (Elf64_Shdr){.sh_name = title,
                            .sh_type = SHT_PROGBITS,
                            .sh_flags = SHF_ALLOC,
                            .sh_offset = l->model,
                            .sh_size = model_bytes,
                            .sh_addralign = 64};
  Elf64_Ehdr *header = (Elf64_Ehdr *)file;
  header->e_shoff = l->sections;
  header->e_shnum++;
}

sn_code sn_object_write(sn_arena *arena, sn_diags *diags, const char *name, const void *runtime, size_t runtime_bytes,
                        const void *model, size_t model_bytes, unsigned char **out, size_t *out_bytes) {
  object o;
  if (!open_object(&o, runtime, runtime_bytes))
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "the runtime object is not a relocatable ELF object of 64 bits");
  /* the model is prefixed by its length, so that one symbol tells all */
  size_t bytes = model_bytes + 64;
  unsigned char *copy = sn_arena_copy(arena, runtime, runtime_bytes);
  sn_text names = sn_text_begin(arena);
  if (!rename_symbols(&o, copy, name, bytes, &names))
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "the runtime object does not use %s", MODEL_SYMBOL);
  layout l = lay_out(&o, bytes, (size_t)names.count);
  unsigned char *file = sn_arena_alloc(arena, l.total);
  memcpy(file, copy, runtime_bytes);
  uint64_t length = model_bytes;
  memcpy(file + l.model, &length, sizeof length);
  memcpy(file + l.model + 64, model, model_bytes);
  memcpy(file + l.names, names.at, (size_t)names.count);
  write_sections(&o, file, &l, bytes);
  *out = file;
  *out_bytes = l.total;
  return SN_OK;
}
