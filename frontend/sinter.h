/* sinter.h: everything a model file includes. A model is C functions from values to values; running them builds graphs.
 *
 *   sn_t      a value: a tensor in the graph, or a plain number. Copied freely, owned by the graph.
 *   sn_scope  where parameters and state get their names; modes (train, cache, frozen) ride on it.
 *   sn_dim    one extent: a number or a symbol such as T. C arithmetic on it does not compile.
 *
 * A mistake poisons the value and is reported once, at the user's line, so models contain no error handling.
 * Nothing here runs the model. Numbers may stand wherever an sn_t is an operand: integral ones adopt the element type
 * of the other operand, fractional ones make it real. Shapes broadcast as in numpy. Notation shared by einsum,
 * rearrange and reductions: one letter an axis, 1 an axis of extent 1, ( ) joins axes. */
#ifndef SINTER_H
#define SINTER_H

#ifdef __GNUC__
#pragma GCC system_header                         /* compilers do not unfold these macros in errors */
#pragma GCC diagnostic ignored "-Wmissing-braces" /* brace elision is on purpose: see SN_T */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic error "-Wincompatible-pointer-types" /* a score handed in as a mask is an error */
#pragma GCC diagnostic error "-Wint-conversion"
#endif
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __GNUC__
#pragma GCC visibility push(default) /* loaded model files call these */
#endif
/* clang-format off */

/* ---- 1. values --------------------------------------------------------------------------------------------------- */

typedef struct sn_t { union { double num; int64_t id; } u; struct sn_fn *fn; } sn_t; /* fn NULL: a number */
typedef struct sn_dim { int64_t extent; const struct sn_symbol *sym; } sn_dim;      /* sym NULL: a number */
typedef struct sn_scope { struct sn_fn *fn; const struct sn_path *path; } sn_scope;
typedef struct sn_here { const char *file; int line; const char *text; } sn_here;   /* a call as the user spelled it */

typedef enum sn_dtype { SN_REAL, SN_F64, SN_F32, SN_F16, SN_BF16, SN_I64, SN_I32, SN_I8, SN_U8, SN_BOOL, SN_F8E4M3, SN_F8E5M2 } sn_dtype;
/* SN_REAL is the working float of the graph: f32 unless compiled otherwise, f64 for the oracle. */

/* ---- 2. plumbing: call sites, numbers as values, tuples ---------------------------------------------------------- */

#define SN_PI 3.14159265358979323846
#define SN_HERE(text) ((sn_here){__FILE__, __LINE__, text})
/* A number where a value is wanted: in {x} a value fills `v`, a number its first field (C17 6.7.9 p13, p20: brace
 * elision). Unlike _Generic it spells x once, so deep nests compile fast and err plainly. */
typedef struct sn_arg { sn_t v; } sn_arg;
typedef struct sn_ext { sn_dim d; } sn_ext;
typedef struct sn_shape { int rank; sn_ext dim[16]; } sn_shape;
typedef struct sn_list { int count; const sn_arg *at; } sn_list;
#define SN_T(x) ((sn_arg){x})
#define SN_D(x) ((sn_ext){x})

#define SN_COUNT(...) SN_COUNT_(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, \
                                13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define SN_COUNT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, count, ...) count
#define SN_CAT(a, b) SN_CAT_(a, b)
#define SN_CAT_(a, b) a##b
#define SN_MAP(f, ...) SN_CAT(SN_MAP, SN_COUNT(__VA_ARGS__))(f, __VA_ARGS__)
#define SN_MAP1(f, a) f(a)
#define SN_MAP2(f, a, ...) f(a) SN_MAP1(f, __VA_ARGS__)
#define SN_MAP3(f, a, ...) f(a) SN_MAP2(f, __VA_ARGS__)
#define SN_MAP4(f, a, ...) f(a) SN_MAP3(f, __VA_ARGS__)
#define SN_MAP5(f, a, ...) f(a) SN_MAP4(f, __VA_ARGS__)
#define SN_MAP6(f, a, ...) f(a) SN_MAP5(f, __VA_ARGS__)
#define SN_MAP7(f, a, ...) f(a) SN_MAP6(f, __VA_ARGS__)
#define SN_MAP8(f, a, ...) f(a) SN_MAP7(f, __VA_ARGS__)
#define SN_MAP9(f, a, ...) f(a) SN_MAP8(f, __VA_ARGS__)
#define SN_MAP10(f, a, ...) f(a) SN_MAP9(f, __VA_ARGS__)
#define SN_MAP11(f, a, ...) f(a) SN_MAP10(f, __VA_ARGS__)
#define SN_MAP12(f, a, ...) f(a) SN_MAP11(f, __VA_ARGS__)
#define SN_MAP13(f, a, ...) f(a) SN_MAP12(f, __VA_ARGS__)
#define SN_MAP14(f, a, ...) f(a) SN_MAP13(f, __VA_ARGS__)
#define SN_MAP15(f, a, ...) f(a) SN_MAP14(f, __VA_ARGS__)
#define SN_MAP16(f, a, ...) f(a) SN_MAP15(f, __VA_ARGS__)
#define SN_MAP17(f, a, ...) f(a) SN_MAP16(f, __VA_ARGS__)
#define SN_MAP18(f, a, ...) f(a) SN_MAP17(f, __VA_ARGS__)
#define SN_MAP19(f, a, ...) f(a) SN_MAP18(f, __VA_ARGS__)
#define SN_MAP20(f, a, ...) f(a) SN_MAP19(f, __VA_ARGS__)
#define SN_MAP21(f, a, ...) f(a) SN_MAP20(f, __VA_ARGS__)
#define SN_MAP22(f, a, ...) f(a) SN_MAP21(f, __VA_ARGS__)
#define SN_MAP23(f, a, ...) f(a) SN_MAP22(f, __VA_ARGS__)
#define SN_MAP24(f, a, ...) f(a) SN_MAP23(f, __VA_ARGS__)
#define SN_MAP25(f, a, ...) f(a) SN_MAP24(f, __VA_ARGS__)
#define SN_MAP26(f, a, ...) f(a) SN_MAP25(f, __VA_ARGS__)
#define SN_MAP27(f, a, ...) f(a) SN_MAP26(f, __VA_ARGS__)
#define SN_MAP28(f, a, ...) f(a) SN_MAP27(f, __VA_ARGS__)
#define SN_MAP29(f, a, ...) f(a) SN_MAP28(f, __VA_ARGS__)
#define SN_MAP30(f, a, ...) f(a) SN_MAP29(f, __VA_ARGS__)
#define SN_MAP31(f, a, ...) f(a) SN_MAP30(f, __VA_ARGS__)
#define SN_MAP32(f, a, ...) f(a) SN_MAP31(f, __VA_ARGS__)
#define SN_BRACE_(x) {x},
#define SN_SHAPE(...) ((sn_shape){sizeof(#__VA_ARGS__) > 1 ? SN_COUNT(__VA_ARGS__) : 0, {SN_MAP(SN_BRACE_, __VA_ARGS__)}}) /* (): a scalar */
#define SN_LIST(...) ((sn_list){SN_COUNT(__VA_ARGS__), (const sn_arg[]){SN_MAP(SN_BRACE_, __VA_ARGS__)}})
#define SN_REFS(...) ((sn_t *[]){__VA_ARGS__, NULL})

/* ---- 3. dims ----------------------------------------------------------------------------------------------------- */

/* A symbolic extent. One name is one dim throughout the model, whichever graph declares it.
 *   sn_sym(m, "T", .max = c->context, .multiple = 16);  min defaults to 1, max to 65536 */
