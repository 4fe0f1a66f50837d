/* Plan report -> SVG. */
#include "frontend/cli/explain_draw.h"

#include <math.h>
#include <string.h>

void cli_html_text(sn_text *t, const char *s) {
  for (; s && *s; s++) {
    switch (*s) {
      case '&': sn_text_add(t, "&amp;"); break;
      case '<': sn_text_add(t, "&lt;"); break;
      case '>': sn_text_add(t, "&gt;"); break;
      case '"': sn_text_add(t, "&quot;"); break;
      default: sn_text_char(t, *s);
    }
  }
}

bool cli_step_is_kernel(const sn_step *s) { return s->kind == SN_STEP_LAUNCH || s->kind == SN_STEP_COPY; }
const char *cli_step_kind(const sn_step *s) { return s->kind_name ? s->kind_name : "copy"; }
const char *cli_step_name(const cli_report *r, const sn_step *s) {
  return s->kind == SN_STEP_LAUNCH ? r->plan->code[s->code].name : cli_step_kind(s);
}

static const sn_plan_graph *graph_of(const cli_report *r) { return &r->plan->graph[r->graph]; }

/* ---- the graph --------------------------------------------------------------------------------------------------- */

enum { BOX_W = 196, BOX_H = 36, GAP_X = 16, GAP_Y = 34, PER_ROW = 6 };

typedef struct place {
  int row, column; /* row -1: not drawn */
} place;

typedef struct drawing {
  cli *c;
  sn_text *t;
  const cli_report *r;
  int *producer; /* by slot: the step that wrote it last, -1: none in this graph */
  place *at;     /* by step */
  int *level;    /* by step: 1 + that of its latest producer */
  int rows;
} drawing;

/* Calls visit for every buffer that a step reads from another, then notes what it writes. */
static void walk_step(drawing *d, int i, void (*visit)(drawing *d, int from, int to, int slot)) {
  const sn_step *s = &graph_of(d->r)->step[i];
  if (s->kind == SN_STEP_COPY) {
    if (d->producer[s->from] >= 0) visit(d, d->producer[s->from], i, s->from);
    d->producer[s->to] = i;
    return;
  }
  for (int k = 0; k < s->arg_count; k++)
    if (s->arg[k].is_slot && d->producer[s->arg[k].index] >= 0 && d->producer[s->arg[k].index] != i)
      visit(d, d->producer[s->arg[k].index], i, s->arg[k].index);
  for (int k = 0; k < s->arg_count; k++)
    if (s->arg[k].is_slot && s->writes >> k & 1) d->producer[s->arg[k].index] = i;
}

static void walk_all(drawing *d, void (*visit)(drawing *d, int from, int to, int slot)) {
  const sn_plan_graph *g = graph_of(d->r);
  for (int i = 0; i < d->r->plan->slot_count; i++) d->producer[i] = -1;
  for (int i = 0; i < g->step_count; i++)
    if (cli_step_is_kernel(&g->step[i])) walk_step(d, i, visit);
}

static void raise_level(drawing *d, int from, int to, int slot) {
  (void)slot;
  if (d->level[to] < d->level[from] + 1) d->level[to] = d->level[from] + 1;
}

/* Rows of at most PER_ROW boxes: levels from the top, each in order of execution. */
static void place_boxes(drawing *d) {
  const sn_plan_graph *g = graph_of(d->r);
  int last = 0;
  for (int i = 0; i < g->step_count; i++) {
    d->at[i].row = -1;
    if (d->level[i] > last) last = d->level[i];
  }
  for (int level = 0; level <= last; level++) {
    int n = 0;
    for (int i = 0; i < g->step_count; i++) {
      if (!cli_step_is_kernel(&g->step[i]) || d->level[i] != level) continue;
      d->at[i] = (place){d->rows + n / PER_ROW, n % PER_ROW};
      n++;
    }
    d->rows += (n + PER_ROW - 1) / PER_ROW;
  }
}

static int x_of(place p) { return 8 + p.column * (BOX_W + GAP_X); }
static int y_of(place p) { return 8 + p.row * (BOX_H + GAP_Y); }

