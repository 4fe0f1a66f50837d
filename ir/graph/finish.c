/* Finishes a function: keeps what its roots need and numbers it depth first, so that the same graph gets the same
 * numbers in whatever order it was built.
 *
 *   1. INPUT leaves by name and ARG leaves by index, used or not: the signature
 *   2. depth first, operands left to right, from outputs by name, updates by name of the state, guard, results */
#include <stdlib.h>
#include <string.h>

#include "ir/graph/graph.h"
#include "ir/graph/inside.h"

/* One node on the path of the walk. */
typedef struct step {
  const sn_node *node;
  int next_arg;
} step;

typedef struct walk {
  sn_arena *scratch;
  const sn_func *from;
  sn_func *to;
  sn_val *map; /* by value id of `from`: the value in `to`, 0 when not reached */
  step *path;
  int depth, capacity;
  sn_val *args; /* operands of one node, mapped */
  int args_capacity;
} walk;

static void push(walk *w, const sn_node *n) {
  SN_GROW(w->scratch, w->path, w->depth, w->capacity);
  w->path[w->depth++] = (step){.node = n};
}

static void copy(walk *w, const sn_node *n) {
  while (w->args_capacity < n->arg_count) SN_GROW(w->scratch, w->args, w->args_capacity, w->args_capacity);
  for (int i = 0; i < n->arg_count; i++) w->args[i] = w->map[n->arg[i]];
  sn_val first = sn_func_copy_node(w->to, n, w->args);
  for (int i = 0; i < n->result_count; i++) w->map[n->first + (sn_val)i] = first + (sn_val)i;
}

/* Copies what `v` needs, operands first, without recursion: chains may be as long as the function. */
static sn_val reach(walk *w, sn_val v) {
  if (!v) return 0;
  if (!w->map[v]) push(w, w->from->node_of[v]);
  while (w->depth) {
    step *top = &w->path[w->depth - 1];
    if (top->next_arg < top->node->arg_count) {
      sn_val arg = top->node->arg[top->next_arg++];
      if (!w->map[arg]) push(w, w->from->node_of[arg]);
      continue;
    }
    if (!w->map[top->node->first]) copy(w, top->node);
    w->depth--;
  }
  return w->map[v];
}

static int signature_order(const void *a, const void *b) {
  const sn_node *x = *(const sn_node *const *)a, *y = *(const sn_node *const *)b;
  if (x->op != y->op) return x->op == SN_OP_ARG ? -1 : 1;
  if (x->op == SN_OP_INPUT) return strcmp(x->attr[0].s, y->attr[0].s);
  if (x->attr[0].i != y->attr[0].i) return x->attr[0].i < y->attr[0].i ? -1 : 1;
  return x->first < y->first ? -1 : x->first > y->first;
}

static void copy_signature(walk *w) {
  const sn_func *f = w->from;
  const sn_node **list = SN_ARRAY(w->scratch, f->node_count + 1, const sn_node *);
  size_t count = 0;
  for (int i = 0; i < f->node_count; i++) {
    if (f->node[i]->op == SN_OP_INPUT || f->node[i]->op == SN_OP_ARG) list[count++] = f->node[i];
  }
  qsort(list, count, sizeof *list, signature_order);
  for (size_t i = 0; i < count; i++) reach(w, list[i]->first);
}

static int output_order(const void *a, const void *b) {
  return strcmp(((const sn_output_pair *)a)->name, ((const sn_output_pair *)b)->name);
}

typedef struct named_update {
  const char *name; /* of the state */
  sn_state_pair pair;
} named_update;

static int update_order(const void *a, const void *b) {
  return strcmp(((const named_update *)a)->name, ((const named_update *)b)->name);
}

static void copy_outputs(walk *w) {
  const sn_func *f = w->from;
  if (!f->output_count) return;
  size_t count = (size_t)f->output_count;
  sn_output_pair *sorted = sn_arena_copy(w->scratch, f->output, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, output_order);
  for (size_t i = 0; i < count; i++) sn_func_output(w->to, sorted[i].name, reach(w, sorted[i].value));
}

static void copy_updates(walk *w) {
  const sn_func *f = w->from;
  named_update *sorted = SN_ARRAY(w->scratch, f->update_count + 1, named_update);
  for (int i = 0; i < f->update_count; i++) {
    const sn_node *state = f->node_of[f->update[i].state];
    const char *name = state ? sn_leaf_name(state) : NULL;
    sorted[i] = (named_update){.name = name ? name : "", .pair = f->update[i]};
  }
  qsort(sorted, (size_t)f->update_count, sizeof *sorted, update_order);
  for (int i = 0; i < f->update_count; i++) {
    sn_val state = reach(w, sorted[i].pair.state);
    sn_func_update(w->to, state, reach(w, sorted[i].pair.next));
  }
}

sn_func *sn_func_replace(sn_func *old, sn_func *fresh) {
  sn_module *m = old->module;
  sn_arena *own = sn_arena_scratch(), *scratch = own ? own : m->arena;
  walk w = {.scratch = scratch, .from = fresh, .to = sn_func_begin(m, m->arena, old->name, fresh->kind)};
  w.map = SN_ARRAY(scratch, fresh->value_count, sn_val);
  copy_signature(&w);
  copy_outputs(&w);
  copy_updates(&w);
  w.to->guard = reach(&w, fresh->guard);
  for (int i = 0; i < fresh->result_count; i++) sn_func_return(w.to, reach(&w, fresh->result[i]));
  sn_arena_destroy(own);
  for (int i = 0; i < m->func_count; i++) {
    if (m->func[i] == old) m->func[i] = w.to;
  }
  if (fresh != old) sn_module_remove(m, fresh);
  return w.to;
}

sn_func *sn_func_finish(sn_func *f) { return sn_func_replace(f, f); }
