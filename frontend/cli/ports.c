/* See ports.h. */
#include "frontend/cli/ports.h"

#include <string.h>

typedef struct port {
  const char *graph; /* those that need it */
  const char *name;
  bool output;
  sn_elem elem;
  int rank;
  const char *type; /* for messages */
  bool optional;
} port;

/* clang-format off */
static const port ports[] = { /* table */
  {"train eval",     "tokens",  false, SN_ELEM_I32, 2, "i32[B, T]", false},
  {"train eval",     "targets", false, SN_ELEM_I32, 2, "i32[B, T]", true},
  {"train eval",     "loss",    true,  SN_ELEM_F32, 0, "f32[]", false},
  {"logits",         "tokens",  false, SN_ELEM_I32, 2, "i32[B, T]", false},
  {"prefill decode", "tokens",  false, SN_ELEM_I32, 2, "i32[B, T]", false},
  {"prefill decode", "start",   false, SN_ELEM_I32, 1, "i32[B]", false},
  {"prefill decode", "logits",  true,  SN_ELEM_F32, 3, "f32[B, T, V]", false},
};
/* clang-format on */

static sn_val find_port(const sn_func *f, const port *p) {
  if (!p->output) return sn_func_leaf(f, SN_OP_INPUT, p->name);
  for (int i = 0; i < f->output_count; i++)
    if (!strcmp(f->output[i].name, p->name)) return f->output[i].value;
  return 0;
}

/* Inputs or outputs of the graph: "x f32[4], y i32[]". */
static const char *list(cli *c, const sn_func *f, bool outputs) {
  sn_text t = sn_text_begin(c->arena);
  for (int i = 0; outputs && i < f->output_count; i++)
    sn_text_add(&t, "%s%s %s", t.count ? ", " : "", f->output[i].name,
                sn_type_text(c->arena, sn_val_type(f, f->output[i].value)));
  for (int i = 0; !outputs && i < f->node_count; i++)
    if (f->node[i]->op == SN_OP_INPUT)
      sn_text_add(&t, "%s%s %s", t.count ? ", " : "", sn_leaf_name(f->node[i]),
                  sn_type_text(c->arena, f->node[i]->type[0]));
  return t.count ? t.at : "none";
}

/* The line of a node, else of the newest node that has one, else the file. */
static sn_loc loc_of(const sn_func *f, const sn_node *n, const char *path) {
  for (int i = f->node_count; (!n || !n->origin.loc_count) && i-- > 0;) n = f->node[i];
  return n && n->origin.loc_count ? n->origin.locs[0] : (sn_loc){.file = path};
}

static sn_code missing(cli *c, const sn_func *f, const port *p, const char *path) {
  const char *kind = p->output ? "output" : "input";
  const sn_node *near = p->output && f->output_count ? sn_node_of(f, f->output[0].value) : NULL;
  (void)sn_fail(c->diags, SN_ERR_INPUT, loc_of(f, near, path), "graph %s has no %s %s", f->name, kind, p->name);
  sn_fail_expected(c->diags, "%s %s %s", kind, p->name, p->type);
  sn_fail_found(c->diags, "%ss: %s", kind, list(c, f, p->output));
  return SN_ERR_INPUT;
}

static sn_code check_port(cli *c, const sn_func *f, const port *p, const char *path) {
  sn_val v = find_port(f, p);
  if (!v) return p->optional ? SN_OK : missing(c, f, p, path);
  const sn_type *t = sn_val_type(f, v);
  if (t->elem == p->elem && t->rank == p->rank) return SN_OK;
  (void)sn_fail(c->diags, SN_ERR_INPUT, loc_of(f, sn_node_of(f, v), path), "graph %s: the %s %s has another type",
                f->name, p->output ? "output" : "input", p->name);
  sn_fail_expected(c->diags, "%s", p->type);
  sn_fail_found(c->diags, "%s", sn_type_text(c->arena, t));
  return SN_ERR_INPUT;
}

static bool is_for(const port *p, const char *graph) {
  const char *at = strstr(p->graph, graph);
  size_t n = strlen(graph);
  return at && (at == p->graph || at[-1] == ' ') && (at[n] == ' ' || !at[n]);
}

/* Nothing else is read from texts: an input of values, not a scalar, that is not in the table. */
static sn_code check_rest(cli *c, const sn_func *f, const char *path) {
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    bool known = n->op != SN_OP_INPUT || !n->type[0]->rank;
    for (size_t k = 0; !known && k < sizeof ports / sizeof *ports; k++)
      known = is_for(&ports[k], f->name) && !ports[k].output && !strcmp(ports[k].name, sn_leaf_name(n));
    if (known) continue;
    (void)sn_fail(c->diags, SN_ERR_INPUT, loc_of(f, n, path), "graph %s has an input that no text gives: %s", f->name,
                  sn_leaf_name(n));
    sn_fail_expected(c->diags, "inputs tokens i32[B, T]%s, and scalars with a value of their own",
                     strcmp(f->name, "logits") ? ", targets i32[B, T] if the graph has them" : "");
    sn_fail_found(c->diags, "inputs: %s", list(c, f, false));
    return SN_ERR_INPUT;
  }
  return SN_OK;
}

sn_code cli_check_ports(cli *c, const sn_module *m, const char *graph, const char *path) {
  const sn_func *f = sn_module_find(m, graph);
  for (size_t i = 0; f && i < sizeof ports / sizeof *ports; i++)
    if (is_for(&ports[i], graph)) SN_TRY(check_port(c, f, &ports[i], path));
  bool texts = !strcmp(graph, "train") || !strcmp(graph, "eval") || !strcmp(graph, "logits");
  return f && texts ? check_rest(c, f, path) : SN_OK;
}

static bool updates(const sn_func *f, const char *state) {
  for (int i = 0; f && i < f->update_count; i++)
    if (!strcmp(sn_leaf_name(sn_node_of(f, f->update[i].state)), state)) return true;
  return false;
}

const char *cli_given_state(const sn_module *m, const char **out_graph) {
  const sn_func *decode = sn_module_find(m, "decode"), *prefill = sn_module_find(m, "prefill");
  for (int i = 0; decode && i < decode->node_count; i++) {
    const sn_node *n = decode->node[i];
    int64_t each = 1;
    if (n->op != SN_OP_STATE || !n->type[0]->rank || sn_dimx_is_const(n->type[0]->dim[0], &each)) continue;
    const char *state = sn_leaf_name(n);
    for (int g = 0; g < m->func_count && !updates(decode, state) && !updates(prefill, state); g++) {
      *out_graph = m->func[g]->name;
      if (m->func[g]->kind == SN_FUNC_GRAPH && updates(m->func[g], state)) return state;
    }
  }
  return NULL;
}