/* From a box to one further down: straight to the next row, else around the right side, further out the longer the way.
 */
static void line_path(drawing *d, place from, place to) {
  int x1 = x_of(from), y1 = y_of(from), x2 = x_of(to), y2 = y_of(to), rows = to.row - from.row;
  if (rows == 1) {
    x1 += BOX_W / 2, x2 += BOX_W / 2, y1 += BOX_H;
    sn_text_add(d->t, "<path d=\"M%d %dC%d %d %d %d %d %d\"", x1, y1, x1, y1 + GAP_Y, x2, y2 - GAP_Y, x2, y2);
    return;
  }
  int out = (x1 > x2 ? x1 : x2) + BOX_W + (rows < 40 ? 10 + 8 * rows : 330);
  sn_text_add(d->t, "<path d=\"M%d %dC%d %d %d %d %d %d\"", x1 + BOX_W, y1 + BOX_H / 2, out, y1 + BOX_H / 2, out,
              y2 + BOX_H / 2, x2 + BOX_W, y2 + BOX_H / 2);
}

static void draw_line(drawing *d, int from, int to, int slot) {
  const sn_slot *s = &d->r->plan->slot[slot];
  double bytes = (double)cli_value_of(s->elements, d->r->dims) * (double)sn_elem_bytes(s->type->elem);
  line_path(d, d->at[from], d->at[to]);
  sn_text_add(d->t, " stroke-width=\"%.1f\"><title>%d to %d: ", 0.6 + fmax(0, log2(fmax(bytes, 1) / 1024)) / 6, from,
              to);
  cli_html_text(d->t, s->name);
  sn_text_char(d->t, ' ');
  cli_html_text(d->t, sn_type_text(d->c->arena, s->type));
  sn_text_add(d->t, ", %s</title></path>\n", cli_human(d->c->arena, bytes, "B"));
}

/* A source line without its folders, "gpt.c:52"; layers as they are. */
static const char *short_place(const char *where) {
  const char *slash = strrchr(where, '/');
  return slash ? slash + 1 : where;
}

static void draw_box(drawing *d, int i) {
  const sn_step *s = &graph_of(d->r)->step[i];
  int x = x_of(d->at[i]), y = y_of(d->at[i]);
  sn_text_add(d->t, "<g class=\"k-%s\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/>", cli_step_kind(s),
              x, y, BOX_W, BOX_H);
  sn_text_add(d->t, "<text x=\"%d\" y=\"%d\"><tspan font-weight=\"bold\">%d %s</tspan>", x + 6, y + 14, i,
              cli_step_kind(s));
  if (s->where)
    sn_text_add(d->t, "  "), cli_html_text(d->t, sn_arena_printf(d->c->arena, "%.20s", short_place(s->where)));
  sn_text_add(d->t, "</text><text x=\"%d\" y=\"%d\">", x + 6, y + 29);
  cli_html_text(d->t, sn_arena_printf(d->c->arena, "%.28s", s->ops ? s->ops : ""));
  sn_text_add(d->t, "</text><title>");
  cli_html_text(d->t, cli_step_name(d->r, s));
  sn_text_add(d->t, "\n%s flop, reads %s, writes %s\n", cli_human(d->c->arena, d->r->flops[i], ""),
              cli_human(d->c->arena, (double)cli_value_of(s->bytes_read, d->r->dims), "B"),
              cli_human(d->c->arena, (double)cli_value_of(s->bytes_written, d->r->dims), "B"));
  cli_html_text(d->t, s->ops);
  sn_text_add(d->t, "</title></g>\n");
}

