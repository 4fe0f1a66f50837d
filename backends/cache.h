/* Object cache on disk: code blobs and plans by the complete text of what decides them. */
#ifndef SN_BACKENDS_CACHE_H
#define SN_BACKENDS_CACHE_H

#include "ir/plan/plan.h"

typedef struct sn_cache sn_cache;

/* Opens (makes, mode 0700) the cache folder; NULL when `dir` is "" or the folder cannot be used (another owner, not
 * writable): then nothing is cached and *why says so. dir NULL: $XDG_CACHE_HOME/sinter, ~/.cache/sinter. */
sn_cache *sn_cache_open(sn_arena *arena, const char *dir, const char **why);
/* The blob stored under exactly this key, checked against its checksum; false when there is none. Thread-safe. */
bool sn_cache_get(const sn_cache *c, const char *key, size_t key_bytes, sn_arena *arena, sn_code_blob *out);
/* Stores a blob atomically; failures are ignored (a cache may be full). Thread-safe. */
void sn_cache_put(const sn_cache *c, const char *key, size_t key_bytes, const sn_code_blob *blob);
/* The same for texts that are no code: what was measured. -> NULL: there is none. owns: arena */
const char *sn_cache_get_text(const sn_cache *c, const char *key, sn_arena *arena, size_t *bytes);
void sn_cache_put_text(const sn_cache *c, const char *key, const char *text);
/* The same for a plan in its binary form, whose reader checks it further. */
bool sn_cache_get_plan(const sn_cache *c, const char *key, size_t key_bytes, sn_arena *arena, const unsigned char **out,
                       size_t *out_bytes);
void sn_cache_put_plan(const sn_cache *c, const char *key, size_t key_bytes, const unsigned char *plan, size_t bytes);
/* What a file of the cache holds: the key as it was given (code generator, target, kernel text) and the blob. Trusts
 * nothing.  owns: views of `data`, features in arena.  errors: SN_ERR_INPUT */
typedef struct sn_cache_entry {
  const char *key;
  size_t key_bytes;
  sn_code_blob blob;
  bool is_plan; /* the bytes of the blob are a plan, and nothing else in it counts */
} sn_cache_entry;
SN_MUST sn_code sn_cache_entry_read(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                                    sn_cache_entry *out);

#endif
