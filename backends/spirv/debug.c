/* Names and lines for people: values are called as in the kernel's text, %12 is v12 and its registers v12_0, v12_1, ..;
 * lines are those that the instructions come from. */
#include "backends/spirv/sg.h"

static void named(sg *g, spv_id id, const char *format, const char *name, int number) {
  if (id && g->names) spv_name(g->s, id, sn_arena_printf(g->arena, format, name, number));
}

void sg_debug_begin(sg *g) {
  if (!g->t->debug_info) return;
  sn_knames names = sn_k_names(g->k, g->arena);
  g->names = names.value, g->loops = names.loop;
  spv_push_name(g->s, 0, "instances");
  spv_push_name(g->s, 1, "workspace");
  if (g->k->param_count > SG_ARGS) spv_push_name(g->s, 2, "table");
  for (int i = 0; i < g->k->param_count && g->k->param_count <= SG_ARGS; i++)
    spv_push_name(g->s, 2 + i, g->k->param[i].name);
  named(g, g->array[SG_WORDS], "%s", "shared", 0);
  named(g, g->array[SG_NARROW], "%s", "shared16", 0);
  named(g, g->array[SG_QUADS], "%s", "shared_quads", 0);
}

void sg_debug_entry(sg *g) {
  named(g, g->tid, "%s", "tid", 0);
  named(g, g->tx, "%s", "tx", 0);
  named(g, g->ty, "%s", "ty", 0);
}

void sg_debug_index(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  if (!g->names) return;
  if (x->op == SN_K_PARAM) named(g, g->index[v], "%s", g->k->param[x->i].name, 0);
  if (x->op == SN_K_IV) named(g, g->index[v], "%s%d", "i", g->loops[v]);
}

spv_id sg_debug_at(sg *g, sn_kv v) {
  if (!g->names) return 0;
  sn_loc at = sn_k_loc(g->k, v);
  if (at.file) spv_line(g->s, at.file, at.line);
  return spv_bound(g->s);
}

/* Constants keep the names that they have by themselves; what several registers share is called after the first. */
void sg_debug_made(sg *g, sn_kv v, spv_id from) {
  sg_tile t = g->tile[v];
  if (!g->names || !g->names[v] || !t.e || sg_ins(g, v)->op == SN_K_CONST) return;
  for (uint32_t e = 0; e < sg_count(t); e++) {
    bool known = t.e[e] < from;
    for (uint32_t o = 0; o < e && !known; o++) known = t.e[o] == t.e[e];
    if (known) continue;
    const char *name = sn_arena_printf(g->arena, "v%d", g->names[v]);
    named(g, t.e[e], sg_count(t) > 1 ? "%s_%d" : "%s", name, (int)e);
  }
}
