/* metrics.jsonl: one JSON object per line, appended. A full disk is reported once and never stops a run: what could not
 * be written is tried again with the next line, and at the end. */
#ifndef SN_RUNTIME_IO_METRICS_H
#define SN_RUNTIME_IO_METRICS_H

#include "ir/base/str.h"
#include "ir/base/status.h"

typedef struct sn_metrics sn_metrics;

typedef struct sn_metric {
  const char *name;
  double value; /* integers as such, other numbers with 9 significant digits, NaN and infinities as null */
} sn_metric;

/* Opens for appending; lines of steps after `keep_step` (a resumed run does them again) are dropped first. keep_step <
 * 0: starts empty. errors: SN_ERR_FAIL, SN_ERR_LIMIT */
SN_MUST sn_code sn_metrics_open(const char *path, int64_t keep_step, sn_diags *diags, sn_metrics **out);
void sn_metrics_close(sn_metrics *m);
/* false when the line could not be written and this is the first such line: the caller tells its user once. */
bool sn_metrics_add(sn_metrics *m, int count, const sn_metric *metric);
/* The same object as text, without the line end. */
void sn_metrics_print(sn_text *out, int count, const sn_metric *metric);

/* A column of the file: value `name` of every line that has it as a number. owns: arena. errors: SN_ERR_INPUT */
SN_MUST sn_code sn_metrics_read(sn_arena *arena, sn_diags *diags, const char *path, const char *x_name,
                                const char *y_name, int *out_count, double **out_x, double **out_y);

#endif