typedef struct sn_sym_args { sn_scope m; const char *name; int64_t min, max, multiple; int end_; } sn_sym_args;
#define sn_sym(...) sn_sym_at(SN_HERE("sn_sym(" #__VA_ARGS__ ")"), (sn_sym_args){__VA_ARGS__, .end_ = 0})
sn_dim sn_sym_at(sn_here here, sn_sym_args a);

sn_dim sn_size(sn_t x, int axis);                       /* extent of an axis; -1 is the last */
int sn_rank(sn_t x);
#define sn_dim_add(a, b) sn_dim_op('+', SN_D(a), SN_D(b))
#define sn_dim_mul(a, b) sn_dim_op('*', SN_D(a), SN_D(b))
#define sn_dim_ceildiv(a, b) sn_dim_op('/', SN_D(a), SN_D(b))
sn_dim sn_dim_op(char op, sn_ext a, sn_ext b);
sn_dim sn_dim_of(int64_t n);
sn_t sn_dim_value(sn_dim n);                            /* the extent as an i32 value */

/* States, and checks, what the author believes: sn_expect(x, (B, T, c->width)). Returns x. */
#define sn_expect(x, shape) sn_expect_at(SN_HERE("sn_expect(" #x ", " #shape ")"), x, SN_SHAPE shape)
sn_t sn_expect_at(sn_here here, sn_t x, sn_shape s);

/* ---- 4. scopes: names and modes ---------------------------------------------------------------------------------- */

/* Wraps every sn_linear and sn_affine below a scope whose name matches (LoRA, adapters, IA3): x in, y = W x + b. Its own
 * parameters are not frozen. */
typedef sn_t (*sn_linear_hook)(sn_scope m, sn_t x, sn_t y, const void *opt);

/* A child scope; modes are inherited until changed again. sn_with changes modes only.
 *   sn_in(m, "attn")   sn_in(m, "teacher", .frozen = true)   sn_with(m, .train = true) */
typedef struct sn_in_args {
  sn_scope m; const char *name;
  bool frozen;                 /* parameters below never train and keep no gradient */
  bool train;                  /* dropout acts; identity otherwise */
  int64_t cache;               /* sn_cache keeps this many positions; 0: sn_cache is the identity */
  sn_t start;                  /* absolute position of the first row, [] or [B]; default 0 */
  const char *hook_on; sn_linear_hook hook; const void *hook_opt; /* pattern of names, see sn_minimize */
  int end_;
} sn_in_args;
#define sn_in(...) sn_in_at(SN_HERE("sn_in(" #__VA_ARGS__ ")"), (sn_in_args){__VA_ARGS__, .end_ = 0})
#define sn_with(...) sn_in_at(SN_HERE("sn_with(" #__VA_ARGS__ ")"), (sn_in_args){__VA_ARGS__, .end_ = 1})
sn_scope sn_in_at(sn_here here, sn_in_args a);
sn_t sn_start(sn_scope m);                              /* absolute position of row 0: .start, or the number 0 */

/* Layers of one kind: a C loop whose body becomes one function of the IR, called n times with the parameters "h.0.*",
 * "h.1.*", ... Carried values are listed by address; others are captured.
 *   sn_layers(h, m, "h", c->layers, &x) x = block(h, x, c);
 * Bodies that differ (if (sn_layer(h) % 2) ...) become as many functions. No break or return inside. */
