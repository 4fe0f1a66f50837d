/* Numbers -> SVG text. */
#include "runtime/io/svg.h"

#include <math.h>

enum { WIDTH = 720, HEIGHT = 420, LEFT = 70, RIGHT = 20, TOP = 48, BOTTOM = 52 };

static const char *const colors[] = {"#2f7ed8", "#e4572e", "#2a9d5c", "#9b59b6", "#c98a00"};
enum { COLORS = sizeof colors / sizeof colors[0] };

static void escaped(sn_text *t, const char *s) {
  for (; *s; s++) {
    if (*s == '<')
      sn_text_add(t, "&lt;");
    else if (*s == '>')
      sn_text_add(t, "&gt;");
    else if (*s == '&')
      sn_text_add(t, "&amp;");
    else if (*s == '"')
      sn_text_add(t, "&quot;");
    else
      sn_text_char(t, *s);
  }
}

static void begin(sn_text *t, const char *title, int width, int height) {
  sn_text_add(t, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", width,
              height, width, height);
  sn_text_add(
      t,
      "<style>text{font:13px "
      "sans-serif;fill:#333}.bad{fill:#d0342c}.axis{stroke:#888;stroke-width:1}.grid{stroke:#8884;stroke-width:1}"
      ".line{fill:none;stroke-width:2}.back{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}.bad{fill:#"
      "ff7b72}.back{fill:#"
      "1b1b1f}}</style>\n");
  sn_text_add(t,
              "<rect class=\"back\" width=\"%d\" height=\"%d\"/>\n<text x=\"%d\" y=\"26\" "
              "style=\"font-size:16px;font-weight:600\">",
              width, height, LEFT);
  escaped(t, title);
  sn_text_add(t, "</text>\n");
}

typedef struct range {
  double lo, hi, tick; /* tick: 1, 2 or 5 times a power of ten */
} range;

static range nice(double lo, double hi) {
  double least = fmax(fabs(lo), fabs(hi)) * 1e-9; /* a smaller span is noise, and ticks would not advance */
  if (!(hi - lo > least)) hi = lo + (lo != 0 ? fabs(lo) * 0.1 : 1);
  double raw = (hi - lo) / 6, power = pow(10, floor(log10(raw))), step = raw / power;
  double tick = (step <= 1 ? 1 : step <= 2 ? 2 : step <= 5 ? 5 : 10) * power;
  return (range){floor(lo / tick + 1e-9) * tick, ceil(hi / tick - 1e-9) * tick, tick};
}

static bool extent(int count, const sn_series *s, bool of_y, double *lo, double *hi) {
  bool any = false;
  for (int i = 0; i < count; i++) {
    for (int k = 0; k < s[i].count; k++) {
      double v = of_y ? s[i].y[k] : s[i].x[k];
      if (!isfinite(s[i].x[k]) || !isfinite(s[i].y[k])) continue;
      *lo = any ? fmin(*lo, v) : v;
      *hi = any ? fmax(*hi, v) : v;
      any = true;
    }
  }
  return any;
}

static double map_x(const range *r, double x) { return LEFT + (x - r->lo) / (r->hi - r->lo) * (WIDTH - LEFT - RIGHT); }
static double map_y(const range *r, double y) {
  return HEIGHT - BOTTOM - (y - r->lo) / (r->hi - r->lo) * (HEIGHT - TOP - BOTTOM);
}

static void axes(sn_text *t, const range *x, const range *y, const char *x_label, const char *y_label) {
  for (double v = y->lo; v <= y->hi + y->tick * 1e-6; v += y->tick) {
    sn_text_add(t, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, map_y(y, v), WIDTH - RIGHT);
    sn_text_add(t, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n", LEFT - 8, map_y(y, v) + 4,
                fabs(v) < y->tick * 1e-6 ? 0 : v);
  }
  for (double v = x->lo; v <= x->hi + x->tick * 1e-6; v += x->tick)
    sn_text_add(t,
                "<path class=\"axis\" d=\"M%.1f %dv5\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>\n",
                map_x(x, v), HEIGHT - BOTTOM, map_x(x, v), HEIGHT - BOTTOM + 20, fabs(v) < x->tick * 1e-6 ? 0 : v);
  sn_text_add(t, "<path class=\"axis\" fill=\"none\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, HEIGHT - BOTTOM,
              WIDTH - RIGHT);
  sn_text_add(t, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12);
  escaped(t, x_label);
  sn_text_add(t, "</text>\n<text transform=\"translate(18 %d) rotate(-90)\" text-anchor=\"middle\">",
              (TOP + HEIGHT - BOTTOM) / 2);
  escaped(t, y_label);
  sn_text_add(t, "</text>\n");
}

static void line(sn_text *t, const range *x, const range *y, const sn_series *s, int i) {
  bool open = false;
  sn_text_add(t, "<path class=\"line\" stroke=\"%s\" d=\"", colors[i % COLORS]);
  for (int k = 0; k < s->count; k++) {
    if (!isfinite(s->x[k]) || !isfinite(s->y[k])) continue;
    sn_text_add(t, "%c%.1f %.1f", open ? 'L' : 'M', map_x(x, s->x[k]), map_y(y, s->y[k]));
    open = true;
  }
  sn_text_add(t, "\"/>\n<path class=\"line\" stroke=\"%s\" d=\"M%d %dh22\"/>", colors[i % COLORS], WIDTH - 190,
              TOP + 10 + 20 * i);
  sn_text_add(t, "<text x=\"%d\" y=\"%d\">", WIDTH - 162, TOP + 14 + 20 * i);
  escaped(t, s->label);
  sn_text_add(t, "</text>\n");
}

