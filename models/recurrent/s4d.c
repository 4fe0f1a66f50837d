/* S4D: a diagonal, complex, time-invariant state space a channel. h = exp(dt A) h + B' u, y = 2 Re(C h) + D u, with
 * A_n = -1/2 + i pi n (S4D-Lin) to begin with. Gu et al. 2022, eq. 3 and section 4. The real and the imaginary part of
 * h take part in each other, element by element: associative. The same as a convolution of u with K_j = 2 Re(sum_n C_n
 * exp(dt A_n)^j B'_n): graph `convolution`. */
#include "stack.h"

/* clang-format off */
SN_SETTINGS(s4d,
  (int, layers,  2,   "blocks", .max = 4096),
  (int, width,   64,  "channels", SN_SIZE),
  (int, state,   16,  "states of a channel", SN_SIZE),
  (int, length,  64,  "taps of the convolution: the longest sequence that it takes", SN_SIZE),
  (int, context, 256, "longest sequence", SN_SIZE),
  (int, vocab,   256, "tokens", SN_SIZE));
/* clang-format on */

typedef struct {
  sn_t re, im; /* of dt A [D, N] */
  sn_t c_re, c_im, d;
} system;

static system parameters(sn_scope m, const s4d *c) {
  sn_t dt = sn_exp(sn_sub(sn_param(m, "log_dt", (c->width, 1), .init = sn_uniform(1)), 4));
  sn_t n = sn_mul(SN_PI, sn_cast(sn_arange(m, c->state), SN_REAL));
  sn_t re = sn_mul(dt, sn_neg(sn_exp(sn_param(m, "log_A_real", (c->width, c->state), .init = sn_fill(-.69314718)))));
  sn_t im = sn_mul(dt, sn_add(n, sn_param(m, "A_imag", (c->width, c->state), .init = sn_fill(0))));
  return (system){re, im, sn_param(m, "C_real", (c->width, c->state), .init = sn_normal(.5)),
                  sn_param(m, "C_imag", (c->width, c->state), .init = sn_normal(.5)),
                  sn_param(m, "D", (c->width), .init = sn_fill(1))};
}

/* exp(z) of z = dt A, and B' = (exp(z) - 1) / A, B = 1, dt left to C. */
static void discrete(const system *s, sn_t *a_re, sn_t *a_im, sn_t *b_re, sn_t *b_im) {
  sn_t e = sn_exp(s->re), im = sn_mul(e, sn_sin(s->im));
  *a_re = sn_mul(e, sn_cos(s->im)), *a_im = im;
  sn_t re = sn_sub(*a_re, 1), size = sn_add(sn_square(s->re), sn_square(s->im));
  *b_re = sn_div(sn_add(sn_mul(re, s->re), sn_mul(im, s->im)), size);
  *b_im = sn_div(sn_sub(sn_mul(im, s->re), sn_mul(re, s->im)), size);
}

typedef struct {
  sn_t a_re, a_im, b_re, b_im, c_re, c_im, d;
} discretised;

static sn_t space(sn_t h[], const sn_t x[], const void *opt) {
  const discretised *p = opt;
  sn_t re = h[0], im = h[1];
  h[0] = sn_add(sn_sub(sn_mul(p->a_re, re), sn_mul(p->a_im, im)), sn_einsum("d,dn->dn", x[0], p->b_re));
  h[1] = sn_add(sn_add(sn_mul(p->a_re, im), sn_mul(p->a_im, re)), sn_einsum("d,dn->dn", x[0], p->b_im));
  sn_t y = sn_sub(sn_einsum("dn,dn->d", h[0], p->c_re), sn_einsum("dn,dn->d", h[1], p->c_im));
  return sn_add(sn_mul(2, y), sn_mul(p->d, x[0]));
}

static discretised of_scope(sn_scope m, const s4d *c, system *s) {
  *s = parameters(m, c);
  discretised p = {.c_re = s->c_re, .c_im = s->c_im, .d = s->d};
  discrete(s, &p.a_re, &p.a_im, &p.b_re, &p.b_im);
  return p;
}

static sn_t recurrence(sn_scope m, sn_t x, bool carry, const s4d *c) {
  system s;
  discretised p = of_scope(m, c, &s);
  sn_t re0 = stack_state(m, "re", carry, (sn_size(x, 0), c->width, c->state)), re = re0;
  sn_t im0 = stack_state(m, "im", carry, (sn_size(x, 0), c->width, c->state)), im = im0;
  sn_t y = sn_scan(space, "bt", (&re, &im), (x), .opt = &p);
  stack_keep(carry, re0, re), stack_keep(carry, im0, im);
  return y;
}

/* The last tap is K_0. */
static sn_t convolution_of(sn_scope m, sn_t x, const s4d *c) {
  system s;
  discretised p = of_scope(m, c, &s);
  sn_t j = sn_cast(sn_sub(c->length - 1, sn_arange(m, c->length)), SN_REAL);
  sn_t size = sn_exp(sn_einsum("l,dn->ldn", j, s.re)), angle = sn_einsum("l,dn->ldn", j, s.im);
  sn_t re = sn_sub(sn_mul(p.c_re, p.b_re), sn_mul(p.c_im, p.b_im));
  sn_t im = sn_add(sn_mul(p.c_re, p.b_im), sn_mul(p.c_im, p.b_re));
  sn_t part = sn_sub(sn_einsum("ldn,dn->ld", sn_mul(size, sn_cos(angle)), re),
                     sn_einsum("ldn,dn->ld", sn_mul(size, sn_sin(angle)), im));
  sn_t taps = sn_rearrange(sn_mul(2, part), "ld->l1d");
  return sn_add(sn_conv1d(x, taps, .groups = c->width, .causal = true), sn_mul(p.d, x));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const s4d *c = opt;
  return sn_linear(m, "out", sn_gelu(recurrence(m, x, carry, c)), c->width);
}

/* One layer both ways, with the same parameters. */
static void convolution(sn_scope m, const s4d *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (sn_sym(m, "B", .max = 1024), c->length, c->width));
  sn_output(m, "convolution", convolution_of(m, x, c));
  sn_output(m, "recurrence", recurrence(m, x, false, c));
}

STACK_GRAPHS(s4d, layer)
SN_MODEL(s4d, s4d, train, eval, prefill, decode, convolution);
