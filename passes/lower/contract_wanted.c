/* Tiles of a product that are wanted instead of the writer's own: they share out rows and columns, and no sum changes.
 */
#include "passes/lower/contract.h"

void sn_contract_retile(sn_contraction *k, bool packed) {
  const sn_target *t = k->c->target;
  const sn_schedule *want = &k->c->want;
  int unit = t->vnni && k->elem == SN_ELEM_BF16 ? 2 * t->lanes : t->lanes;
  if (k->thin || k->made || k->row < 0 || k->col < 0 || t->tiles) return;
  if (want->rows >= SN_CONTRACT_UNIT && want->rows != k->bm) {
    int rows = want->rows / SN_CONTRACT_UNIT * SN_CONTRACT_UNIT;
    k->bm = sn_block_of(k->out.space.extent[k->row], sn_contract_within(k, k->row, rows));
  }
  if (want->cols >= 2 * unit && want->cols != k->bn && !packed)
    k->bn = sn_contract_within(k, k->col, want->cols / unit * unit);
  sn_schedule_made(k->c, k->bm, k->bn);
}
