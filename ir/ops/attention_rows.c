/* Products of the query's row with captured rows: an operand r [R, d] or [H, R, d] of attention that its regions see as
 * the tensor [B, T, H, R] of all products q.r, element by element by index. */
#include "ir/ops/captures.h"

bool sn_attention_is_product(const sn_node *n, int capture) {
  const sn_attr *products = sn_node_attr(n, "products");
  for (int i = 0; i < products->count; i++)
    if (products->ints[i] == capture) return true;
  return false;
}

const sn_type *sn_product_type(sn_types *types, const sn_type *q, const sn_type *rows) {
  bool heads = rows->rank == 3;
  if ((rows->rank != 2 && !heads) || rows->elem != sn_acc_elem(q->elem)) return NULL;
  if (rows->dim[rows->rank - 1] != q->dim[3] || (heads && rows->dim[0] != q->dim[2])) return NULL;
  const sn_dimx *dim[4] = {q->dim[0], q->dim[1], q->dim[2], rows->dim[rows->rank - 2]};
  return sn_type_of(types, rows->elem, 4, dim);
}

sn_val sn_product_of(sn_build *b, sn_val q, sn_val rows) {
  if (b->failed) return 0;
  const sn_type *t = sn_g_type(b, rows);
  return sn_g_contract(b, t->rank == 3 ? "bthd,hrd->bthr" : "bthd,rd->bthr", sn_g_cast(b, q, t->elem), rows);
}
