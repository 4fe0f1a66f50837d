/* sinter explain --html: the plan report as one page that needs nothing beside it. */
#include <string.h>

#include "frontend/cli/explain_draw.h"

static const char style[] =
    ":root{color-scheme:light dark}"
    "body{font:14px/1.45 system-ui,sans-serif;margin:24px;max-width:1340px}"
    "h1{font-size:20px}h2{font-size:16px;margin-top:28px}"
    "table{border-collapse:collapse}td,th{padding:2px 10px;text-align:left;vertical-align:top}"
    "td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    "td:nth-child(2){white-space:nowrap}tr:nth-child(even){background:#8881}thead th{border-bottom:1px solid "
    "#888;position:sticky;top:0;background:Canvas}"
    ".box{overflow:auto;max-height:80vh;border:1px solid #8884}"
    "svg text{font:11px system-ui,sans-serif;fill:CanvasText}"
    ".graph rect{stroke:#0006}.lines path{fill:none;stroke:CanvasText;stroke-opacity:.35}"
    ".plot rect{fill-opacity:.75;stroke:#0004;stroke-width:.4}.plot circle{fill-opacity:.75;stroke:#0006}"
    ".tick{stroke:#8884}.roof{fill:none;stroke:CanvasText;stroke-dasharray:4 3}"
    ".k-map rect{fill:color-mix(in srgb,#4a90d9 "
    "35%,Canvas)}rect.k-map,circle.k-map,i.k-map{fill:#4a90d9;background:#4a90d9}"
    ".k-rows rect{fill:color-mix(in srgb,#e8a33d "
    "35%,Canvas)}rect.k-rows,circle.k-rows,i.k-rows{fill:#e8a33d;background:#e8a33d}"
    ".k-contract rect{fill:color-mix(in srgb,#c0504d "
    "35%,Canvas)}rect.k-contract,circle.k-contract,i.k-contract{fill:#c0504d;background:#c0504d}"
    ".k-attend rect{fill:color-mix(in srgb,#8e5bb5 "
    "35%,Canvas)}rect.k-attend,circle.k-attend,i.k-attend{fill:#8e5bb5;background:#8e5bb5}"
    ".k-index rect{fill:color-mix(in srgb,#4f9d69 "
    "35%,Canvas)}rect.k-index,circle.k-index,i.k-index{fill:#4f9d69;background:#4f9d69}"
    ".k-copy rect{fill:color-mix(in srgb,#888 35%,Canvas)}rect.k-copy,circle.k-copy,i.k-copy{fill:#888;background:#888}"
    "i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:6px}"
    "dl{display:grid;grid-template-columns:max-content auto;gap:2px 16px;margin:0}dt{font-weight:bold}dd{margin:0}";

typedef struct page {
  cli *c;
  sn_text *t;
  const cli_report *r;
  const sn_plan_graph *g;
} page;

static const char *human(const page *p, double x, const char *unit) { return cli_human(p->c->arena, x, unit); }

static void fact(page *p, const char *name, const char *value) {
  sn_text_add(p->t, "<dt>%s</dt><dd>", name);
  cli_html_text(p->t, value);
  sn_text_add(p->t, "</dd>\n");
}

static void head(page *p, int64_t peak) {
  const sn_plan *plan = p->r->plan;
  sn_text dims = sn_text_begin(p->c->arena);
  double flops = 0, bytes = 0, ms = 0;
  int kernels = 0;
  for (int i = 0; i < sn_types_symbol_count(plan->types); i++)
    sn_text_add(&dims, "%s%s = %lld", i ? ", " : "", sn_dimx_symbol_name(sn_types_symbol(plan->types, i)),
                (long long)p->r->dims[i]);
  for (int i = 0; i < p->g->step_count; i++) {
    const sn_step *s = &p->g->step[i];
    if (!cli_step_is_kernel(s)) continue;
    kernels++;
    flops += p->r->flops[i];
    bytes += (double)cli_value_of(s->bytes_read, p->r->dims) + (double)cli_value_of(s->bytes_written, p->r->dims);
    if (p->r->step_ms) ms += p->r->step_ms[i];
  }
  sn_text_add(p->t, "<h1>");
  cli_html_text(p->t, sn_arena_printf(p->c->arena, "%s: graph %s", plan->model, p->g->name));
  sn_text_add(p->t, "</h1>\n<dl>\n");
  fact(p, "target", plan->target);
  if (*plan->settings) fact(p, "settings", plan->settings);
  fact(p, "dims", dims.count ? dims.at : "none");
  fact(p, "kernels", sn_arena_printf(p->c->arena, "%d", kernels));
  fact(p, "work", sn_arena_printf(p->c->arena, "%s, %s moved", human(p, flops, "flop"), human(p, bytes, "B")));
  fact(p, "temporaries", sn_arena_printf(p->c->arena, "%s at once", human(p, (double)peak, "B")));
  if (p->r->step_ms) fact(p, "time", sn_arena_printf(p->c->arena, "%.3f ms, the sum of all steps", ms));
  sn_text_add(p->t, "</dl>\n");
}

static void legend(page *p) {
  static const char *const kinds[] = {"map", "rows", "contract", "attend", "index", "copy"};
  sn_text_add(p->t, "<p>");
  for (int i = 0; i < 6; i++) sn_text_add(p->t, "<i class=\"k-%s\"></i>%s&ensp; ", kinds[i], kinds[i]);
  sn_text_add(p->t, "</p>\n");
}

static void kernel_row(page *p, int i) {
  const sn_step *s = &p->g->step[i];
  sn_text_add(p->t, "<tr><td class=\"n\">%d</td><td><i class=\"k-%s\"></i>%s</td>", i, cli_step_kind(s),
              cli_step_kind(s));
  if (p->r->step_ms) sn_text_add(p->t, "<td class=\"n\">%.4f</td>", p->r->step_ms[i]);
  sn_text_add(p->t, "<td class=\"n\">%s</td>", human(p, p->r->flops[i], ""));
  sn_text_add(p->t, "<td class=\"n\">%s</td>", human(p, (double)cli_value_of(s->bytes_read, p->r->dims), "B"));
  sn_text_add(p->t, "<td class=\"n\">%s</td><td>", human(p, (double)cli_value_of(s->bytes_written, p->r->dims), "B"));
  cli_html_text(p->t, cli_step_name(p->r, s));
  sn_text_add(p->t, "</td><td>");
  cli_html_text(p->t, s->ops);
  sn_text_add(p->t, "</td><td>");
  cli_html_text(p->t, s->where);
  sn_text_add(p->t, "</td></tr>\n");
}

static void kernels(page *p) {
  sn_text_add(
      p->t,
      "<h2>Kernels</h2>\n<div class=\"box\"><table><thead><tr><th class=\"n\">step</th><th>kind</th>%s"
      "<th class=\"n\">flop</th><th class=\"n\">read</th><th class=\"n\">written</th><th>kernel</th><th>ops</th>"
      "<th>where</th></tr></thead><tbody>\n",
      p->r->step_ms ? "<th class=\"n\">ms</th>" : "");
  for (int i = 0; i < p->g->step_count; i++)
    if (cli_step_is_kernel(&p->g->step[i])) kernel_row(p, i);
  sn_text_add(p->t, "</tbody></table></div>\n");
}

/* What was refused, or the forms that were chosen. */
static void pairs(page *p, bool forms) {
  bool any = false;
  for (int i = 0; i < p->g->refusal_count; i++) {
    const sn_refusal *r = &p->g->refusal[i];
    if (sn_refusal_is_form(r) != forms) continue;
    if (!any)
      sn_text_add(p->t, "<div class=\"box\"><table><thead><tr><th>%s</th><th>%s</th></tr></thead><tbody>\n",
                  forms ? "of" : "ops", forms ? "form" : "reason");
    sn_text_add(p->t, "<tr><td>");
    cli_html_text(p->t, r->ops + (forms ? strlen(SN_REFUSAL_FORM) : 0));
    sn_text_add(p->t, "</td><td>");
    cli_html_text(p->t, r->reason);
    sn_text_add(p->t, "</td></tr>\n");
    any = true;
  }
  sn_text_add(p->t, any ? "</tbody></table></div>\n" : "<p>None.</p>\n");
}

static void refusals(page *p) {
  bool forms = false;
  for (int i = 0; i < p->g->refusal_count; i++) forms |= sn_refusal_is_form(&p->g->refusal[i]);
  if (forms) sn_text_add(p->t, "<h2>Forms</h2>\n"), pairs(p, true);
  sn_text_add(p->t, "<h2>Fusions that were refused</h2>\n");
  pairs(p, false);
}

sn_code cli_explain_html(cli *c, sn_text *t, const cli_report *r, int64_t peak) {
  page p = {c, t, r, &r->plan->graph[r->graph]};
  sn_text_add(t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
  cli_html_text(t, sn_arena_printf(c->arena, "sinter explain: %s, %s", r->plan->model, p.g->name));
  sn_text_add(t, "</title>\n<style>%s</style></head><body>\n", style);
  head(&p, peak);
  sn_text_add(t, "<h2>Graph</h2>\n<p>Boxes are kernels, lines are buffers; the pointer tells more.</p>\n");
  legend(&p);
  sn_text_add(t, "<div class=\"box\">\n");
  cli_draw_graph(c, t, r);
  sn_text_add(t, "</div>\n");
  kernels(&p);
  sn_text_add(t,
              "<h2>Buffers over time</h2>\n<p>Temporaries by the steps between which they live, and their place in the "
              "pool.</p>\n");
  SN_TRY(cli_draw_memory(c, t, r));
  sn_text_add(t, "<h2>Roofline</h2>\n");
  if (r->step_ms)
    cli_draw_roofline(c, t, r);
  else
    sn_text_add(t, "<p>Times need --target cpu.</p>\n");
  refusals(&p);
  sn_text_add(t, "</body></html>\n");
  return SN_OK;
}
