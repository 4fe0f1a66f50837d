/* Tree mask of speculative decoding: i sees itself and its ancestors. Nodes are numbered in depth-first order: the
 * subtree of j is enter_j <= enter_i < leave_j.   Miao et al. 2024 (SpecInfer), section 4.2 */
#include "attention.h"

SN_SETTINGS(tree, ATTENTION_SIZES);

typedef struct {
  by_position enter, leave;
} nodes;

static sn_t tree_mask(sn_site at, const void *opt) {
  const nodes *o = opt;
  sn_t from = attention_number(o->enter, at.batch, at.k), to = attention_number(o->leave, at.batch, at.k);
  return sn_within(attention_number(o->enter, at.batch, at.q), from, to);
}

static sn_t tree_attention(attend *a, const tree *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  nodes o = {attention_by_position(a, "enter", c->context), attention_by_position(a, "leave", c->context)};
  return sn_attention(x.q, x.k, x.v, .mask = tree_mask, .opt = &o, .name = "tree");
}

ATTENTION_MODEL(tree, .min = 1);
