/* Code of the user's inside this process: what it does to itself becomes a diagnostic. */
#ifndef SN_FRONTEND_CLI_GUARD_H
#define SN_FRONTEND_CLI_GUARD_H

#include "ir/base/status.h"

/* fn(arg), which runs code of the model file. When that code uses the stack up, touches memory that is not there,
 * divides by zero or aborts, fn ends at once and the diagnostic names the file; when it calls exit, the process ends
 * with 3 and a message.   errors: what fn returns, SN_ERR_INPUT   needs: one thread */
SN_MUST sn_code cli_guarded(const char *file, sn_diags *diags, sn_code (*fn)(void *arg), void *arg);

#endif
