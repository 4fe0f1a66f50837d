/* Self-contained SVG charts: readable in light and dark viewers, no scripts, no outside files. */
#ifndef SN_RUNTIME_IO_SVG_H
#define SN_RUNTIME_IO_SVG_H

#include "ir/base/str.h"

typedef struct sn_series {
  const char *label;
  int count;
  const double *x, *y; /* values that are not finite are left out */
} sn_series;

/* Lines over a common x axis. */
void sn_svg_lines(sn_text *out, const char *title, const char *x_label, const char *y_label, int count,
                  const sn_series *series);
/* Horizontal bars with their values. */
void sn_svg_bars(sn_text *out, const char *title, const char *unit, int count, const char *const *label,
                 const double *value);

#endif