#define sn_layers(h, m, name, n, ...) \
  for (sn_scope h = sn_layers_at(SN_HERE("sn_layers(" #h ", " #m ", " #name ", " #n ", " #__VA_ARGS__ ")"), \
       m, name, n, SN_REFS(__VA_ARGS__)); sn_layers_next(&h);)
sn_scope sn_layers_at(sn_here here, sn_scope m, const char *name, int n, sn_t **carried);
bool sn_layers_next(sn_scope *h);
int sn_layer(sn_scope m);                               /* index of the layer being built, from 0 */

/* ---- 5. parameters, inputs, state, outputs ----------------------------------------------------------------------- */

/* Initial values. Default: normal of standard deviation 1/sqrt(first extent) for matrices, 0 for the rest. */
typedef struct sn_init { enum { SN_INIT_AUTO, SN_INIT_NORMAL, SN_INIT_UNIFORM, SN_INIT_FILL, SN_INIT_TRUNCATED } kind; double a; } sn_init;
#define sn_normal(std) ((sn_init){SN_INIT_NORMAL, std})
#define sn_truncated(std) ((sn_init){SN_INIT_TRUNCATED, std}) /* normal, drawn again beyond 2 std */
#define sn_uniform(bound) ((sn_init){SN_INIT_UNIFORM, bound}) /* in [-bound, bound) */
#define sn_fill(x) ((sn_init){SN_INIT_FILL, x})

typedef struct sn_leaf_opt { sn_init init; sn_dtype dtype; int end_; } sn_leaf_opt;
#define SN_LEAF_(shape, ...) SN_SHAPE shape, (sn_leaf_opt){__VA_ARGS__}
/* sn_param(m, "wte", (V, D), .init = sn_normal(.02)): declared where it is used; one name, one tensor. */
#define sn_param(m, name, ...) sn_param_at(SN_HERE("sn_param(" #m ", " #name ", " #__VA_ARGS__ ")"), m, name, SN_LEAF_(__VA_ARGS__, .end_ = 0))
sn_t sn_param_at(sn_here here, sn_scope m, const char *name, sn_shape shape, sn_leaf_opt o);
/* State outlives the call: sn_state reads the old value, sn_update names the next one (once) and returns it.
 * Parameters are state too: sn_update(w, sn_sub(w, step)) is an optimiser. */
#define sn_state(m, name, ...) sn_state_at(SN_HERE("sn_state(" #m ", " #name ", " #__VA_ARGS__ ")"), m, name, SN_LEAF_(__VA_ARGS__, .end_ = 0))
#define sn_state_like(m, name, x) sn_state_like_at(SN_HERE("sn_state_like(" #m ", " #name ", " #x ")"), m, name, x)
#define sn_update(old, next) sn_update_at(SN_HERE("sn_update(" #old ", " #next ")"), old, SN_T(next))
sn_t sn_state_at(sn_here here, sn_scope m, const char *name, sn_shape shape, sn_leaf_opt o);
sn_t sn_state_like_at(sn_here here, sn_scope m, const char *name, sn_t x);
sn_t sn_update_at(sn_here here, sn_t old, sn_arg next);

#define sn_input(m, name, dtype, shape) sn_input_at(SN_HERE("sn_input(" #m ", " #name ", " #dtype ", " #shape ")"), m, name, dtype, SN_SHAPE shape)
/* A number of the run or step, settable without recompiling: sn_scalar(m, "lr", SN_REAL, 1e-3). */
#define sn_scalar(m, name, dtype, value) sn_scalar_at(SN_HERE("sn_scalar(" #m ", " #name ", " #dtype ", " #value ")"), m, name, dtype, value)
#define sn_output(m, name, x) sn_output_at(SN_HERE("sn_output(" #m ", " #name ", " #x ")"), m, name, SN_T(x))
#define sn_zeros(m, dtype, shape) sn_zeros_at(SN_HERE("sn_zeros(" #m ", " #dtype ", " #shape ")"), m, dtype, SN_SHAPE shape)
sn_t sn_input_at(sn_here here, sn_scope m, const char *name, sn_dtype dtype, sn_shape shape);
sn_t sn_scalar_at(sn_here here, sn_scope m, const char *name, sn_dtype dtype, double value);
void sn_output_at(sn_here here, sn_scope m, const char *name, sn_arg x);
sn_t sn_zeros_at(sn_here here, sn_scope m, sn_dtype dtype, sn_shape shape);

/* Noise: a stream is named by its scope, so editing one layer does not move another's numbers.
 * Philox(input "seed", stream, state "step", element): same bits on every device. */
typedef enum sn_noise { SN_UNIFORM, SN_NORMAL } sn_noise; /* in [0, 1); of mean 0 and variance 1 */
#define sn_random(m, name, kind, shape) sn_random_at(SN_HERE("sn_random(" #m ", " #name ", " #kind ", " #shape ")"), m, name, kind, SN_SHAPE shape)
#define sn_dropout(m, name, x, p) sn_dropout_at(SN_HERE("sn_dropout(" #m ", " #name ", " #x ", " #p ")"), m, name, x, p)
/* 0 .. n - 1 in random order, i32[n]: the order of random keys. */
#define sn_permutation(m, name, n) sn_permutation_at(SN_HERE("sn_permutation(" #m ", " #name ", " #n ")"), m, name, SN_D(n))
sn_t sn_permutation_at(sn_here here, sn_scope m, const char *name, sn_ext n);
sn_t sn_random_at(sn_here here, sn_scope m, const char *name, sn_noise kind, sn_shape shape);
sn_t sn_dropout_at(sn_here here, sn_scope m, const char *name, sn_t x, double p);

/* ---- 6. elementwise ---------------------------------------------------------------------------------------------- */

sn_t sn_op1(sn_here here, const char *op, sn_arg x);
sn_t sn_op2(sn_here here, const char *op, sn_arg a, sn_arg b);
sn_t sn_op3(sn_here here, const char *op, sn_arg a, sn_arg b, sn_arg c);

#define sn_neg(x) sn_op1(SN_HERE("sn_neg(" #x ")"), "neg", SN_T(x))
#define sn_abs(x) sn_op1(SN_HERE("sn_abs(" #x ")"), "abs", SN_T(x))
#define sn_sign(x) sn_op1(SN_HERE("sn_sign(" #x ")"), "sign", SN_T(x))
#define sn_exp(x) sn_op1(SN_HERE("sn_exp(" #x ")"), "exp", SN_T(x))
#define sn_log(x) sn_op1(SN_HERE("sn_log(" #x ")"), "log", SN_T(x))
#define sn_exp2(x) sn_op1(SN_HERE("sn_exp2(" #x ")"), "exp2", SN_T(x))
#define sn_log2(x) sn_op1(SN_HERE("sn_log2(" #x ")"), "log2", SN_T(x))
#define sn_expm1(x) sn_op1(SN_HERE("sn_expm1(" #x ")"), "expm1", SN_T(x))             /* e^x - 1 */
#define sn_log1p(x) sn_op1(SN_HERE("sn_log1p(" #x ")"), "log1p", SN_T(x))             /* log(1 + x) */
#define sn_sqrt(x) sn_op1(SN_HERE("sn_sqrt(" #x ")"), "sqrt", SN_T(x))
#define sn_rsqrt(x) sn_op1(SN_HERE("sn_rsqrt(" #x ")"), "rsqrt", SN_T(x))
#define sn_reciprocal(x) sn_op1(SN_HERE("sn_reciprocal(" #x ")"), "reciprocal", SN_T(x))
#define sn_square(x) sn_op1(SN_HERE("sn_square(" #x ")"), "square", SN_T(x))
#define sn_sin(x) sn_op1(SN_HERE("sn_sin(" #x ")"), "sin", SN_T(x))
#define sn_cos(x) sn_op1(SN_HERE("sn_cos(" #x ")"), "cos", SN_T(x))
#define sn_tanh(x) sn_op1(SN_HERE("sn_tanh(" #x ")"), "tanh", SN_T(x))
#define sn_erf(x) sn_op1(SN_HERE("sn_erf(" #x ")"), "erf", SN_T(x))
#define sn_sigmoid(x) sn_op1(SN_HERE("sn_sigmoid(" #x ")"), "sigmoid", SN_T(x))
#define sn_logsigmoid(x) sn_op1(SN_HERE("sn_logsigmoid(" #x ")"), "logsigmoid", SN_T(x))
#define sn_softplus(x) sn_op1(SN_HERE("sn_softplus(" #x ")"), "softplus", SN_T(x))
#define sn_relu(x) sn_op1(SN_HERE("sn_relu(" #x ")"), "relu", SN_T(x))
#define sn_gelu(x) sn_op1(SN_HERE("sn_gelu(" #x ")"), "gelu", SN_T(x))                /* by erf */
#define sn_gelu_tanh(x) sn_op1(SN_HERE("sn_gelu_tanh(" #x ")"), "gelu_tanh", SN_T(x)) /* its approximation by tanh */
#define sn_silu(x) sn_op1(SN_HERE("sn_silu(" #x ")"), "silu", SN_T(x))
#define sn_leaky_relu(x, slope) sn_gated_at(SN_HERE("sn_leaky_relu(" #x ", " #slope ")"), "leaky_relu", SN_T(x), slope)
#define sn_elu(x, alpha) sn_gated_at(SN_HERE("sn_elu(" #x ", " #alpha ")"), "elu", SN_T(x), alpha)
#define sn_hard_tanh(x) sn_op3(SN_HERE("sn_hard_tanh(" #x ")"), "clamp", SN_T(x), SN_T(-1), SN_T(1))
sn_t sn_gated_at(sn_here here, const char *op, sn_arg x, double a);
#define sn_floor(x) sn_op1(SN_HERE("sn_floor(" #x ")"), "floor", SN_T(x))
#define sn_ceil(x) sn_op1(SN_HERE("sn_ceil(" #x ")"), "ceil", SN_T(x))
#define sn_round(x) sn_op1(SN_HERE("sn_round(" #x ")"), "round", SN_T(x))             /* halves go to the even number */
#define sn_trunc(x) sn_op1(SN_HERE("sn_trunc(" #x ")"), "trunc", SN_T(x))
#define sn_popcount(x) sn_op1(SN_HERE("sn_popcount(" #x ")"), "popcount", SN_T(x))    /* of integers */
#define sn_not(x) sn_op1(SN_HERE("sn_not(" #x ")"), "not", SN_T(x))
#define sn_isfinite(x) sn_op1(SN_HERE("sn_isfinite(" #x ")"), "isfinite", SN_T(x))
#define sn_stop(x) sn_op1(SN_HERE("sn_stop(" #x ")"), "stop", SN_T(x))                /* no gradient passes */

#define sn_add(a, b) sn_op2(SN_HERE("sn_add(" #a ", " #b ")"), "add", SN_T(a), SN_T(b))
#define sn_sub(a, b) sn_op2(SN_HERE("sn_sub(" #a ", " #b ")"), "sub", SN_T(a), SN_T(b))
#define sn_mul(a, b) sn_op2(SN_HERE("sn_mul(" #a ", " #b ")"), "mul", SN_T(a), SN_T(b))
#define sn_div(a, b) sn_op2(SN_HERE("sn_div(" #a ", " #b ")"), "div", SN_T(a), SN_T(b)) /* always real */
#define sn_floordiv(a, b) sn_op2(SN_HERE("sn_floordiv(" #a ", " #b ")"), "floordiv", SN_T(a), SN_T(b)) /* of integers */
#define sn_mod(a, b) sn_op2(SN_HERE("sn_mod(" #a ", " #b ")"), "mod", SN_T(a), SN_T(b)) /* of the sign of b */
#define sn_pow(a, b) sn_op2(SN_HERE("sn_pow(" #a ", " #b ")"), "pow", SN_T(a), SN_T(b))
#define sn_min(a, b) sn_op2(SN_HERE("sn_min(" #a ", " #b ")"), "min", SN_T(a), SN_T(b))
#define sn_max(a, b) sn_op2(SN_HERE("sn_max(" #a ", " #b ")"), "max", SN_T(a), SN_T(b))
#define sn_eq(a, b) sn_op2(SN_HERE("sn_eq(" #a ", " #b ")"), "eq", SN_T(a), SN_T(b))
#define sn_ne(a, b) sn_op2(SN_HERE("sn_ne(" #a ", " #b ")"), "ne", SN_T(a), SN_T(b))
#define sn_lt(a, b) sn_op2(SN_HERE("sn_lt(" #a ", " #b ")"), "lt", SN_T(a), SN_T(b))
#define sn_le(a, b) sn_op2(SN_HERE("sn_le(" #a ", " #b ")"), "le", SN_T(a), SN_T(b))
#define sn_gt(a, b) sn_op2(SN_HERE("sn_gt(" #a ", " #b ")"), "gt", SN_T(a), SN_T(b))
#define sn_ge(a, b) sn_op2(SN_HERE("sn_ge(" #a ", " #b ")"), "ge", SN_T(a), SN_T(b))
#define sn_and(a, b) sn_op2(SN_HERE("sn_and(" #a ", " #b ")"), "and", SN_T(a), SN_T(b))
#define sn_or(a, b) sn_op2(SN_HERE("sn_or(" #a ", " #b ")"), "or", SN_T(a), SN_T(b))
#define sn_xor(a, b) sn_op2(SN_HERE("sn_xor(" #a ", " #b ")"), "xor", SN_T(a), SN_T(b))
#define sn_shl(a, b) sn_op2(SN_HERE("sn_shl(" #a ", " #b ")"), "shl", SN_T(a), SN_T(b)) /* of integers */
#define sn_shr(a, b) sn_op2(SN_HERE("sn_shr(" #a ", " #b ")"), "shr", SN_T(a), SN_T(b)) /* keeps the sign */
#define sn_where(c, a, b) sn_op3(SN_HERE("sn_where(" #c ", " #a ", " #b ")"), "select", SN_T(c), SN_T(a), SN_T(b))
#define sn_lerp(a, b, t) sn_op3(SN_HERE("sn_lerp(" #a ", " #b ", " #t ")"), "lerp", SN_T(a), SN_T(b), SN_T(t)) /* a + t (b - a) */
#define sn_within(x, lo, hi) sn_op3(SN_HERE("sn_within(" #x ", " #lo ", " #hi ")"), "within", SN_T(x), SN_T(lo), SN_T(hi)) /* lo <= x < hi */
#define sn_clamp(x, lo, hi) sn_op3(SN_HERE("sn_clamp(" #x ", " #lo ", " #hi ")"), "clamp", SN_T(x), SN_T(lo), SN_T(hi))
#define sn_cast(x, dtype) sn_cast_at(SN_HERE("sn_cast(" #x ", " #dtype ")"), SN_T(x), dtype)
sn_t sn_cast_at(sn_here here, sn_arg x, sn_dtype dtype);

/* ---- 7. shape, contraction, reduction: one letter an axis -------------------------------------------------------- */

/* sn_einsum("bthd,bshd->bhts", q, k); one, two or more operands. */
#define sn_einsum(spec, ...) sn_einsum_at(SN_HERE("sn_einsum(" #spec ", " #__VA_ARGS__ ")"), spec, SN_LIST(__VA_ARGS__))
sn_t sn_einsum_at(sn_here here, const char *spec, sn_list x);

/* sn_rearrange(x, "bt(nhd)->nbthd", .n = 3, .h = 12): reshape and transpose in one picture. */
typedef struct sn_axes { sn_t x; const char *spec; int64_t a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x_, y, z; } sn_axes;
#define sn_rearrange(...) sn_rearrange_at(SN_HERE("sn_rearrange(" #__VA_ARGS__ ")"), (sn_axes){__VA_ARGS__, .x_ = 0})
sn_t sn_rearrange_at(sn_here here, sn_axes a);
#define sn_merge(x) sn_merge_at(SN_HERE("sn_merge(" #x ")"), x) /* [.., H, d] -> [.., H*d] */
sn_t sn_merge_at(sn_here here, sn_t x);

/* sn_sum(x, "btd->bt"), sn_mean(x, "bt->"), sn_amax(w, "io->1o"); what the right side lacks is reduced. */
#define sn_sum(x, spec) sn_reduce_at(SN_HERE("sn_sum(" #x ", " #spec ")"), "sum", x, spec)
#define sn_mean(x, spec) sn_reduce_at(SN_HERE("sn_mean(" #x ", " #spec ")"), "mean", x, spec)
#define sn_amax(x, spec) sn_reduce_at(SN_HERE("sn_amax(" #x ", " #spec ")"), "amax", x, spec)
#define sn_amin(x, spec) sn_reduce_at(SN_HERE("sn_amin(" #x ", " #spec ")"), "amin", x, spec)
#define sn_prod(x, spec) sn_reduce_at(SN_HERE("sn_prod(" #x ", " #spec ")"), "prod", x, spec)
#define sn_any(x, spec) sn_reduce_at(SN_HERE("sn_any(" #x ", " #spec ")"), "any", x, spec) /* of bools */
#define sn_all(x, spec) sn_reduce_at(SN_HERE("sn_all(" #x ", " #spec ")"), "all", x, spec)
sn_t sn_reduce_at(sn_here here, const char *op, sn_t x, const char *spec);
#define sn_softmax(x) sn_last_at(SN_HERE("sn_softmax(" #x ")"), "softmax", x)             /* over the last axis */
#define sn_log_softmax(x) sn_last_at(SN_HERE("sn_log_softmax(" #x ")"), "log_softmax", x)
#define sn_logsumexp(x) sn_last_at(SN_HERE("sn_logsumexp(" #x ")"), "logsumexp", x)       /* [.., V] -> [..] */
#define sn_argmax(x) sn_last_at(SN_HERE("sn_argmax(" #x ")"), "argmax", x)                /* [.., V] -> i32[..] */
#define sn_argmin(x) sn_last_at(SN_HERE("sn_argmin(" #x ")"), "argmin", x)
#define sn_l2_norm(x, eps) sn_l2_norm_at(SN_HERE("sn_l2_norm(" #x ", " #eps ")"), x, eps)  /* x / sqrt(sum(x^2) + eps), last axis */
sn_t sn_l2_norm_at(sn_here here, sn_t x, double eps);
sn_t sn_last_at(sn_here here, const char *op, sn_t x);

#define sn_at(x, i) sn_at_at(SN_HERE("sn_at(" #x ", " #i ")"), x, i)                       /* x[i] on axis 0 */
#define sn_slice(x, axis, from, count) sn_slice_at(SN_HERE("sn_slice(" #x ", " #axis ", " #from ", " #count ")"), x, axis, SN_T(from), SN_D(count))
#define sn_concat(axis, ...) sn_concat_at(SN_HERE("sn_concat(" #axis ", " #__VA_ARGS__ ")"), axis, SN_LIST(__VA_ARGS__))
#define sn_pad(x, axis, before, after, value) sn_pad_at(SN_HERE("sn_pad(" #x ", " #axis ", " #before ", " #after ", " #value ")"), x, axis, SN_D(before), SN_D(after), value)
#define sn_flip(x, axis) sn_flip_at(SN_HERE("sn_flip(" #x ", " #axis ")"), x, axis)        /* the other way round */
#define sn_gather(table, rows) sn_gather_at(SN_HERE("sn_gather(" #table ", " #rows ")"), table, rows) /* [V, ..], i32[S..] -> [S.., ..] */
#define sn_pick(x, index) sn_pick_at(SN_HERE("sn_pick(" #x ", " #index ")"), x, index)     /* [S.., V], i32[S..] -> [S..] */
#define sn_slots(x, slots) sn_slots_at(SN_HERE("sn_slots(" #x ", " #slots ")"), x, slots)  /* [B, T, ..], i32[B, K] -> [B, K, ..] */
#define sn_index(x, ...) sn_index_at(SN_HERE("sn_index(" #x ", " #__VA_ARGS__ ")"), x, SN_LIST(__VA_ARGS__)) /* x[i, j, ..], scalar */
#define sn_arange(m, n) sn_arange_at(SN_HERE("sn_arange(" #m ", " #n ")"), m, SN_D(n))     /* i32[n]: 0 .. n-1 */
sn_t sn_at_at(sn_here here, sn_t x, int64_t i);
sn_t sn_slice_at(sn_here here, sn_t x, int axis, sn_arg from, sn_ext count);
sn_t sn_concat_at(sn_here here, int axis, sn_list x);
sn_t sn_pad_at(sn_here here, sn_t x, int axis, sn_ext before, sn_ext after, double value);
sn_t sn_flip_at(sn_here here, sn_t x, int axis);
sn_t sn_gather_at(sn_here here, sn_t table, sn_t rows);
sn_t sn_pick_at(sn_here here, sn_t x, sn_t index);
sn_t sn_slots_at(sn_here here, sn_t x, sn_t slots);
sn_t sn_index_at(sn_here here, sn_t x, sn_list at);
sn_t sn_arange_at(sn_here here, sn_scope m, sn_ext n);

/* Prefixes along an axis: element t is the sum (product, maximum) of elements 0 to t.  sn_cumsum(x, -1, .reverse = true)
 * exclusive: of those before t; reverse: of t to the last. A bool counts as 0 or 1. */
typedef struct sn_prefix_args { sn_t x; int axis; bool exclusive, reverse; int end_; } sn_prefix_args;
typedef struct sn_ranked { sn_t values, positions; } sn_ranked; /* positions: i32, where along the axis the values stood */
#define sn_cumsum(...) sn_prefix_at(SN_HERE("sn_cumsum(" #__VA_ARGS__ ")"), "cumsum", (sn_prefix_args){__VA_ARGS__, .end_ = 0})
#define sn_cumprod(...) sn_prefix_at(SN_HERE("sn_cumprod(" #__VA_ARGS__ ")"), "cumprod", (sn_prefix_args){__VA_ARGS__, .end_ = 0})
#define sn_cummax(...) sn_cummax_at(SN_HERE("sn_cummax(" #__VA_ARGS__ ")"), (sn_prefix_args){__VA_ARGS__, .end_ = 0})
sn_t sn_prefix_at(sn_here here, const char *op, sn_prefix_args a);
sn_ranked sn_cummax_at(sn_here here, sn_prefix_args a);
/* In order along an axis: stable, NaN last either way. sn_top_k: the k largest of the last axis, the largest first. */
typedef struct sn_sort_args { sn_t x; int axis; bool descending; int end_; } sn_sort_args;
#define sn_sort(...) sn_sort_at(SN_HERE("sn_sort(" #__VA_ARGS__ ")"), (sn_sort_args){__VA_ARGS__, .end_ = 0})
#define sn_argsort(...) sn_sort_at(SN_HERE("sn_argsort(" #__VA_ARGS__ ")"), (sn_sort_args){__VA_ARGS__, .end_ = 0}).positions
#define sn_top_k(x, k) sn_top_k_at(SN_HERE("sn_top_k(" #x ", " #k ")"), x, SN_D(k))
sn_ranked sn_sort_at(sn_here here, sn_sort_args a);
sn_ranked sn_top_k_at(sn_here here, sn_t x, sn_ext k);
/* Of each query of q [N, T, d] the `count` keys of k [N, S, d] with the largest products, [N, T, count], the largest
 * first and of equal ones the first; nothing of T by S is made, and no gradient passes. causal: among those at positions up
 * to its own. Where there are fewer, the product is -1e30 and the position S - 1. */
typedef struct sn_top_keys_args { sn_t q, k; int count; bool causal; int end_; } sn_top_keys_args;
#define sn_top_keys(...) sn_top_keys_at(SN_HERE("sn_top_keys(" #__VA_ARGS__ ")"), (sn_top_keys_args){__VA_ARGS__, .end_ = 0})
sn_ranked sn_top_keys_at(sn_here here, sn_top_keys_args a);
/* How many elements of the ascending `sorted` [b.., N] are less (.right: at most) than each of `values` [b.., S..]: i32. */
typedef struct sn_search_args { sn_t sorted, values; bool right; int end_; } sn_search_args;
#define sn_searchsorted(...) sn_searchsorted_at(SN_HERE("sn_searchsorted(" #__VA_ARGS__ ")"), (sn_search_args){__VA_ARGS__, .end_ = 0})
sn_t sn_searchsorted_at(sn_here here, sn_search_args a);
/* Rows of x [S.., ..] added up by number: ids i32[S..] in any order, 0 to n - 1 -> [n, ..], in order of the rows. */
#define sn_segment_sum(x, ids, n) sn_segment_sum_at(SN_HERE("sn_segment_sum(" #x ", " #ids ", " #n ")"), x, ids, SN_D(n))
sn_t sn_segment_sum_at(sn_here here, sn_t x, sn_t ids, sn_ext n);
/* Rows of x [b.., N, ..] where mask, bool[b.., N], holds: moved to the front, zeros behind; how many, i32[b..]; where each
 * stood, i32[b.., N] (what stands behind them is the last or any other position). */
typedef struct sn_compacted { sn_t rows, count, positions; } sn_compacted;
#define sn_compact(x, mask) sn_compact_at(SN_HERE("sn_compact(" #x ", " #mask ")"), x, mask)
sn_compacted sn_compact_at(sn_here here, sn_t x, sn_t mask);
/* Rows of x [B, n, d], n up to d, made orthogonal in their order and divided by sqrt(length^2 + eps). */
#define sn_orthonormal(x, eps) sn_orthonormal_at(SN_HERE("sn_orthonormal(" #x ", " #eps ")"), x, eps)
sn_t sn_orthonormal_at(sn_here here, sn_t x, double eps);
/* y of (I + L) y = x: L what l [b.., N, N] holds below its diagonal; x [b.., N, M]. transposed: (I + L)' y = x. */
typedef struct sn_solve_args { sn_t l, x; bool transposed; int end_; } sn_solve_args;
#define sn_solve_lower(...) sn_solve_lower_at(SN_HERE("sn_solve_lower(" #__VA_ARGS__ ")"), (sn_solve_args){__VA_ARGS__, .end_ = 0})
sn_t sn_solve_lower_at(sn_here here, sn_solve_args a);
/* x [B.., T, C], w [K, C / groups, O] -> [B.., T', O]: y[t] = sum over k of x[t stride + k dilation - left] w[k]. groups = C
 * with w [K, 1, C] is depthwise. causal: left = dilation (K - 1), so T' = T at stride 1. A symbolic T must be a multiple of
 * the stride. */
typedef struct sn_conv1d_args { sn_t x, w; int64_t left, right, stride, dilation, groups; bool causal; int end_; } sn_conv1d_args;
#define sn_conv1d(...) sn_conv1d_at(SN_HERE("sn_conv1d(" #__VA_ARGS__ ")"), (sn_conv1d_args){__VA_ARGS__, .end_ = 0})
sn_t sn_conv1d_at(sn_here here, sn_conv1d_args a);
/* sn_recur(a, b, axis): y[t] = a[t] y[t-1] + b[t], from y[-1] = 0; reverse: y[t] = a[t] y[t+1] + b[t]. */
typedef struct sn_recur_opt { int axis; bool reverse; int end_; } sn_recur_opt;
#define sn_recur(a, b, ...) sn_recur_at(SN_HERE("sn_recur(" #a ", " #b ", " #__VA_ARGS__ ")"), SN_T(a), SN_T(b), (sn_recur_opt){__VA_ARGS__, .end_ = 0})
sn_t sn_recur_at(sn_here here, sn_arg a, sn_arg b, sn_recur_opt o);

/* ---- 8. layers with parameters ----------------------------------------------------------------------------------- */

/* sn_linear is W x, sn_affine is W x + b: sn_linear(m, "q", x, H * d, .heads = H), [.., in] -> [.., H, d]; parameters
 * "q.weight" [in, out], "q.bias" [out]. */
typedef struct sn_linear_args { sn_scope m; const char *name; sn_t x; int64_t out, heads; sn_init init; int end_; } sn_linear_args;
#define sn_linear(...) sn_linear_at(SN_HERE("sn_linear(" #__VA_ARGS__ ")"), false, (sn_linear_args){__VA_ARGS__, .end_ = 0})
#define sn_affine(...) sn_linear_at(SN_HERE("sn_affine(" #__VA_ARGS__ ")"), true, (sn_linear_args){__VA_ARGS__, .end_ = 0})
sn_t sn_linear_at(sn_here here, bool bias, sn_linear_args a);

/* Over the last axis; parameters "name.weight" (1) and, but for rmsnorm, "name.bias" (0). eps: 1e-5, rmsnorm 1e-6.
 * sn_group_norm(m, "n", x, .groups = 4): each of so many equal parts of the axis by itself. */
typedef struct sn_norm_args { sn_scope m; const char *name; sn_t x; double eps; bool no_bias, no_scale; int groups; int end_; } sn_norm_args;
#define sn_layernorm(...) sn_norm_at(SN_HERE("sn_layernorm(" #__VA_ARGS__ ")"), "layernorm", (sn_norm_args){__VA_ARGS__, .end_ = 0})
#define sn_rmsnorm(...) sn_norm_at(SN_HERE("sn_rmsnorm(" #__VA_ARGS__ ")"), "rmsnorm", (sn_norm_args){__VA_ARGS__, .end_ = 0})
#define sn_group_norm(...) sn_norm_at(SN_HERE("sn_group_norm(" #__VA_ARGS__ ")"), "group_norm", (sn_norm_args){__VA_ARGS__, .end_ = 0})
sn_t sn_norm_at(sn_here here, const char *kind, sn_norm_args a);

/* Causal depthwise convolution over axis 1 of x [B, T, C]: parameters "name.weight" [width, 1, C], "name.bias" [C]. In a
 * scope with .cache the last width - 1 rows become the state "name.last", which a start of 0 forgets. */
typedef struct sn_conv_args { sn_scope m; const char *name; sn_t x; int64_t width; bool no_bias; sn_init init; int end_; } sn_conv_args;
#define sn_conv(...) sn_conv_at(SN_HERE("sn_conv(" #__VA_ARGS__ ")"), (sn_conv_args){__VA_ARGS__, .end_ = 0})
sn_t sn_conv_at(sn_here here, sn_conv_args a);

/* In a scope with .cache = N: x [B, T, ..] is written at its positions into a state [B, N, ..], whose next value is
 * returned; x otherwise. ring: position p lives in slot p mod N, so positions may grow without end. table i32[B, n]: the
 * state is a pool [pool N / n, ..] of pages that sequences share; position p of sequence b is in page table[b, p n / N]. */
typedef struct sn_cache_args { sn_scope m; const char *name; sn_t x; bool ring; sn_t table; int64_t pool; int end_; } sn_cache_args;
#define sn_cache(...) sn_cache_at(SN_HERE("sn_cache(" #__VA_ARGS__ ")"), (sn_cache_args){__VA_ARGS__, .end_ = 0})
sn_t sn_cache_at(sn_here here, sn_cache_args a);
#define sn_positions(m, x) sn_positions_at(SN_HERE("sn_positions(" #m ", " #x ")"), m, x) /* of axis 1 of x, absolute: i32[T] or [B, T] */
sn_t sn_positions_at(sn_here here, sn_scope m, sn_t x);

/* Rotary positions on the last axis of x [B, T, H, d]: sn_rope(x, positions, .base = 1e4). Component pair k turns by
 * position * base^(-2k / dims); beyond the length of training, s = .scale:
 *   SN_ROPE_INTERPOLATED  position / s (Chen et al. 2023)     SN_ROPE_NTK  base s^(dims / (dims - 2))
 *   SN_ROPE_DYNAMIC_NTK   the same, s = length / .trained where that is above 1; length: the largest position + 1
 *   SN_ROPE_YARN          / s for pairs that turn less than once in .trained, not for those above 32 times, a ramp between;
 *                         times 0.1 ln s + 1 (Peng et al. 2023) */
typedef enum sn_rope_scaling { SN_ROPE_PLAIN, SN_ROPE_INTERPOLATED, SN_ROPE_NTK, SN_ROPE_DYNAMIC_NTK, SN_ROPE_YARN } sn_rope_scaling;
typedef struct sn_rope_args {
  sn_t x, positions;           /* positions: i32[T] or [B, T] */
  double base;                 /* of the frequencies; default 1e4 */
  int dims;                    /* leading part of d that turns; default all */
  bool interleaved;            /* pairs (0, 1), (2, 3), ..; default: (i, i + dims/2) */
  sn_rope_scaling scaling;
  double scale;                /* s, from 1 */
  int trained;                 /* positions of the training */
  int end_;
} sn_rope_args;
#define sn_rope(...) sn_rope_at(SN_HERE("sn_rope(" #__VA_ARGS__ ")"), (sn_rope_args){__VA_ARGS__, .end_ = 0})
sn_t sn_rope_at(sn_here here, sn_rope_args a);
/* Sinusoidal positions: component 2k of row i is sin(i base^(-2k / width)), 2k + 1 its cosine. [.., T] -> [.., T, width] */
typedef struct sn_sinusoid_args { sn_t positions; int64_t width; double base; int end_; } sn_sinusoid_args;
#define sn_sinusoid(...) sn_sinusoid_at(SN_HERE("sn_sinusoid(" #__VA_ARGS__ ")"), (sn_sinusoid_args){__VA_ARGS__, .end_ = 0})
sn_t sn_sinusoid_at(sn_here here, sn_sinusoid_args a);

/* ---- 9. regions: functions of the user's own inside the IR ------------------------------------------------------- */

typedef struct sn_site { sn_t batch, head, q, k; } sn_site;   /* where a score stands, i32 scalars */
typedef sn_t (*sn_score)(sn_t s, sn_site at, const void *opt);
typedef sn_t (*sn_mask)(sn_site at, const void *opt);
sn_t sn_causal(sn_site at, const void *opt);                   /* k <= q */
/* q.r: the query's row (not scaled) with row r = table[i, j, ..] of a table [.., d]; scalar. table [H, R, d] with at.head
 * first, or [R, d]: kernels of their own */
#define sn_dot_q(at, table, ...) sn_dot_q_at(SN_HERE("sn_dot_q(" #at ", " #table ", " #__VA_ARGS__ ")"), at, table, SN_LIST(__VA_ARGS__))
sn_t sn_dot_q_at(sn_here here, sn_site at, sn_t table, sn_list index);
/* The bucket of a distance d from 0, of 0 .. last: its own for the first half, then logarithmic, the last from `far` on:
 * relative positions as in T5. */
#define sn_log_bucket(d, last, far) sn_log_bucket_at(SN_HERE("sn_log_bucket(" #d ", " #last ", " #far ")"), d, last, far)
sn_t sn_log_bucket_at(sn_here here, sn_t d, int last, double far);
#define sn_alibi_slope(head, n_heads) sn_op2(SN_HERE("sn_alibi_slope(" #head ", " #n_heads ")"), "alibi_slope", SN_T(head), SN_T(n_heads))

/* What makes weights of the scores of one query. accumulate: the weight of a score, taken as it is, 0 where masked; NULL:
 * softmax. finish: the result, of the weighted sum of values y [B, T, H, e] and total [B, T, H, 1], the sum of the weights,
 * after a softmax its logarithm before they were divided by it (-1e30 without a key), all in the type of scores; NULL: y. */
typedef struct sn_normaliser {
  sn_score accumulate;
  sn_t (*finish)(sn_t y, sn_t total, const void *opt);
  const void *opt;             /* of both; default: that of the attention */
  bool has_sink;
  sn_arg sink;                 /* sn_softmax_sink */
} sn_normaliser;
#define sn_softmax_sink(x) ((sn_normaliser){.has_sink = true, .sink = SN_T(x)}) /* one more score, [] or [H], that takes weight and has no value */
#define sn_softmax1 sn_softmax_sink(0)                         /* exp(s) / (1 + sum exp) */
#define sn_sigmoid_weights ((sn_normaliser){.accumulate = sn_sigmoid_weight}) /* a bias, as -log n, is the score's */
#define sn_relu2_weights ((sn_normaliser){.accumulate = sn_relu2_weight}) /* max(s, 0)^2 */
#define sn_score_weights ((sn_normaliser){.accumulate = sn_score_weight}) /* s: none, linear attention */
sn_t sn_sigmoid_weight(sn_t s, sn_site at, const void *opt);
sn_t sn_relu2_weight(sn_t s, sn_site at, const void *opt);
sn_t sn_score_weight(sn_t s, sn_site at, const void *opt);

/* q [B, T, H, d], k [B, S, G, d], v [B, S, G, e] -> [B, T, H, e]; G divides H.
 * Tensors reach score and mask through opt; they are captured, and receive gradients. */
typedef struct sn_attention_args {
  sn_t q, k, v;
  sn_score score; sn_mask mask; sn_normaliser normaliser; const void *opt;
  double scale;                /* of q.k before score; default 1/sqrt(d) */
  sn_t start;                  /* at.q = start + row, [] or [B]; default 0, or that of the cache k comes from */
  const char *name;            /* of the variant: prints as attention.NAME */
  int end_;
} sn_attention_args;
#define sn_attention(...) sn_attention_at(SN_HERE("sn_attention(" #__VA_ARGS__ ")"), (sn_attention_args){__VA_ARGS__, .end_ = 0})
sn_t sn_attention_at(sn_here here, sn_attention_args a);

/* One step of a recurrence: h[i] is replaced by the next state, the output is returned.
 *   y = sn_scan(step, "bth", (&S), (q, k, v, w), .opt = &o);
 * The letters name the leading axes of every input: t is walked, the others are mapped, so step sees one head of one
 * sequence: vectors and matrices, as in the paper. S [b, h, ..]: first state in, last out; the output [b, t, h, ..].
 * Tensors reached through opt are captured whole, and receive gradients; one of all steps would show the step those to
 * come, and is a mistake. reverse: from the last t to the first. */
typedef sn_t (*sn_scan_step)(sn_t h[], const sn_t x[], const void *opt);
typedef struct sn_scan_opt { const void *opt; bool reverse; int end_; } sn_scan_opt;
#define SN_SCAN_(xs, ...) SN_LIST xs, (sn_scan_opt){__VA_ARGS__}
#define sn_scan(step, axes, states, ...) sn_scan_at(SN_HERE("sn_scan(" #step ", " #axes ", " #states ", " #__VA_ARGS__ ")"), step, axes, SN_REFS states, SN_SCAN_(__VA_ARGS__, .end_ = 0))
sn_t sn_scan_at(sn_here here, sn_scan_step step, const char *axes, sn_t **states, sn_list x, sn_scan_opt o);

/* An op of the user's own: y = fwd(x, opt), and bwd sets dx[i], the derivative by x[i] given y and dy, or leaves it: then
 * x[i] is a constant. Both are graphs; second derivatives differentiate bwd. Tensors reached through opt are constants.
 *   y = sn_custom("int8", round, round_grad, (w, step), NULL);  bwd NULL: no gradient passes */
typedef sn_t (*sn_fwd)(const sn_t x[], const void *opt);
typedef void (*sn_bwd)(const sn_t x[], sn_t y, sn_t dy, sn_t dx[], const void *opt);
#define sn_custom(name, fwd, bwd, xs, opt) sn_custom_at(SN_HERE("sn_custom(" #name ", " #fwd ", " #bwd ", " #xs ", " #opt ")"), name, fwd, bwd, SN_LIST xs, opt)
sn_t sn_custom_at(sn_here here, const char *name, sn_fwd fwd, sn_bwd bwd, sn_list x, const void *opt);

/* One of two functions of the operands, by a truth value of the run; only that one is computed.
 *   y = sn_cond(sn_lt(i, 3), small, large, (x, i), &o);  tensors reached through opt are captured, and receive gradients */
#define sn_cond(pred, yes, no, xs, opt) sn_cond_at(SN_HERE("sn_cond(" #pred ", " #yes ", " #no ", " #xs ", " #opt ")"), pred, yes, no, SN_LIST xs, opt)
sn_t sn_cond_at(sn_here here, sn_t pred, sn_fwd yes, sn_fwd no, sn_list x, const void *opt);

/* Repeats body on the values x, listed by address, while test is true: x[i] is replaced by the next value. At most .limit
 * rounds, 2^20 by default. No gradient passes: use sn_scan.
 *   sn_while(unfinished, improve, (&x, &error), .opt = &o, .limit = 100); */
typedef void (*sn_round)(sn_t x[], const void *opt);
typedef struct sn_while_opt { const void *opt; int64_t limit; int end_; } sn_while_opt;
#define SN_WHILE_(carried, ...) SN_REFS carried, (sn_while_opt){__VA_ARGS__}
#define sn_while(test, body, ...) sn_while_at(SN_HERE("sn_while(" #test ", " #body ", " #__VA_ARGS__ ")"), test, body, SN_WHILE_(__VA_ARGS__, .end_ = 0))
void sn_while_at(sn_here here, sn_fwd test, sn_round body, sn_t **carried, sn_while_opt o);

/* ---- 10. losses and training ------------------------------------------------------------------------------------- */

/* Mean of -log p(target) over all rows, []; weight [S..]: weighted mean; smooth: share of the uniform distribution. */
typedef struct sn_ce_args { sn_t logits, targets, weight; double smooth; int end_; } sn_ce_args;
#define sn_cross_entropy(...) sn_cross_entropy_at(SN_HERE("sn_cross_entropy(" #__VA_ARGS__ ")"), (sn_ce_args){__VA_ARGS__, .end_ = 0})
sn_t sn_cross_entropy_at(sn_here here, sn_ce_args a);

/* Distillation: mean over all rows of t^2 D(softmax(logits / t), softmax(reference / t)), []. kind: "forward" (default) is
 * KL(reference || logits), "reverse" KL(logits || reference), "jsd" the mean of both against their middle. Both operands
 * [.., V]; parameters of a reference belong in a .frozen scope. weight [S..]: weighted mean.
 *   source: Hinton, Vinyals, Dean 2015; Agarwal et al. 2024 */
typedef struct sn_divergence_args { sn_t logits, reference; const char *kind; sn_t temperature, weight; int end_; } sn_divergence_args;
#define sn_divergence(...) sn_divergence_at(SN_HERE("sn_divergence(" #__VA_ARGS__ ")"), (sn_divergence_args){__VA_ARGS__, .end_ = 0})
sn_t sn_divergence_at(sn_here here, sn_divergence_args a);

/* Derivatives of a scalar: sn_grad(loss, (w, b), (&dw, &db)). They are values: differentiable again. */
#define sn_grad(loss, wrt, out) sn_grad_at(SN_HERE("sn_grad(" #loss ", " #wrt ", " #out ")"), loss, SN_LIST wrt, SN_REFS out)
void sn_grad_at(sn_here here, sn_t loss, sn_list wrt, sn_t **out);

/* Applies a rule to every trainable parameter the loss depends on, in order of name, with m the scope of that name.
 * Parameters are chosen by name: '*' any text, '|' or, leading '-' except; frozen ones never match. Gradients are those of
 * the whole norm clipped to `clip`. Adds the outputs "loss" and "grad_norm" unless the graph has them, counts the
 * state "step", and guards all updates of the graph: they happen only if loss and gradient norm are finite. */
typedef void (*sn_rule)(sn_scope m, sn_t w, sn_t g, const void *opt);
typedef struct sn_minimize_args {
  sn_scope m; sn_t loss; sn_rule rule; const void *opt;
  const char *on;              /* pattern; default: all */
  sn_t clip;                   /* largest norm of all gradients together; default and 0: no clipping */
  sn_t accumulate;             /* gradients of this many runs are averaged into one update; default 1 */
  int end_;
} sn_minimize_args;
#define sn_minimize(...) sn_minimize_at(SN_HERE("sn_minimize(" #__VA_ARGS__ ")"), (sn_minimize_args){__VA_ARGS__, .end_ = 0})
void sn_minimize_at(sn_here here, sn_minimize_args a);
#define sn_step_count(m) sn_step_count_at(SN_HERE("sn_step_count(" #m ")"), m) /* updates done before this run, i32[] */
sn_t sn_step_count_at(sn_here here, sn_scope m);

/* Stock rules. Every field is a number or a scalar value.
 * AdamW: decoupled decay on matrices only (rank > 1); linear warm-up over `warmup` updates, then a cosine from lr to min_lr
 * at update `steps`, constant after; steps 0: constant lr after the warm-up. States "<name>.adam_m", "<name>.adam_v".
 * linear: a line instead of the cosine. no_correction: moments are not divided by 1 - beta^t, as in BERT's code.
 *   source: Loshchilov and Hutter 2019, algorithm 2 */
typedef struct sn_adamw_opt {
  sn_t lr, beta1, beta2, eps;  /* default 1e-3, 0.9, 0.999, 1e-8 */
  sn_t weight_decay;           /* default 0 */
  sn_t warmup, steps, min_lr;  /* default 0 */
  bool linear, no_correction;
  int end_;
} sn_adamw_opt;
void sn_adamw(sn_scope m, sn_t w, sn_t g, const void *opt); /* opt: sn_adamw_opt or NULL */
typedef struct sn_sgd_opt { sn_t lr; int end_; } sn_sgd_opt; /* default 1e-2 */
void sn_sgd(sn_scope m, sn_t w, sn_t g, const void *opt);   /* opt: sn_sgd_opt or NULL */

/* ---- 11. what a model file exports ------------------------------------------------------------------------------- */

typedef struct sn_setting { const char *name, *type, *help; size_t offset; double value, min, max; } sn_setting;
typedef struct sn_graph { const char *name; void (*build)(sn_scope m, const void *settings); } sn_graph;
typedef struct sn_model { const char *name, *file; size_t settings_bytes; const sn_setting *settings; const sn_graph *graphs; } sn_model;

/* SN_SETTINGS(gpt, (int, layers, 12, "blocks"), (double, dropout, 0, "probability")): the struct gpt and its table, at most
 * 32 rows of int, int64_t, double or bool; --set layers=4 on the command line. Behind the help may stand .min = 1, .max = 8
 * (.max alone: from 0; a .min below 1 needs one), or SN_SIZE: a value outside is refused before anything is built. */
#define SN_SIZE .min = 1, .max = 1 << 24
#define SN_SETTINGS(type, ...) \
  typedef struct type { SN_MAP(SN_FIELD_, __VA_ARGS__) } type, sn_settings_self_; \
  static const sn_setting type##_settings[] = {SN_MAP(SN_ROW_, __VA_ARGS__) {0}}
#define SN_FIELD_(row) SN_OPEN_(SN_FIELD__, SN_FLAT_ row)
#define SN_FIELD__(ctype, name, value, help, ...) ctype name;
#define SN_ROW_(row) SN_OPEN_(SN_ROW__, SN_FLAT_ row)
#define SN_ROW__(ctype, field, default_, text, ...) {.name = #field, .type = #ctype, .help = text, \
   .offset = offsetof(sn_settings_self_, field), .value = default_, __VA_ARGS__},
