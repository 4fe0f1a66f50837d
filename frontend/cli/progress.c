/* Work done so far -> a line with rate and remaining time. */
#include "frontend/cli/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

double cli_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void cli_duration(char *out, size_t bytes, double seconds) {
  int64_t s = (int64_t)(seconds + 0.5);
  if (s < 3600)
    snprintf(out, bytes, "%lld:%02lld", (long long)(s / 60), (long long)(s % 60));
  else
    snprintf(out, bytes, "%lld:%02lld:%02lld", (long long)(s / 3600), (long long)(s / 60 % 60), (long long)(s % 60));
}

/* 12345 -> "12.3 k" */
static void rate_text(char *out, size_t bytes, double x) {
  static const char prefix[] = " kMGT";
  int i = 0;
  for (; x >= 1000 && i < 4; i++) x /= 1000;
  snprintf(out, bytes, "%.*f%s%.*s", x >= 100 ? 0 : x >= 10 ? 1 : 2, x, i ? " " : "", i > 0, &prefix[i]);
}

cli_progress cli_progress_begin(const char *what, const char *unit) {
  return (cli_progress){.what = what, .unit = unit, .start = cli_now(), .tty = isatty(2)};
}

enum { QUIET_S = 2, LINES_S = 10 };

static bool is_due(const cli_progress *p, double t) {
  if (t - p->start < QUIET_S) return false;
  return !p->shown || t - p->shown >= (p->tty ? 0.2 : LINES_S);
}

void cli_progress_at(cli_progress *p, int64_t done, int64_t count) {
  double t = cli_now(), seconds = t - p->start;
  char eta[32] = "", rate[32];
  if (!is_due(p, t)) return;
  p->shown = t;
  rate_text(rate, sizeof rate, (double)done / seconds);
  if (done > 0 && count >= done) cli_duration(eta, sizeof eta, seconds / (double)done * (double)(count - done));
  fprintf(stderr, "%s%s %lld", p->tty ? "\r\033[K" : "", p->what, (long long)done);
  if (count) fprintf(stderr, "/%lld", (long long)count);
  fprintf(stderr, " %s  %s /s%s%s%s", p->unit, rate, *eta ? "  eta " : "", eta, p->tty ? "" : "\n");
  fflush(stderr);
}

void cli_progress_end(cli_progress *p, int64_t done) {
  char time_text[32];
  if (!p->shown) return;
  cli_duration(time_text, sizeof time_text, cli_now() - p->start);
  if (p->tty)
    fputs("\r\033[K", stderr);
  else
    fprintf(stderr, "%s: %lld %s in %s\n", p->what, (long long)done, p->unit, time_text);
  fflush(stderr);
}
