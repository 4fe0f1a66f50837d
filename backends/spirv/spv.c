/* SPIR-V builder: words, sections, what is made once, and the module at the end. */
#include "backends/spirv/spv.h"

#include <string.h>

#include "backends/spirv/spv_internal.h"

/* ---- words ------------------------------------------------------------------------------------------------------- */

void spv_word(spv *s, spv_words *w, uint32_t word) {
  SN_GROW(s->arena, w->at, w->count, w->capacity);
  w->at[w->count++] = word;
}

uint32_t *spv_add(spv *s, spv_section section, spv_opcode op, size_t words) {
  spv_words *w = &s->section[section];
  if (words > SPV_WORDS_MAX) s->too_long = true, words = 1;
  while ((size_t)(w->capacity - w->count) < words) {
    int filled = w->capacity; /* doubling copies what stands below the capacity */
    SN_GROW(s->arena, w->at, filled, w->capacity);
  }
  uint32_t *at = w->at + w->count;
  w->count += (int)words;
  at[0] = (uint32_t)words << 16 | op;
  return at;
}

static size_t text_words(const char *text) { return strlen(text) / 4 + 1; }

/* The first byte is the lowest of a word, whatever the order of bytes of the machine. */
static void set_text(uint32_t *at, const char *text) {
  size_t length = strlen(text);
  memset(at, 0, text_words(text) * sizeof *at);
  for (size_t i = 0; i < length; i++) at[i / 4] |= (uint32_t)(unsigned char)text[i] << 8 * (i % 4);
}

void spv_add_text(spv *s, spv_section section, spv_opcode op, int before, const uint32_t *operands, const char *text) {
  size_t words = 1 + (size_t)before + text_words(text);
  if (words > SPV_WORDS_MAX) {
    s->too_long = true;
    return;
  }
  uint32_t *at = spv_add(s, section, op, words);
  if (before) memcpy(at + 1, operands, (size_t)before * sizeof *at);
  set_text(at + 1 + before, text);
}

/* ---- what is made once ------------------------------------------------------------------------------------------- */

static void grow_memos(spv *s) {
  spv_memo *old = s->memos;
  int old_capacity = s->memo_capacity;
  s->memo_capacity = old_capacity ? 2 * old_capacity : 64;
  s->memos = SN_ARRAY(s->arena, s->memo_capacity, spv_memo);
  for (int i = 0; i < old_capacity; i++) {
    if (!old[i].key_words) continue;
    uint64_t at = old[i].hash;
    while (s->memos[at & (uint64_t)(s->memo_capacity - 1)].key_words) at++;
    s->memos[at & (uint64_t)(s->memo_capacity - 1)] = old[i];
  }
}

/* The entry of the key that stands at the end of `keys` from `start` on. */
static spv_memo *find(spv *s, int start) {
  if (2 * (s->memo_count + 1) > s->memo_capacity) grow_memos(s);
  int words = s->keys.count - start;
  const uint32_t *key = s->keys.at + start;
  uint64_t hash = sn_hash_bytes(key, (size_t)words * sizeof *key, 0);
  for (uint64_t at = hash;; at++) {
    spv_memo *m = &s->memos[at & (uint64_t)(s->memo_capacity - 1)];
    if (!m->key_words) {
      *m = (spv_memo){.hash = hash, .key = start, .key_words = words};
      s->memo_count++;
      return m;
    }
    if (m->hash == hash && m->key_words == words && !memcmp(s->keys.at + m->key, key, (size_t)words * sizeof *key)) {
      s->keys.count = start;
      return m;
    }
  }
}

spv_memo *spv_memo_find(spv *s, uint32_t tag, uint32_t what, int count, const uint32_t *words) {
  int start = s->keys.count;
  spv_word(s, &s->keys, tag);
  spv_word(s, &s->keys, what);
  for (int i = 0; i < count; i++) spv_word(s, &s->keys, words[i]);
  return find(s, start);
}

spv_memo *spv_memo_text(spv *s, uint32_t tag, const char *text) {
  int start = s->keys.count;
  spv_word(s, &s->keys, tag);
  for (const char *c = text; *c; c++) spv_word(s, &s->keys, (unsigned char)*c);
  return find(s, start);
}

/* ---- declarations ------------------------------------------------------------------------------------------------ */

spv_id spv_new(spv *s) { return s->bound++; }

spv_id spv_bound(const spv *s) { return s->bound; }

void spv_extension(spv *s, const char *name) {
  spv_memo *m = spv_memo_text(s, SPV_KEY_EXTENSION, name);
  if (m->id) return;
  m->id = 1;
  spv_add_text(s, SPV_EXTENSIONS, SpvOpExtension, 0, NULL, name);
}

/* Kept ascending, so that their order does not depend on what asked first. */
void spv_capability(spv *s, uint32_t capability) {
  spv_words *c = &s->capabilities;
  int at = c->count;
  while (at > 0 && c->at[at - 1] >= capability) at--;
  if (at < c->count && c->at[at] == capability) return;
  spv_word(s, c, 0);
  memmove(c->at + at + 1, c->at + at, (size_t)(c->count - 1 - at) * sizeof *c->at);
  c->at[at] = capability;
  const char *extension = spv_capability_extension(capability);
  if (extension) spv_extension(s, extension);
}

