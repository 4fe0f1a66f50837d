/* Linear attention: y_i = phi(q_i) M_i / (phi(q_i) n_i), M_i = sum over j <= i of phi(k_j)' v_j, n_i of phi(k_j)'.
 * phi: elu + 1 (Katharopoulos et al. 2020, equations 7 to 20); x itself, without the denominator; or 1, x, x x' / sqrt
 * 2, so that phi(q) . phi(k) = 1 + s + s^2 / 2 (Arora et al. 2024, Based, section 4.1) */
#include "attention.h"

SN_SETTINGS(linear, ATTENTION_HEADS, (int, map, 0, "0: elu + 1, 1: identity, 2: Taylor", .max = 2),
            (bool, both, 0, "in both directions"));

static sn_t phi(attend *a, sn_t x, const linear *c) {
  if (c->map == 0) return sn_add(sn_elu(x, 1), 1);
  if (c->map == 1) return x;
  x = sn_mul(x, pow(c->head, -.25));
  sn_t square = sn_rearrange(sn_einsum("bthi,bthj->bthij", x, x), "bthij->bth(ij)");
  return sn_concat(3, sn_add(sn_zeros(a->m, SN_REAL, (a->B, a->T, c->heads, 1)), 1), x, sn_mul(square, sqrt(.5)));
}

static sn_t linear_attention(attend *a, const linear *c) {
  qkv x = attention_inputs(a, c->heads, c->heads, c->head);
  return attention_linear(a, phi(a, x.q, c), phi(a, x.k, c), x.v, c->both, c->map != 1);
}

ATTENTION_COMPOSITION(linear, .min = 1);
