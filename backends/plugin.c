/* A shared object -> a backend. */
#include "backends/plugin.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"

struct sn_loaded_backend {
  void *handle;
  sn_backend backend; /* as the object says, with a longer version */
  char version[128];
};

const sn_backend *sn_backend_of(const sn_loaded_backend *b) { return &b->backend; }

void sn_backend_unload(sn_loaded_backend *b) {
  if (!b) return;
  if (b->handle) dlclose(b->handle);
  free(b);
}

static sn_code hash_file(const char *path, sn_diags *diags, uint64_t *out) {
  sn_file_map map;
  SN_TRY(sn_file_map_open(path, diags, &map));
  *out = sn_hash_bytes(map.data, map.bytes, 1);
  sn_file_map_close(&map);
  return SN_OK;
}

static const char *abi_text(sn_arena *arena, const sn_backend_abi *a) {
  return sn_arena_printf(arena, "interface %" PRIu32 ", ops %" PRIu32 ", layout %" PRIu32, a->version, a->ops,
                         a->layout);
}

static sn_code check_abi(const char *path, const sn_backend_abi *found, sn_diags *diags) {
  static const sn_backend_abi own = SN_BACKEND_ABI_OF_THIS;
  if (!memcmp(&own, found, sizeof own)) return SN_OK;
  sn_code code = sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "%s: the backend was built for another version", path);
  sn_arena *arena = diags ? diags->arena : NULL;
  if (!arena) return code;
  sn_fail_expected(diags, "%s", abi_text(arena, &own));
  sn_fail_found(diags, "%s", abi_text(arena, found));
  sn_fail_note(diags, "build it again with the headers that were installed with this program");
  return code;
}

static sn_code take(const char *path, sn_loaded_backend *b, uint64_t hash, sn_diags *diags) {
  const sn_backend_record *p = dlsym(b->handle, "sn_backend_plugin");
  if (!p) {
    sn_code code = sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "%s: there is no backend in the file", path);
    sn_fail_expected(diags, "SN_BACKEND(function) as its last line, compiled with -DSN_PLUGIN");
    return code;
  }
  SN_TRY(check_abi(path, &p->abi, diags));
  const sn_backend *found = p->get();
  if (!found || !found->name || !found->version || !found->describe || !found->supports || !found->emit)
    return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0},
                   "%s: the backend lacks a name, version, describe, supports or emit", path);
  b->backend = *found;
  snprintf(b->version, sizeof b->version, "%s %016" PRIx64, found->version, hash);
  b->backend.version = b->version;
  return SN_OK;
}

sn_code sn_backend_load(const char *path, sn_diags *diags, sn_loaded_backend **out) {
  char full[4096];
  uint64_t hash;
  if (!realpath(path, full)) snprintf(full, sizeof full, "%s", path); /* the map says why */
  SN_TRY(hash_file(full, diags, &hash));
  sn_loaded_backend *b = calloc(1, sizeof *b);
  if (!b) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  b->handle = dlopen(full, RTLD_NOW | RTLD_LOCAL);
  sn_code code = b->handle ? take(path, b, hash, diags)
                           : sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "the backend cannot be loaded: %s", dlerror());
  if (code) {
    sn_backend_unload(b);
    return code;
  }
  *out = b;
  return SN_OK;
}
