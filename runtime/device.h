/* The seam between the runtime and a device that is not the processor of the host. The runtime binds extents and gives
 * host memory of inputs and outputs; the device has its own copies of everything and runs the steps. */
#ifndef SN_RUNTIME_DEVICE_H
#define SN_RUNTIME_DEVICE_H

#include "runtime/inside.h"

/* Where the newest values of a parameter or state are. */
typedef enum sn_newer {
  SN_NEWER_NONE,   /* host and device have the same */
  SN_NEWER_HOST,   /* the device's copy is to be renewed before it is used */
  SN_NEWER_DEVICE, /* the host's */
} sn_newer;

typedef struct sn_device sn_device;
typedef struct sn_device_store sn_device_store;

/* One run: data[slot] is host memory of inputs (read) and of outputs that are wanted (written); NULL for others. */
typedef struct sn_device_run {
  sn_runtime *r;
  sn_store *s;
  const sn_bound *b;
  void *const *data;
} sn_device_run;

typedef struct sn_device_type {
  const char *name;
  void (*destroy)(sn_device *d);
  /* Memory for the persistent slots of a store.   errors: SN_ERR_LIMIT, saying how much is missing */
  sn_code (*store_create)(sn_device *d, const sn_store *s, sn_diags *diags, sn_device_store **out);
  void (*store_destroy)(sn_device *d, sn_device_store *s);
  /* Host copy of a persistent slot = that of the device.   errors: SN_ERR_DEVICE */
  sn_code (*pull)(sn_device *d, sn_store *s, int slot, sn_diags *diags);
  /* All steps; sets s->newer of what was written.   errors: as sn_run */
  sn_code (*run)(sn_device *d, const sn_device_run *x, sn_diags *diags);
  /* Bytes of a slot of the newest run; -1: it is not of that graph. */
  int64_t (*bytes)(const sn_device *d, int slot);
  /* A slot of the newest run, while it is going on or after it; `to` has its bytes.   errors: SN_ERR_DEVICE */
  sn_code (*read)(sn_device *d, int slot, void *to, sn_diags *diags);
} sn_device_type;

struct sn_device {
  const sn_device_type *type;
};

/* The device that the code of the plan is for.   needs: wanted.
 *   errors: SN_ERR_DEVICE no such device here, or it lacks what the code needs, naming it */
SN_MUST sn_code sn_device_create(sn_runtime *r, sn_diags *diags, sn_device **out);

#endif
