/* Map from 64-bit keys or strings to pointers. Iteration is in order of insertion: deterministic. */
#ifndef SN_IR_BASE_MAP_H
#define SN_IR_BASE_MAP_H

#include <stdint.h>

#include "ir/base/arena.h"

typedef struct sn_map sn_map;

sn_map *sn_map_create(sn_arena *arena);
/* Value of a key, NULL when absent. */
void *sn_map_get(const sn_map *m, uint64_t key);
void sn_map_put(sn_map *m, uint64_t key, void *value);
void *sn_map_get_str(const sn_map *m, const char *key);
void sn_map_put_str(sn_map *m, const char *key, void *value); /* the key is copied */
int sn_map_count(const sn_map *m);
/* Entry i in order of first insertion; key_str is NULL for numeric keys. */
void *sn_map_at(const sn_map *m, int i, const char **key_str);

#endif
