/* What the plan of a graph says that it does. */
#include <string.h>

#include "models/recipes/inside.h"

static bool has_word(const char *text, const char *word) {
  size_t n = strlen(word);
  for (const char *at = text; *at; at += strspn(at, " ,")) {
    size_t length = strcspn(at, " ,");
    if (length == n && !strncmp(at, word, n)) return true;
    at += length;
  }
  return false;
}

static bool is_one(const sn_report_step *s, const which *w) {
  if (w->kind && !sn_pattern_match(w->kind, s->kind)) return false;
  if (w->op && !has_word(s->ops, w->op)) return false;
  if (w->where && !sn_pattern_match(w->where, s->where)) return false;
  return s->largest >= w->elements;
}

static void add(report *r, const sn_report_step *s) {
  if (!strcmp(s->kind, "copy"))
    r->copies++, r->bytes_copied += s->bytes_written;
  else
    r->kernels++;
  r->flops += s->flops;
  r->bytes_read += s->bytes_read;
  r->bytes_written += s->bytes_written;
  if (s->largest > r->largest) r->largest = s->largest;
}

report net_report(net *n, const char *graph, const char *sizes, which of) {
  report r = {0};
  sn_report plan;
  if (!n || n->r->code || !recipe_ok(n->r, sn_program_report(n->program, graph, sizes, &plan), "plan report")) return r;
  for (int i = 0; i < plan.step_count; i++)
    if (is_one(&plan.step[i], &of)) add(&r, &plan.step[i]);
  for (int i = 0; i < plan.ahead_count; i++) r.ahead += is_one(&plan.ahead[i], &of);
  for (int i = 0; i < plan.buffer_count; i++) {
    r.buffer_bytes += plan.buffer[i].bytes;
    if (plan.buffer[i].elements > r.largest_buffer) r.largest_buffer = plan.buffer[i].elements;
  }
  r.buffers = plan.buffer_count;
  r.peak_bytes = plan.peak_bytes;
  r.state_bytes = plan.state_bytes;
  return r;
}