#define SN_OPEN_(f, ...) f(__VA_ARGS__)
#define SN_FLAT_(...) __VA_ARGS__,

/* SN_MODEL(gpt2, gpt, train, prefill, decode): name, settings type, graphs: functions void train(sn_scope m, const gpt *c).
 * All graphs share one store of parameters and state. One per file, its last line. */
#define SN_MODEL(model, type, ...) \
  typedef type sn_model_self_; \
  SN_MAP(SN_BUILD_, __VA_ARGS__) \
  static const sn_graph model##_graphs[] = {SN_MAP(SN_GRAPH_, __VA_ARGS__) {0}}; \
  extern const sn_model sn_model_##model; \
  const sn_model sn_model_##model = {#model, __FILE__, sizeof(type), type##_settings, model##_graphs}; \
  SN_PLUGIN_(model)
#define SN_BUILD_(graph) static void graph##_build_(sn_scope m, const void *c) { graph(m, (const sn_model_self_ *)c); }
#define SN_GRAPH_(graph) {#graph, graph##_build_},
#ifdef SN_PLUGIN                                               /* set when `sinter` compiles the file itself */
#define SN_PLUGIN_(model) extern const sn_model *const sn_plugin; const sn_model *const sn_plugin = &sn_model_##model
#else
#define SN_PLUGIN_(model) extern const sn_model sn_model_##model
#endif

/* clang-format on */
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
