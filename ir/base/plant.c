/* See plant.def. The variable is read whenever a place is passed: there is no state. */
#include "ir/base/plant.h"

#include <stdlib.h>
#include <string.h>

#if defined(SN_PLANT) && SN_PLANT

static const sn_plant_info plants[] = {
#define SN_PLANT_ROW(id, name, kind, pass, rule) {name, kind, pass, rule},
#include "ir/base/plant.def"
#undef SN_PLANT_ROW
};

const sn_plant_info *sn_plant_get(sn_plant p) { return &plants[p]; }

bool sn_plant_is_on(sn_plant p) {
  const char *name = getenv("SN_PLANT");
  return name && !strcmp(name, plants[p].name);
}

bool sn_plant_any_is_on(void) { return getenv("SN_PLANT") != NULL; }

#else

const sn_plant_info *sn_plant_get(sn_plant p) {
  (void)p;
  return NULL;
}

#endif
