/* Which commands of a list must wait for others: from the bytes that each reads and writes. Two independent ways to
 * look at a list, one that places barriers and one that checks them. No Vulkan types. */
#ifndef SN_RUNTIME_HAZARD_H
#define SN_RUNTIME_HAZARD_H

#include <stdint.h>

#include "ir/base/status.h"

typedef struct sn_command_access {
  uint64_t at, bytes; /* device addresses */
  bool write;         /* stores, and perhaps loads */
} sn_command_access;

/* A dispatch or a copy. A barrier before it ends all that came earlier in the list. */
typedef struct sn_command {
  int step;         /* of the graph */
  int first, count; /* its accesses */
  bool barrier;     /* before it */
} sn_command;

typedef struct sn_commands {
  sn_command *at;
  int count, capacity;
  sn_command_access *access;
  int access_count, access_capacity;
} sn_commands;

/* Grow the list.   errors: SN_ERR_LIMIT memory */
SN_MUST sn_code sn_commands_add(sn_commands *c, int step);
SN_MUST sn_code sn_commands_access(sn_commands *c, uint64_t at, int64_t bytes, bool write); /* of the newest */
void sn_commands_free(sn_commands *c);

/* Sets `barrier` of every command: as late as possible, only where bytes are written that an earlier command since the
 * last barrier touched, or read that one wrote.   errors: SN_ERR_LIMIT memory */
SN_MUST sn_code sn_barriers_place(sn_commands *c);

typedef struct sn_hazard {
  int first, second; /* commands without a barrier between them that touch the same bytes, one of them writing */
  uint64_t at;       /* the first such byte */
} sn_hazard;
/* Looks for one by sorting the bytes that are touched between two barriers; false: there is none.
 *   errors: SN_ERR_LIMIT memory */
SN_MUST sn_code sn_barriers_check(const sn_commands *c, bool *found, sn_hazard *out);

#endif