void cli_draw_graph(cli *c, sn_text *t, const cli_report *r) {
  const sn_plan_graph *g = graph_of(r);
  drawing d = {.c = c, .t = t, .r = r};
  d.producer = SN_ARRAY(c->arena, r->plan->slot_count + 1, int);
  d.level = SN_ARRAY(c->arena, g->step_count + 1, int);
  d.at = SN_ARRAY(c->arena, g->step_count + 1, place);
  walk_all(&d, raise_level);
  place_boxes(&d);
  int width = PER_ROW * (BOX_W + GAP_X) + 180, height = d.rows * (BOX_H + GAP_Y) + 8;
  sn_text_add(t, "<svg class=\"graph\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n<g class=\"lines\">\n", width,
              height, width, height);
  walk_all(&d, draw_line);
  sn_text_add(t, "</g>\n");
  for (int i = 0; i < g->step_count; i++)
    if (d.at[i].row >= 0) draw_box(&d, i);
  sn_text_add(t, "</svg>\n");
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

enum { PLOT_W = 1100, PLOT_H = 320, LEFT = 70, BOTTOM = 30 };

/* The kind of the step that first writes a buffer colours it. */
static const char *kind_at(const cli_report *r, int step) {
  const sn_plan_graph *g = graph_of(r);
  return step >= 0 && step < g->step_count ? cli_step_kind(&g->step[step]) : "other";
}

static void axis_label(sn_text *t, double x, double y, const char *anchor, const char *text) {
  sn_text_add(t, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, text);
}

sn_code cli_draw_memory(cli *c, sn_text *t, const cli_report *r) {
  const sn_plan *p = r->plan;
  int64_t *bytes = SN_ARRAY(c->arena, p->slot_count + 1, int64_t),
          *offset = SN_ARRAY(c->arena, p->slot_count + 1, int64_t), pool = 0;
  SN_TRY(sn_plan_place(p, r->graph, r->dims, bytes, offset, &pool));
  int steps = graph_of(r)->step_count;
  double w = (double)(PLOT_W - LEFT) / (steps ? steps : 1), h = (double)PLOT_H / (double)(pool ? pool : 1);
  sn_text_add(t, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", PLOT_W, PLOT_H + BOTTOM,
              PLOT_W, PLOT_H + BOTTOM);
  for (int i = 0; i < p->slot_count; i++) {
    const sn_slot *s = &p->slot[i];
    if (s->role != SN_SLOT_TEMP || s->graph != r->graph || offset[i] < 0 || s->first < 0) continue;
    double top = (double)(offset[i] + bytes[i]) * h;
    sn_text_add(t, "<rect class=\"k-%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.2f\"><title>",
                kind_at(r, s->first), LEFT + s->first * w, PLOT_H - top, (s->last - s->first + 1) * w,
                fmax((double)bytes[i] * h, 0.5));
    cli_html_text(t, s->name);
    sn_text_char(t, ' ');
    cli_html_text(t, sn_type_text(c->arena, s->type));
    sn_text_add(t, "\n%s, steps %d to %d</title></rect>\n", cli_human(c->arena, (double)bytes[i], "B"), s->first,
                s->last);
  }
  axis_label(t, LEFT - 6, 10, "end", cli_human(c->arena, (double)pool, "B"));
  axis_label(t, LEFT - 6, PLOT_H, "end", "0");
  axis_label(t, LEFT, PLOT_H + 16, "start", "step 0");
  axis_label(t, PLOT_W, PLOT_H + 16, "end", sn_arena_printf(c->arena, "step %d", steps - 1));
  sn_text_add(t, "</svg>\n");
  return SN_OK;
}

/* ---- roofline ---------------------------------------------------------------------------------------------------- */

typedef struct axis {
  double low, high; /* powers of ten */
} axis;

typedef struct roofline {
  double x, y; /* flop per byte, Gflop/s */
  double bandwidth;
} roofline;

/* Intensity and rate of a step; false when it has no flop or no time. */
static bool point_of(const cli_report *r, int i, roofline *out) {
  const sn_step *s = &graph_of(r)->step[i];
  double flops = r->flops[i], ms = r->step_ms[i];
  double bytes = (double)cli_value_of(s->bytes_read, r->dims) + (double)cli_value_of(s->bytes_written, r->dims);
  if (!cli_step_is_kernel(s) || flops <= 0 || bytes <= 0 || !(ms > 0)) return false;
  *out = (roofline){flops / bytes, flops / (ms * 1e6), bytes / (ms * 1e6)};
  return true;
}

static axis widened(axis a, double v) {
  if (v <= 0) return a;
  double low = floor(log10(v)), high = ceil(log10(v));
  if (a.low > a.high) return (axis){low, high > low ? high : low + 1};
  return (axis){fmin(a.low, low), fmax(a.high, high)};
}

static double scaled(axis a, double v, double from, double to) {
  return from + (log10(v) - a.low) / (a.high - a.low) * (to - from);
}

static void draw_ticks(cli *c, sn_text *t, axis x, axis y) {
  for (double k = x.low; k <= x.high; k++) {
    double at = scaled(x, pow(10, k), LEFT, PLOT_W - 20);
    sn_text_add(t, "<line class=\"tick\" x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"%d\"/>", at, at, PLOT_H);
    axis_label(t, at, PLOT_H + 16, "middle", sn_arena_printf(c->arena, "%g", pow(10, k)));
  }
  for (double k = y.low; k <= y.high; k++) {
    double at = scaled(y, pow(10, k), PLOT_H, 10);
    sn_text_add(t, "<line class=\"tick\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>", LEFT, at, PLOT_W - 20, at);
    axis_label(t, LEFT - 6, at + 4, "end", sn_arena_printf(c->arena, "%g", pow(10, k)));
  }
  axis_label(t, PLOT_W - 20, PLOT_H + 28, "end", "flop per byte");
  axis_label(t, LEFT + 4, 20, "start", "Gflop/s");
}

/* The slope of the best bandwidth up to the height of the best rate. */
static void draw_roof(sn_text *t, axis x, axis y, double bandwidth, double rate) {
  double left = fmax(pow(10, x.low), pow(10, y.low) / bandwidth), knee = rate / bandwidth;
  double knee_x = fmin(fmax(knee, left), pow(10, x.high));
  sn_text_add(t, "<polyline class=\"roof\" points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f\"/>\n",
              scaled(x, left, LEFT, PLOT_W - 20), scaled(y, left * bandwidth, PLOT_H, 10),
              scaled(x, knee_x, LEFT, PLOT_W - 20), scaled(y, fmin(knee_x * bandwidth, rate), PLOT_H, 10),
              scaled(x, pow(10, x.high), LEFT, PLOT_W - 20), scaled(y, rate, PLOT_H, 10));
}

void cli_draw_roofline(cli *c, sn_text *t, const cli_report *r) {
  const sn_plan_graph *g = graph_of(r);
  axis x = {1, 0}, y = {1, 0};
  double bandwidth = 0, rate = 0;
  roofline p;
  for (int i = 0; r->step_ms && i < g->step_count; i++) {
    if (!point_of(r, i, &p)) continue;
    x = widened(x, p.x), y = widened(y, p.y);
    bandwidth = fmax(bandwidth, p.bandwidth), rate = fmax(rate, p.y);
  }
  if (!(rate > 0)) return;
  sn_text_add(t, "<p>Best of these kernels: %.3g GB/s, %.3g Gflop/s.</p>\n", bandwidth, rate);
  sn_text_add(t, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", PLOT_W, PLOT_H + BOTTOM + 6,
              PLOT_W, PLOT_H + BOTTOM + 6);
  draw_ticks(c, t, x, y);
  draw_roof(t, x, y, bandwidth, rate);
  for (int i = 0; i < g->step_count; i++) {
    if (!point_of(r, i, &p)) continue;
    sn_text_add(t, "<circle class=\"k-%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>%d ", cli_step_kind(&g->step[i]),
                scaled(x, p.x, LEFT, PLOT_W - 20), scaled(y, p.y, PLOT_H, 10), 3 + 3 * sqrt(fmin(r->step_ms[i], 9)), i);
    cli_html_text(t, cli_step_name(r, &g->step[i]));
    sn_text_add(t, "\n%.4f ms, %.3g flop/byte, %.3g Gflop/s, %.3g GB/s</title></circle>\n", r->step_ms[i], p.x, p.y,
                p.bandwidth);
  }
  sn_text_add(t, "</svg>\n");
}