void sn_svg_lines(sn_text *t, const char *title, const char *x_label, const char *y_label, int count,
                  const sn_series *series) {
  double x_lo = 0, x_hi = 1, y_lo = 0, y_hi = 1;
  begin(t, title, WIDTH, HEIGHT);
  if (!extent(count, series, false, &x_lo, &x_hi) || !extent(count, series, true, &y_lo, &y_hi)) {
    sn_text_add(t, "<text x=\"%d\" y=\"%d\">no values</text>\n</svg>\n", LEFT, HEIGHT / 2);
    return;
  }
  range x = nice(x_lo, x_hi), y = nice(y_lo, y_hi);
  axes(t, &x, &y, x_label, y_label);
  for (int i = 0; i < count; i++) line(t, &x, &y, &series[i], i);
  sn_text_add(t, "</svg>\n");
}

void sn_svg_bars(sn_text *t, const char *title, const char *unit, int count, const char *const *label,
                 const double *value) {
  enum { ROW = 34, NAMES = 170, VALUES = 110 };
  double most = 0;
  for (int i = 0; i < count; i++)
    if (isfinite(value[i])) most = fmax(most, value[i]);
  begin(t, title, WIDTH, TOP + ROW * count + 16);
  for (int i = 0; i < count; i++) {
    double width = most > 0 && isfinite(value[i]) ? value[i] / most * (WIDTH - NAMES - VALUES) : 0;
    int y = TOP + ROW * i;
    sn_text_add(t, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", NAMES - 10, y + 18);
    escaped(t, label[i]);
    sn_text_add(t, "</text><rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"22\" fill=\"%s\"/>", NAMES, y + 2, width,
                colors[0]);
    sn_text_add(t, "<text x=\"%.1f\" y=\"%d\">", NAMES + width + 8, y + 18);
    if (isfinite(value[i])) sn_text_add(t, "%.4g ", value[i]);
    escaped(t, isfinite(value[i]) ? unit : "-");
    sn_text_add(t, "</text>\n");
  }
  sn_text_add(t, "</svg>\n");
}

/* ---- ratios ------------------------------------------------------------------------------------------------------ */

enum { MARK_ROW = 22, MARK_NAMES = 520, MARK_AXIS = 320, MARK_WIDTH = MARK_NAMES + MARK_AXIS + 260, MARK_TOP = 92 };
enum { LEAST = -6, MOST = 3 /* powers of ten at the ends of the axis */ };

static double mark_x(double ratio) {
  double power = ratio > 0 ? log10(ratio) : LEAST;
  return MARK_NAMES + (fmin(fmax(power, LEAST), MOST) - LEAST) / (MOST - LEAST) * MARK_AXIS;
}

static void legend(sn_text *t, int count, const char *const *group) {
  double x = LEFT;
  for (int i = 0; i < count; i++) {
    sn_text_add(t, "<circle cx=\"%.0f\" cy=\"48\" r=\"5\" fill=\"%s\"/><text x=\"%.0f\" y=\"52\">", x,
                colors[i % COLORS], x + 10);
    escaped(t, group[i]);
    sn_text_add(t, "</text>\n");
    x += 100;
  }
}

static void ratio_axis(sn_text *t, const char *below, const char *above, int bottom) {
  for (int p = LEAST; p <= MOST; p += 3) {
    double x = mark_x(pow(10, p));
    sn_text_add(t, "<path class=\"%s\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                p ? "grid" : "axis", x, MARK_TOP - 8, bottom, x, MARK_TOP - 14, pow(10, p));
  }
  sn_text_add(t, "<text x=\"%.1f\" y=\"52\" text-anchor=\"end\">", mark_x(1) - 8);
  escaped(t, below);
  sn_text_add(t, "</text><text x=\"%.1f\" y=\"52\">", mark_x(1) + 8);
  escaped(t, above);
  sn_text_add(t, "</text>\n");
}

static void mark_row(sn_text *t, const sn_mark *m, int y) {
  const char *style = m->bad ? " class=\"bad\"" : "";
  sn_text_add(t, "<text%s x=\"%d\" y=\"%d\" text-anchor=\"end\">", style, MARK_NAMES - 14, y + 15);
  escaped(t, m->label);
  sn_text_add(t, "</text><path class=\"grid\" d=\"M%d %dh%d\"/>", MARK_NAMES, y + 11, MARK_AXIS);
  if (!isnan(m->ratio))
    sn_text_add(t, "<circle cx=\"%.1f\" cy=\"%d\" r=\"5\" fill=\"%s\"/>", mark_x(m->ratio), y + 11,
                colors[m->group % COLORS]);
  sn_text_add(t, "<text%s x=\"%d\" y=\"%d\">", style, MARK_NAMES + MARK_AXIS + 14, y + 15);
  escaped(t, m->value);
  sn_text_add(t, "</text>\n");
}

void sn_svg_marks(sn_text *t, const char *title, const char *below, const char *above, int group_count,
                  const char *const *group, int count, const sn_mark *mark) {
  int bottom = MARK_TOP + MARK_ROW * count;
  begin(t, title, MARK_WIDTH, bottom + 16);
  legend(t, group_count, group);
  ratio_axis(t, below, above, bottom);
  for (int i = 0; i < count; i++) mark_row(t, &mark[i], MARK_TOP + MARK_ROW * i);
  sn_text_add(t, "</svg>\n");
}
