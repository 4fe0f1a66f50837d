/* Where this code was installed: files that lie beside it, wherever the whole was moved to. */
#ifndef SN_IR_BASE_PLACE_H
#define SN_IR_BASE_PLACE_H

#include "ir/base/arena.h"

/* The file or folder called `relative` ("include/sinter") in the folder of the program or library that holds this
 * code, or in one of the two folders above it (prefix/bin, prefix/lib, prefix/lib/ARCH). $SINTER_PREFIX, where it is
 * set, is looked at instead: for programs that have this code inside and lie elsewhere. NULL: none.
 *   owns: arena */
const char *sn_place_find(sn_arena *arena, const char *relative);

#endif
