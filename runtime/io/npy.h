/* .npy: one array per file, versions 1 to 3, little endian, C order. Object arrays (pickles) are refused.
 *   source: NumPy enhancement proposal 1; numpy.lib.format */
#ifndef SN_RUNTIME_IO_NPY_H
#define SN_RUNTIME_IO_NPY_H

#include "ir/base/str.h"
#include "ir/types/type.h"

typedef struct sn_npy {
  sn_elem elem; /* f8 f4 f2 i8 i4 i1 u1 b1; other integers are refused */
  int rank;
  int64_t extent[SN_RANK_MAX];
  const void *data; /* borrowed from the image: not aligned */
  int64_t bytes;
} sn_npy;

/* errors: SN_ERR_INPUT */
SN_MUST sn_code sn_npy_read(sn_diags *diags, const char *file, const void *data, size_t bytes, sn_npy *out);
/* bf16 is written as f4. Atomic. */
SN_MUST sn_code sn_npy_write(const char *path, sn_elem elem, int rank, const int64_t *extent, const void *data,
                             sn_diags *diags);
/* The elements of `from` as `elem` (floats to floats, integers to integers when every value fits, bool to itself).
 * errors: SN_ERR_INPUT naming both types or the value that does not fit. out: count elements. */
SN_MUST sn_code sn_npy_convert(const sn_npy *from, const char *file, sn_elem elem, void *out, sn_diags *diags);

#endif
