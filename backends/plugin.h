/* Backends built outside of the project: shared objects that are loaded. */
#ifndef SN_BACKENDS_PLUGIN_H
#define SN_BACKENDS_PLUGIN_H

#include "backends/backend.h"

typedef struct sn_loaded_backend sn_loaded_backend;

/* Loads a shared object that ends with SN_BACKEND(...), see backend.h. It is a program: it runs with the user's rights.
 * The version of the backend is completed by a hash of the file, so that cached code of another build is never taken.
 *   errors: SN_ERR_INPUT cannot be loaded, or no backend inside; SN_ERR_DEVICE built for another version (expected,
 *           found), or it lacks a function   owns: the caller, sn_backend_unload */
SN_MUST sn_code sn_backend_load(const char *path, sn_diags *diags, sn_loaded_backend **out);
/* needs: nothing compiled by it is running or will be. NULL is allowed. */
void sn_backend_unload(sn_loaded_backend *b);
const sn_backend *sn_backend_of(const sn_loaded_backend *b);

#endif
