/* Progress lines on stderr for whatever takes longer than two seconds: "compile 120/482 kernels  61 /s  eta 0:06". On a
 * terminal one line that is rewritten; elsewhere a line every ten seconds. */
#ifndef SN_FRONTEND_CLI_PROGRESS_H
#define SN_FRONTEND_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cli_progress {
  const char *what, *unit; /* "compile", "kernels" */
  double start, shown;     /* seconds; shown: when a line was printed, 0: never */
  bool tty;
} cli_progress;

cli_progress cli_progress_begin(const char *what, const char *unit);
/* done of count (0: unknown) units. */
void cli_progress_at(cli_progress *p, int64_t done, int64_t count);
/* Clears the line of a terminal; elsewhere, when lines were printed, says how long it took. */
void cli_progress_end(cli_progress *p, int64_t done);
/* "1:05", "2:00:07" */
void cli_duration(char *out, size_t bytes, double seconds);
/* Seconds of a clock that only goes forward. */
double cli_now(void);

#endif