void spv_mode(spv *s, uint32_t mode, uint32_t value) {
  uint32_t capability;
  if (spv_enum_need(SPV_GROUP_ExecutionMode, mode, &capability)) spv_capability(s, capability);
  uint32_t *at = spv_add(s, SPV_MODES, SpvOpExecutionMode, 4);
  at[1] = s->main;
  at[2] = mode;
  at[3] = value;
}

void spv_decorate(spv *s, spv_id id, uint32_t decoration, int count, const uint32_t *literals) {
  uint32_t *at = spv_add(s, SPV_ANNOTATIONS, SpvOpDecorate, 3 + (size_t)count);
  if (s->too_long) return;
  at[1] = id;
  at[2] = decoration;
  if (count) memcpy(at + 3, literals, (size_t)count * sizeof *at);
}

void spv_name(spv *s, spv_id id, const char *name) {
  if (s->opt.names) spv_add_text(s, SPV_NAMES, SpvOpName, 1, &id, name);
}

void spv_push_name(spv *s, int member, const char *name) {
  const uint32_t operands[] = {s->push_type, (uint32_t)member};
  if (s->opt.names) spv_add_text(s, SPV_NAMES, SpvOpMemberName, 2, operands, name);
}

void spv_line(spv *s, const char *file, int line) {
  if (!s->opt.names) return;
  spv_memo *m = spv_memo_text(s, SPV_KEY_STRING, file);
  if (!m->id) {
    m->id = spv_new(s);
    spv_id id = m->id;
    spv_add_text(s, SPV_STRINGS, SpvOpString, 1, &id, file);
    s->file = id;
  } else {
    s->file = m->id;
  }
  s->line = line < 0 ? 0 : (uint32_t)line;
}

/* ---- begin and end ----------------------------------------------------------------------------------------------- */

spv *spv_begin(sn_arena *arena, spv_opt opt) {
  spv *s = SN_NEW(arena, spv);
  s->arena = arena;
  s->opt = opt;
  s->bound = 1;
  s->main = spv_new(s);
  spv_capability(s, SpvCapabilityShader);
  if (opt.vulkan_memory) spv_capability(s, SpvCapabilityVulkanMemoryModel);
  return s;
}

static void add_model(spv *s) {
  uint32_t *at = spv_add(s, SPV_MODEL, SpvOpMemoryModel, 3);
  at[1] = s->addresses ? SpvAddressingModelPhysicalStorageBuffer64 : SpvAddressingModelLogical;
  at[2] = s->opt.vulkan_memory ? SpvMemoryModelVulkan : SpvMemoryModelGLSL450;
}

static void add_entry(spv *s, uint32_t invocations) {
  static const char name[] = "main";
  size_t before = 3 + text_words(name), words = before + (size_t)s->interface.count;
  uint32_t *at = spv_add(s, SPV_ENTRY, SpvOpEntryPoint, words);
  if (s->too_long) return;
  at[1] = SpvExecutionModelGLCompute;
  at[2] = s->main;
  set_text(at + 3, name);
  if (s->interface.count) memcpy(at + before, s->interface.at, (size_t)s->interface.count * sizeof *at);
  at = spv_add(s, SPV_MODES, SpvOpExecutionMode, 6);
  at[1] = s->main;
  at[2] = SpvExecutionModeLocalSize;
  at[3] = invocations;
  at[4] = 1;
  at[5] = 1;
}

static const uint32_t *join(const spv *s, size_t *count) {
  size_t words = SPV_HEADER_WORDS;
  for (int i = 0; i < SPV_SECTIONS; i++) words += (size_t)s->section[i].count;
  uint32_t *to = SN_ARRAY(s->arena, words, uint32_t);
  to[0] = SPV_MAGIC;
  to[1] = SPV_VERSION_1_5;
  to[3] = s->bound;
  size_t at = SPV_HEADER_WORDS;
  for (int i = 0; i < SPV_SECTIONS; i++) {
    size_t n = (size_t)s->section[i].count;
    if (n) memcpy(to + at, s->section[i].at, n * sizeof *to);
    at += n;
  }
  *count = words;
  return to;
}

sn_code spv_end(spv *s, uint32_t invocations, sn_diags *diags, const uint32_t **words, size_t *count) {
  if (s->block) spv_do(s, SpvOpReturn, 0, NULL);
  spv_add(s, SPV_CODE, SpvOpFunctionEnd, 1);
  add_model(s);
  add_entry(s, invocations);
  for (int i = 0; i < s->capabilities.count; i++) {
    uint32_t *at = spv_add(s, SPV_CAPABILITIES, SpvOpCapability, 2);
    at[1] = s->capabilities.at[i];
  }
  if (s->too_long) {
    sn_code code = sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "spirv: an instruction does not fit into a module");
    sn_fail_expected(diags, "at most %d words", SPV_WORDS_MAX);
    return code;
  }
  *words = join(s, count);
  return SN_OK;
}
