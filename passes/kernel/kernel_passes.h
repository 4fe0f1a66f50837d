/* Passes over kernels: old kernel in, new kernel out. Order: simplify, expand_math, simplify (the expansion of a
 * constant folds, equal subexpressions of two expansions are one), then ir/kernel's finish. */
#ifndef SN_PASSES_KERNEL_KERNEL_PASSES_H
#define SN_PASSES_KERNEL_KERNEL_PASSES_H

#include "ir/kernel/kernel.h"
#include "passes/passes.h"

/* EXP EXP2 LOG LOG2 SIN COS TANH ERF become polynomials over add, sub, mul, div, fma, rint, cast, operations on bits,
 * compare and select. Largest errors in ulp, over every f32 and over samples of f64:
 *   f32  exp 0.90, exp2 0.80, log 0.92, log2 0.96, erf 1.06, tanh 2.42, sin 2.86 and cos 3.07 for |x| <= 2^20
 *   f64  exp 0.90, exp2 1.00, log 0.85, log2 1.08, erf 1.15, tanh 2.60, sin and cos 2.40 for |x| <= 2^26
 * Results below the smallest normal number are 0, denormal arguments may be taken as 0. NaN, infinities and -0 are
 * right. sin and cos of larger angles: the argument counts as 0; in f32 from 2^22 on, and up to there the error is
 * below 4e-6 absolute; of an infinity they are NaN. */
sn_kernel *sn_kernel_expand_math(sn_arena *arena, const sn_kernel *k);

/* Normal form and cheap improvements; see simplify.c for the rules. Results stay within rounding. The result is
 * finished. */
sn_kernel *sn_kernel_simplify(sn_arena *arena, const sn_kernel *k);

/* The passes in their order, without those rules that env switches off: simplify (.fold .narrow .cse .loads .control
 * .hoist .fma) and math (.expand). env NULL: all. */
sn_kernel *sn_kernel_passes(sn_arena *arena, const sn_kernel *k, const sn_pass_env *env);

#endif
