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

/* Points on a logarithmic axis of ratios, a row each, around a line at 1. */
typedef struct sn_mark {
  const char *label, *value; /* text at the left, and at the right */
  double ratio;              /* beyond the axis, 0 and infinity too: drawn at its end; NAN: no point */
  int group;                 /* colour */
  bool bad;                  /* texts are red */
} sn_mark;
/* below, above: what it means to be on that side of the line. group: their names, for the legend */
void sn_svg_marks(sn_text *out, const char *title, const char *below, const char *above, int group_count,
                  const char *const *group, int count, const sn_mark *mark);

#endif
