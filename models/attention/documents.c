/* Packed documents: i sees j <= i of its own document.   Krell et al. 2021, section 3.2 */
#include "attention.h"

SN_SETTINGS(documents, ATTENTION_SIZES);

typedef struct {
  by_position doc;
} packing;

static sn_t documents_mask(sn_site at, const void *opt) {
  by_position doc = ((const packing *)opt)->doc;
  sn_t q = attention_number(doc, at.batch, at.q), k = attention_number(doc, at.batch, at.k);
  return sn_and(sn_causal(at, NULL), sn_eq(q, k));
}

static sn_t documents_attention(attend *a, const documents *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  packing o = {attention_by_position(a, "doc", c->context)};
  return sn_attention(x.q, x.k, x.v, .mask = documents_mask, .opt = &o, .name = "documents");
}

ATTENTION_MODEL(documents, .min = 1);
