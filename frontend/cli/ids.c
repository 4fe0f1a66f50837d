/* Graph -> inputs that are ids; ids -> in range or a mistake. Compiled code never reads outside of a table, but what it
 * reads instead means nothing: a wrong id is an error. */
#include "frontend/cli/ids.h"

#include <string.h>

/* The input that v shows the elements of, or NULL. */
static const sn_node *input_behind(const sn_func *f, sn_val v) {
  const sn_node *n = sn_node_of(f, v);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW || n->op == SN_OP_CAST) n = sn_node_of(f, n->arg[0]);
  return n->op == SN_OP_INPUT && sn_elem_is_int(n->type[0]->elem) ? n : NULL;
}

/* Rows of the table that n looks up, 0: none or not a number. */
static int64_t rows_of(const sn_func *f, const sn_node *n) {
  int64_t rows = 0;
  if (n->op != SN_OP_GATHER && n->op != SN_OP_PICK && n->op != SN_OP_CROSS_ENTROPY) return 0;
  const sn_type *t = sn_val_type(f, n->arg[0]);
  int axis = t->rank - 1;
  if (n->op == SN_OP_GATHER) axis = (int)sn_node_attr(n, "batch")->i;
  return axis >= 0 && axis < t->rank && sn_dimx_is_const(t->dim[axis], &rows) ? rows : 0;
}

void cli_ids_find(cli *c, const sn_func *f, cli_ids *out) {
  *out = (cli_ids){0};
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    int64_t rows = rows_of(f, n);
    const sn_node *input = rows ? input_behind(f, n->arg[1]) : NULL;
    if (!input) continue;
    SN_GROW(c->arena, out->at, out->count, out->capacity);
    out->at[out->count++] = (cli_id_input){sn_node_attr(input, "name")->s, rows, n};
  }
}

static int64_t id_at(sn_elem e, const void *data, int64_t i) {
  switch (e) {
    case SN_ELEM_I64: return ((const int64_t *)data)[i];
    case SN_ELEM_I32: return ((const int32_t *)data)[i];
    case SN_ELEM_I8: return ((const int8_t *)data)[i];
    default: return ((const uint8_t *)data)[i];
  }
}

static sn_code outside(cli *c, const cli_id_input *x, int64_t id, int64_t at) {
  const sn_origin *o = &x->user->origin;
  sn_fail(c->diags, SN_ERR_INPUT, o->loc_count ? o->locs[0] : (sn_loc){0},
          "`%s`: an id of input %s is outside of the table", sn_op_get(x->user->op)->name, x->name);
  sn_fail_expected(c->diags, "0 to %lld", (long long)(x->rows - 1));
  sn_fail_found(c->diags, "%lld at element %lld", (long long)id, (long long)at);
  return SN_ERR_INPUT;
}

sn_code cli_ids_check(cli *c, const cli_ids *ids, const char *name, sn_elem elem, const void *data, int64_t count) {
  for (int k = 0; k < ids->count; k++) {
    const cli_id_input *x = &ids->at[k];
    if (strcmp(x->name, name)) continue;
    for (int64_t i = 0; i < count; i++) {
      int64_t id = id_at(elem, data, i);
      if (id < 0 || id >= x->rows) return outside(c, x, id, i);
    }
  }
  return SN_OK;
}
