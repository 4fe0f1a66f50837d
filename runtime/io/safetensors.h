/* safetensors: named tensors in one file. Reading trusts nothing.
 *   source: the format page of the safetensors project: u64 header length, JSON header, data; limits in docs */
#ifndef SN_RUNTIME_IO_SAFETENSORS_H
#define SN_RUNTIME_IO_SAFETENSORS_H

#include "ir/base/str.h"
#include "runtime/runtime.h"

typedef struct sn_tensor_entry {
  const char *name;
  sn_elem elem;
  int rank;
  int64_t extent[SN_RANK_MAX];
  const void *data; /* row-major; of a file: as aligned as the file has it */
  int64_t bytes;
} sn_tensor_entry;

typedef struct sn_safetensors {
  int count;
  sn_tensor_entry *tensor; /* in order of data */
  int meta_count;
  const char *(*meta)[2]; /* key, value */
} sn_safetensors;

/* Reads a file image. owns: entries in `arena`, data borrowed from the image.
 * errors: SN_ERR_INPUT for anything that the format forbids (holes, overlap, sizes that do not match shapes, duplicate
 * names, unknown types, names that are no UTF-8), SN_ERR_LIMIT beyond 1,000,000 tensors or 100 MB of header. */
SN_MUST sn_code sn_safetensors_read(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                                    sn_safetensors *out);
const sn_tensor_entry *sn_safetensors_find(const sn_safetensors *s, const char *name); /* NULL: none */

/* Writes atomically, data streamed. meta: pairs, may be NULL. Same input, same bytes. */
SN_MUST sn_code sn_safetensors_write(const char *path, int count, const sn_tensor_entry *tensor, int meta_count,
                                     const char *const (*meta)[2], sn_diags *diags);

/* What a file of weights may lack or hold beyond the model. Tensors that the model lacks are an error unless PARTIAL or
 * the file says that it was saved by the same model and settings (then they belong to graphs that this plan leaves
 * out). */
typedef enum sn_load {
  SN_LOAD_ALL,     /* every parameter must be there */
  SN_LOAD_TUNE,    /* parameters that no graph updates must be there; the others keep their values when missing */
  SN_LOAD_PARTIAL, /* missing ones keep their values */
} sn_load;

/* Parameters of a store to a file, and back, with their shapes; float types are converted.
 * errors: SN_ERR_INPUT missing, unknown (with the nearest name) or misshapen tensors (expected, found). */
SN_MUST sn_code sn_store_save(sn_store *s, const sn_plan *p, const char *path, sn_diags *diags);
SN_MUST sn_code sn_store_load(sn_store *s, const sn_plan *p, const char *path, sn_load mode, sn_diags *diags);
/* The same from tensors that were read already; `file` is their name in messages. lent_end: end of the memory that they
 * lie in, which stays as it is until the store is destroyed: what sn_store_lend can take from there is not copied;
 * NULL: all is copied. */
SN_MUST sn_code sn_store_load_tensors(sn_store *s, const sn_plan *p, const char *file, const sn_safetensors *tensors,
                                      sn_load mode, const void *lent_end, sn_diags *diags);
/* The same from a file image in memory; `file` is its name in messages. */
SN_MUST sn_code sn_store_load_image(sn_store *s, const sn_plan *p, const char *file, const void *data, size_t bytes,
                                    sn_load mode, sn_diags *diags);
/* Loads the parameters whose names begin with `prefix` ("teacher."), by the names that follow it, from the file of
 * their own model, which may hold more; they are references from then on (sn_store_set_reference). out_hash: 64 bits of
 * their values.  errors: as sn_store_load */
SN_MUST sn_code sn_store_refer(sn_store *s, const sn_plan *p, const char *prefix, const char *file, const void *data,
                               size_t bytes, sn_diags *diags, uint64_t *out_hash);

#endif
