#!/usr/bin/env bash
# What docs/numerics.md promises of special values, casts, integers and gradients, in the interpreter and compiled.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1

npy() { # FILE DTYPE COUNT BYTES
  local head="{'descr': '$2', 'fortran_order': False, 'shape': ($3,), }" n
  n=$(((10 + ${#head} + 1 + 63) / 64 * 64 - 10))
  printf "\\x93NUMPY\\x01\\x00\\x$(printf %02x $((n % 256)))\\x$(printf %02x $((n / 256)))" >"$1"
  printf '%-*s\n' $((n - 1)) "$head" >>"$1"
  # shellcheck disable=SC2059
  printf "$4" >>"$1"
}
# holds OUTPUT BYTES FORMAT VALUES...: what the last run wrote; NaN has no sign
holds() {
  local name=$1 bytes=$2 format=$3 found
  shift 3
  found=$(tail -c "$bytes" "$name.npy" | od -An -t"$format" -w"$bytes" | tr -s ' ' | sed 's/-nan/nan/g; s/^ //; s/ $//')
  [ "$found" = "$*" ] || die "$name on $t: $found instead of $*"
}

# 0 -0 nan 1 3e9 -3e9 2.7 -2.7 inf -inf
npy x.npy '<f4' 10 '\x00\x00\x00\x00\x00\x00\x00\x80\x00\x00\xc0\x7f\x00\x00\x80\x3f\x5e\xd0\x32\x4f\x5e\xd0\x32\xcf\xcd\xcc\x2c\x40\xcd\xcc\x2c\xc0\x00\x00\x80\x7f\x00\x00\x80\xff'
# 1 1 1 nan 0 0 0 0 0 0
npy y.npy '<f4' 10 '\x00\x00\x80\x3f\x00\x00\x80\x3f\x00\x00\x80\x3f\x00\x00\xc0\x7f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'
cat >special.sn <<'SN'
sinter 1
graph @floats {
  %1 = input name "x" : f32[10]
  %2 = input name "y" : f32[10]
  %max = max %1, %2 : f32[10]
  %min = min %1, %2 : f32[10]
  %lt = lt %1, %2 : bool[10]
  %le = le %1, %2 : bool[10]
  %eq = eq %1, %1 : bool[10]
  %ne = ne %1, %1 : bool[10]
  %fin = isfinite %1 : bool[10]
  %int = cast %1 to i32 : i32[10]
  %u8 = cast %1 to u8 : u8[10]
  %bool = cast %1 to bool : bool[10]
  %log = log %1 : f32[10]
  %sqrt = sqrt %1 : f32[10]
  %amax = amax %1 axes [0] : f32[]
  output "max" = %max
  output "min" = %min
  output "lt" = %lt
  output "le" = %le
  output "eq" = %eq
  output "ne" = %ne
  output "fin" = %fin
  output "int" = %int
  output "u8" = %u8
  output "bool" = %bool
  output "log" = %log
  output "sqrt" = %sqrt
  output "amax" = %amax
}
graph @ints {
  %1 = input name "a" : i32[6]
  %2 = input name "b" : i32[6]
  %div = div %1, %2 : i32[6]
  %mod = mod %1, %2 : i32[6]
  %sum = add %1, %1 : i32[6]
  %u8 = cast %1 to u8 : u8[6]
  output "div" = %div
  output "mod" = %mod
  output "sum" = %sum
  output "low" = %u8
}
SN
# 7 -7 7 -7 300 2147483647 by 2 2 -2 -2 7 10
npy a.npy '<i4' 6 '\x07\x00\x00\x00\xf9\xff\xff\xff\x07\x00\x00\x00\xf9\xff\xff\xff\x2c\x01\x00\x00\xff\xff\xff\x7f'
npy b.npy '<i4' 6 '\x02\x00\x00\x00\x02\x00\x00\x00\xfe\xff\xff\xff\xfe\xff\xff\xff\x07\x00\x00\x00\x0a\x00\x00\x00'

outs() { for o in "$@"; do printf ' --out %s=%s.npy' "$o" "$o"; done; }
check_values() {
  # shellcheck disable=SC2046
  expect 0 "$SINTER" run special.sn --graph floats --target "$t" --in x=x.npy --in y=y.npy $(outs max min lt le eq ne fin int u8 bool log sqrt amax)
  holds max 40 f4 1 1 nan nan 3e+09 0 2.7 0 inf 0
  holds lt 10 u1 1 1 0 0 0 1 0 1 0 1
  holds le 10 u1 1 1 0 0 0 1 0 1 0 1
  holds eq 10 u1 1 1 0 1 1 1 1 1 1 1
  holds ne 10 u1 0 0 1 0 0 0 0 0 0 0
  holds fin 10 u1 1 1 0 1 1 1 1 1 0 0
  holds int 40 d4 0 0 0 1 2147483647 -2147483648 2 -2 2147483647 -2147483648
  holds u8 10 u1 0 0 0 1 255 0 2 0 255 0
  holds bool 10 u1 0 0 1 1 1 1 1 1 1 1
  holds amax 4 f4 nan
  tail -c 40 log.npy | head -c 8 >zero.npy
  holds zero 8 f4 -inf -inf
  tail -c 40 sqrt.npy | head -c 16 >root.npy
  holds root 16 f4 0 -0 nan 1
  # shellcheck disable=SC2046
  expect 0 "$SINTER" run special.sn --graph ints --target "$t" --in a=a.npy --in b=b.npy $(outs div mod sum low)
  holds div 24 d4 3 -4 -4 3 42 214748364
  holds mod 24 d4 1 1 -1 -1 6 7
  holds sum 24 d4 14 -14 14 -14 600 -2
  holds low 6 u1 7 249 7 249 44 255
}

cat >grads.c <<'C'
#include "sinter.h"
SN_SETTINGS(opts, (int, width, 4, "features"));
#define GRAPH(name, y) \
  static void name(sn_scope m, const opts *c) { \
    sn_t x = sn_input(m, "x", SN_REAL, (c->width)), z = sn_input(m, "z", SN_REAL, (c->width)); \
    sn_output(m, "loss", sn_add(sn_mul(0, sn_sum(z, "a->")), sn_sum(y, "a->"))); \
  }
GRAPH(relu, sn_relu(x))
GRAPH(absolute, sn_abs(x))
GRAPH(larger, sn_max(x, z))
GRAPH(smaller, sn_min(x, z))
GRAPH(clamped, sn_clamp(x, 0, 1))
GRAPH(largest, sn_amax(x, "a->1"))
GRAPH(truncated, sn_cast(sn_cast(x, SN_I32), SN_REAL))
GRAPH(power, sn_pow(x, sn_add(2, z)))
SN_MODEL(grads, opts, relu, absolute, larger, smaller, clamped, largest, truncated, power);
C
# x: 0 1 -1 1;  z: 0 1 -1 2
npy gx.npy '<f4' 4 '\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x80\xbf\x00\x00\x80\x3f'
npy gz.npy '<f4' 4 '\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x80\xbf\x00\x00\x00\x40'
gradient() { # GRAPH VALUES...: by x
  local graph=$1
  shift
  expect 0 "$SINTER" run grads.c --graph "$graph" --target "$t" --in x=gx.npy --in z=gz.npy --grad loss --wrt x,z --out grad.x=by_x.npy --out grad.z=by_z.npy
  holds by_x 16 f4 "$@"
}
check_gradients() {
  gradient relu 0 1 0 1
  gradient absolute 0 1 -1 1
  gradient larger 1 1 1 0
  holds by_z 16 f4 0 0 0 1
  gradient smaller 1 1 1 1
  gradient clamped 1 1 0 1
  gradient largest 0 0.5 0 0.5
  gradient truncated 0 0 0 0
  gradient power 0 3 1 4
  holds by_z 16 f4 0 0 0 0
}

for t in ref "$(target)"; do
  check_values
  check_gradients
done

# functions of f64 are as exact as f64 is
for call in exp exp2 expm1 log log2 log1p sin cos tanh erf gelu "softmax axis 0" "log_softmax axis 0"; do
  op=${call%% *} rest=
  [ "$op" != "$call" ] && rest=" ${call#* }"
  printf 'sinter 1\ngraph @g {\n  %%1 = input name "x" : f64[4]\n  %%2 = mul %%1, %%1 : f64[4]\n  %%3 = %s %%2%s : f64[4]\n  output "y" = %%3\n}\n' "$op" "$rest" >wide.sn
  expect 0 "$SINTER" run wide.sn --target template --check
  prints "4 elements; outputs"
  if [ "$t" = cpu ]; then expect 0 "$SINTER" run wide.sn --check; fi
done

# the interpreter names a division by zero and an index out of range; compiled code ends, and reads nothing outside
npy zeros.npy '<i4' 6 "$(for _ in $(seq 24); do printf '%s' '\x00'; done)"
expect 3 "$SINTER" run special.sn --graph ints --target ref --in a=a.npy --in b=zeros.npy
says "division by zero"
expect 0 "$SINTER" run special.sn --graph ints --target "$t" --in a=a.npy --in b=a.npy
if [ "$t" = cpu ]; then expect 0 "$SINTER" run special.sn --graph ints --in a=a.npy --in b=zeros.npy; fi
exit 0
