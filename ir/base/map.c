/* Map: open addressing over an array of entries in order of insertion. */
#include "ir/base/map.h"

#include <string.h>

#include "ir/base/str.h"

typedef struct entry {
  uint64_t key;    /* the number, or the hash of the string */
  const char *str; /* NULL: numeric */
  void *value;
} entry;

struct sn_map {
  sn_arena *arena;
  entry *at;
  int count, capacity;
  int *slot; /* position in `at` plus one; 0: free */
  int slots; /* a power of two, more than 4/3 of count */
};

static bool same(const entry *e, uint64_t key, const char *str) {
  if (e->key != key || !e->str != !str) return false;
  return !str || strcmp(e->str, str) == 0;
}

/* The slot of a key, or the free one where it belongs. */
static int *probe(const sn_map *m, uint64_t key, const char *str) {
  uint64_t h = str ? key : sn_hash_word(key, 0);
  uint64_t mask = (uint64_t)m->slots - 1;
  for (uint64_t i = h & mask;; i = (i + 1) & mask) {
    if (!m->slot[i] || same(&m->at[m->slot[i] - 1], key, str)) return &m->slot[i];
  }
}

static void rehash(sn_map *m) {
  m->slots = m->slots ? m->slots * 2 : 16;
  m->slot = SN_ARRAY(m->arena, m->slots, int);
  for (int i = 0; i < m->count; i++) *probe(m, m->at[i].key, m->at[i].str) = i + 1;
}

static void *get(const sn_map *m, uint64_t key, const char *str) {
  if (!m->count) return NULL;
  int i = *probe(m, key, str);
  return i ? m->at[i - 1].value : NULL;
}

static void put(sn_map *m, uint64_t key, const char *str, void *value) {
  if (m->count >= m->slots / 4 * 3) rehash(m);
  int *slot = probe(m, key, str);
  if (*slot) {
    m->at[*slot - 1].value = value;
    return;
  }
  SN_GROW(m->arena, m->at, m->count, m->capacity);
  m->at[m->count++] = (entry){key, str ? sn_arena_strdup(m->arena, str) : NULL, value};
  *slot = m->count;
}

sn_map *sn_map_create(sn_arena *arena) {
  sn_map *m = SN_NEW(arena, sn_map);
  m->arena = arena;
  return m;
}

void *sn_map_get(const sn_map *m, uint64_t key) { return get(m, key, NULL); }

void sn_map_put(sn_map *m, uint64_t key, void *value) { put(m, key, NULL, value); }

void *sn_map_get_str(const sn_map *m, const char *key) { return get(m, sn_hash_bytes(key, strlen(key), 0), key); }

void sn_map_put_str(sn_map *m, const char *key, void *value) { put(m, sn_hash_bytes(key, strlen(key), 0), key, value); }

int sn_map_count(const sn_map *m) { return m->count; }

void *sn_map_at(const sn_map *m, int i, const char **key_str) {
  if (key_str) *key_str = m->at[i].str;
  return m->at[i].value;
}
