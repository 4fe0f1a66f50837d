/* Status codes, source locations and diagnostics: how every layer says that something is wrong.
 * Library code never prints, exits or aborts on input; it returns a code and leaves a diagnostic. */
#ifndef SN_IR_BASE_STATUS_H
#define SN_IR_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "ir/base/arena.h"
#include "ir/base/code.h"

#ifdef __GNUC__
#pragma GCC visibility push(default) /* loaded backends call these */
#endif

/* Returns the code of `expression` from the calling function unless it is SN_OK. */
#define SN_TRY(expression)               \
  do {                                   \
    sn_code sn_try_code = (expression);  \
    if (sn_try_code) return sn_try_code; \
  } while (0)

/* Where something stands in a text the user wrote. */
typedef struct sn_loc {
  const char *file; /* NULL: unknown */
  int line;         /* from 1; 0: unknown */
  int column;       /* from 1; 0: unknown */
  const char *text; /* the expression as the user spelled it; NULL: unknown */
} sn_loc;

/* One mistake. Strings live in the arena of the list. */
typedef struct sn_diag {
  sn_code code;
  sn_loc loc;
  const char *message;  /* lower case, no full stop */
  const char *expected; /* NULL: not applicable */
  const char *found;    /* may hold several lines */
  const char *note;     /* added by the layers above; NULL: none */
} sn_diag;

/* The mistakes found so far, in order. */
typedef struct sn_diags {
  sn_arena *arena;
  sn_diag *at;
  int count, capacity;
} sn_diags;

/* Creates an empty list; owns: the caller, sn_diags_destroy frees it with its strings. */
sn_diags *sn_diags_create(void);
/* A list for the time of a function, as sn_arena_scratch: freed as well when memory runs out meanwhile. */
sn_diags *sn_diags_scratch(void);
void sn_diags_destroy(sn_diags *d);

/* Adds a mistake and returns `code`, so that `return sn_fail(...)` reads well. `d` may be NULL. */
sn_code sn_fail(sn_diags *d, sn_code code, sn_loc loc, const char *format, ...) SN_PRINTF(4, 5);
/* A mistake with all that is said of it: "subject: " and the values of a list, what was expected and what was found
 * (NULL: not said). For the checks of a module, which say the same of each of its mistakes. */
sn_code sn_fail_list(sn_diags *d, sn_code code, sn_loc loc, const char *subject, const char *expected,
                     const char *found, const char *format, va_list args) __attribute__((format(printf, 7, 0)));
/* Adds "expected" / "found" / a note line to the newest mistake. */
void sn_fail_expected(sn_diags *d, const char *format, ...) SN_PRINTF(2, 3);
void sn_fail_found(sn_diags *d, const char *format, ...) SN_PRINTF(2, 3);
void sn_fail_note(sn_diags *d, const char *format, ...) SN_PRINTF(2, 3);
void sn_fail_expected_list(sn_diags *d, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void sn_fail_found_list(sn_diags *d, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* The list as text, compiler style: `file:line:column: error: message`, the source line with a
 * caret if the file can be read and the text found in it, then `= expected:` and `= found:`.
 * owns: arena. */
const char *sn_diags_print(const sn_diags *d, sn_arena *arena);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
