/* What a processor does at most, as numbers: measured once per machine, or the defaults of its feature level. Predicted
 * times and choices among schedules of equal bits follow from them; results never do. */
#ifndef SN_IR_TYPES_LIMITS_H
#define SN_IR_TYPES_LIMITS_H

#include "ir/base/str.h"
#include "ir/types/target.h"

typedef struct sn_limits {
  bool measured;    /* on this machine */
  double product;   /* multiply-adds of f32 in products, per second and core */
  double pairs;     /* the same of bf16 where the target multiplies pairs; else as `product` */
  double point;     /* elements through one operation of elementwise work, per second and core */
  double l2, l3;    /* bytes per second and core of a sweep with two reads for a write */
  double memory;    /* the same out of memory */
  double together;  /* the same out of memory, all cores */
  double launch_ns; /* a step of a run that does next to nothing, on one thread */
  double meet_ns;   /* the same on all of them */
} sn_limits;

/* Of a generic core of the target's feature level. */
sn_limits sn_limits_default(const sn_target *t);
/* One name and number per line; reads back to the same numbers. */
void sn_limits_print(sn_text *out, const sn_limits *l);
/* Trusts nothing: every number once, in a range that machines can have. */
bool sn_limits_read(const char *text, size_t bytes, sn_limits *out);
/* Do they agree with each other: nearer caches are faster, all cores together no slower than one, and a meeting of them
 * is no wait for a processor? */
bool sn_limits_sound(const sn_limits *l);

#endif
