/* Packed documents: i sees j <= i of its own document.   Krell et al. 2021, section 3.2 */
#include "attention.h"

SN_SETTINGS(documents, ATTENTION_SIZES);

typedef struct {
  sn_t doc; /* i32[B, T] */
} packing;

static sn_t documents_mask(sn_site at, const void *opt) {
  sn_t doc = ((const packing *)opt)->doc;
  return sn_and(sn_causal(at, NULL), sn_eq(sn_index(doc, at.batch, at.q), sn_index(doc, at.batch, at.k)));
}

static sn_t documents_attention(attend *a, const documents *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  packing o = {sn_input(a->m, "doc", SN_I32, (a->B, a->T))};
  return sn_attention(x.q, x.k, x.v, .mask = documents_mask, .opt = &o, .name = "documents");
}

ATTENTION_MODEL(documents, .min = 1);
