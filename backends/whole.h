/* Whole plans in the object cache, inside of sn_compile. */
#ifndef SN_BACKENDS_WHOLE_H
#define SN_BACKENDS_WHOLE_H

#include "backends/cache.h"
#include "backends/choose.h"
#include "backends/compile.h"

/* Where the plan at hand is kept. */
typedef struct sn_whole {
  const sn_cache *cache; /* NULL: nowhere */
  sn_text key;
} sn_whole;

/* Is there a plan of this module (before any pass), these options and c's target? Then it and the counts of kernels are
 * in c. needs: target, backend and arena of c. */
bool sn_whole_find(const sn_module *m, const sn_compile_opt *opt, sn_compiled *c, const sn_chooser *chooser,
                   sn_whole *out);
/* Keeps what was compiled instead. */
void sn_whole_keep(const sn_whole *w, const sn_compiled *c);

#endif
