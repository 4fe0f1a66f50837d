/* How much memory there is: for messages that say why an allocation failed. */
#ifndef SN_IR_BASE_MEMORY_H
#define SN_IR_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that this process can still get: what the system calls available, at most the limit of its address space; -1:
 * unknown. */
int64_t sn_memory_available(void);
/* Bytes that the newest failed allocation from an arena of this thread asked for; 0: none failed. */
size_t sn_memory_wanted(void);

#endif
