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

static void begin(sn_text *t, const char *title, int height) {
  sn_text_add(t, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", WIDTH,
              height, WIDTH, height);
  sn_text_add(
      t,
      "<style>text{font:13px sans-serif;fill:#333}.axis{stroke:#888;stroke-width:1}.grid{stroke:#8884;stroke-width:1}"
      ".line{fill:none;stroke-width:2}.back{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}.back{fill:#"
      "1b1b1f}}</style>\n");
  sn_text_add(t,
              "<rect class=\"back\" width=\"%d\" height=\"%d\"/>\n<text x=\"%d\" y=\"26\" "
              "style=\"font-size:16px;font-weight:600\">",
              WIDTH, height, LEFT);
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
  begin(t, title, HEIGHT);
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
  begin(t, title, TOP + ROW * count + 16);
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
