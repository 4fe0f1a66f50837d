/* Planted mistakes: see plant.def. */
#ifndef SN_IR_BASE_PLANT_H
#define SN_IR_BASE_PLANT_H

#include <stdbool.h>

typedef enum sn_plant {
#define SN_PLANT_ROW(id, name, kind, pass, rule) SN_PLANT_##id,
#include "ir/base/plant.def"
#undef SN_PLANT_ROW
  SN_PLANT_COUNT
} sn_plant;

typedef struct sn_plant_info {
  const char *name, *kind, *pass, *rule;
} sn_plant_info;

/* What is to be found; NULL in builds without plants. */
const sn_plant_info *sn_plant_get(sn_plant p);

#if defined(SN_PLANT) && SN_PLANT
bool sn_plant_is_on(sn_plant p);
bool sn_plant_any_is_on(void);
#define SN_PLANTED(id) sn_plant_is_on(SN_PLANT_##id)
#define SN_PLANTED_ANY sn_plant_any_is_on()
#else
#define SN_PLANTED(id) false
#define SN_PLANTED_ANY false
#endif

#endif
