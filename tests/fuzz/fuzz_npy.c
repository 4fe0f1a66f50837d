/* Fuzz target: the reader of .npy. What is accepted lies inside of the file; conversion stays inside of its output;
 * what is written of it in every type reads back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"
#include "runtime/io/npy.h"
#include "tests/fuzz/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void write_and_read(const sn_npy *a, sn_elem elem, const void *data, sn_diags *diags) {
  sn_npy back;
  sn_file_map map;
  const char *path = path_to_write();
  if (sn_npy_write(path, elem, a->rank, a->extent, data, diags)) return; /* the disk is full */
  if (sn_file_map_open(path, diags, &map) || sn_npy_read(diags, path, map.data, map.bytes, &back)) __builtin_trap();
  if (back.rank != a->rank || memcmp(back.extent, a->extent, (size_t)a->rank * 8)) __builtin_trap();
  if (back.elem == elem && back.bytes && memcmp(back.data, data, (size_t)back.bytes)) __builtin_trap();
  sn_file_map_close(&map);
  unlink(path);
}

static void convert(const sn_npy *a, sn_elem elem, sn_diags *diags) {
  size_t count = (size_t)a->bytes / sn_elem_bytes(a->elem);
  void *out = malloc(count * sn_elem_bytes(elem) + 1);
  if (out && sn_npy_convert(a, "fuzz.npy", elem, out, diags) == SN_OK) {
    if (elem == a->elem && elem != SN_ELEM_BOOL && memcmp(out, a->data, (size_t)a->bytes) != 0) __builtin_trap();
    write_and_read(a, elem, out, diags);
  }
  free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  sn_diags *diags = sn_diags_create();
  sn_npy a;
  if (sn_npy_read(diags, "fuzz.npy", data, bytes, &a) == SN_OK) {
    const uint8_t *from = a.data;
    if (from < data || from + a.bytes != data + bytes || a.rank > SN_RANK_MAX) __builtin_trap();
    for (int e = SN_ELEM_NONE + 1; e < SN_ELEM_COUNT; e++) convert(&a, (sn_elem)e, diags);
  } else if (diags->count != 1) {
    __builtin_trap();
  }
  sn_diags_destroy(diags);
  return 0;
}
