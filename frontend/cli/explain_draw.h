/* Drawings of a plan report as SVG inside a page. Classes of kinds ("k-map") are coloured by the page. */
#ifndef SN_FRONTEND_CLI_EXPLAIN_DRAW_H
#define SN_FRONTEND_CLI_EXPLAIN_DRAW_H

#include "frontend/cli/explain.h"

/* Kernels as boxes, buffers between them as lines, producers above users. */
void cli_draw_graph(cli *c, sn_text *t, const cli_report *r);
/* The pool of temporaries: steps from left to right, addresses from bottom to top. */
SN_MUST sn_code cli_draw_memory(cli *c, sn_text *t, const cli_report *r);
/* Measured kernels by arithmetic intensity; the roofs are the best of these kernels. Nothing without times. */
void cli_draw_roofline(cli *c, sn_text *t, const cli_report *r);

/* Text with & < > " written as entities. */
void cli_html_text(sn_text *t, const char *s);
/* "contract", "copy"; of launches and copies only. */
const char *cli_step_kind(const sn_step *s);
bool cli_step_is_kernel(const sn_step *s);
const char *cli_step_name(const cli_report *r, const sn_step *s);

#endif
