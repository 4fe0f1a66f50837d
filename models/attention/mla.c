/* Multi-head latent attention: keys and values of all heads are made of one latent row; a rotated part of the key is
 * shared. Keys have nope + rope components, values `value`. Absorbed, the keys are the latent rows themselves: one
 * head, and all that a cache keeps; the result is the same.   DeepSeek-AI 2024 (DeepSeek-V2), equations 9 to 19 */
#include "attention.h"

SN_SETTINGS(mla, (int, heads, 4, "heads", SN_SIZE), (int, nope, 16, "components of a key without position", SN_SIZE),
            (int, rope, 8, "rotated components", SN_SIZE), (int, value, 16, "components of a value", SN_SIZE),
            (int, latent, 32, "components of a latent row", SN_SIZE),
            (int, context, 16384, "longest sequence", SN_SIZE), ATTENTION_CACHES,
            (bool, absorbed, 0, "attend to latent rows"));

static sn_t mla_attention(attend *a, const mla *c) {
  sn_t q = attention_input(a, "q", (a->B, a->T, c->heads, c->nope + c->rope)), pos = sn_positions(a->m, q);
  sn_t latent = attention_input(a, "latent", (a->B, a->T, c->latent));
  sn_t shared = sn_rope(attention_input(a, "k_rope", (a->B, a->T, 1, c->rope)), pos, .interleaved = true);
  sn_t up_k = attention_param(a, "up_k", (c->heads, c->latent, c->nope));
  sn_t up_v = attention_param(a, "up_v", (c->heads, c->latent, c->value));
  sn_t plain = sn_slice(q, 3, 0, c->nope);
  sn_t turned = sn_rope(sn_slice(q, 3, c->nope, c->rope), pos, .interleaved = true);
  double scale = 1 / sqrt(c->nope + c->rope);
  if (c->absorbed) {
    q = sn_concat(3, sn_einsum("bthd,hld->bthl", plain, up_k), turned);
    sn_t rows = attention_cache(a, "latent", sn_concat(3, sn_rearrange(latent, "btl->bt1l"), shared));
    sn_t v = sn_slice(rows, 3, 0, c->latent);
    return sn_einsum("bthl,hle->bthe", sn_attention(q, rows, v, .mask = sn_causal, .scale = scale, .name = "mla"),
                     up_v);
  }
  shared = sn_add(shared, sn_zeros(a->m, SN_REAL, (c->heads, c->rope)));
  sn_t k = attention_cache(a, "keys", sn_concat(3, sn_einsum("btl,hld->bthd", latent, up_k), shared));
  sn_t v = attention_cache(a, "values", sn_einsum("btl,hle->bthe", latent, up_v));
  return sn_attention(sn_concat(3, plain, turned), k, v, .mask = sn_causal, .scale = scale, .name = "mla");
}

ATTENTION_MODEL(mla, .min = 1);
