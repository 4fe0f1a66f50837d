#!/usr/bin/env bash
# Random graphs by hand, and reducing one that fails.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1

expect 0 "$SINTER" fuzz graph -n 12 --target template --seed 3
prints "12 graphs"
prints "failed 0"
expect 0 "$SINTER" fuzz graph -n 3 --target template --each-pass --json
for pass in attention canon fold cse dce fuse order memory simplify math; do prints "\"disabled\": \"$pass\""; done
expect 2 "$SINTER" fuzz graph -n 1 --target template --disable grad
expect 2 "$SINTER" fuzz tensors
says "there is graph"

# A graph that agrees is not reduced. One that reads beyond a table fails on every target in its own way.
cat >right.sn <<'TEXT'
sinter 1
graph @g {
  %1 = input name "x" : f32[3]
  %2 = exp %1 : f32[3]
  output "y" = %2
}
TEXT
expect 2 "$SINTER" reduce right.sn --target template
says "agrees with the interpreter"
cat >wrong.sn <<'TEXT'
sinter 1
graph @g {
  %1 = input name "x" : f32[5, 4]
  %2 = input name "i" : i32[3]
  %3 = exp %1 : f32[5, 4]
  %4 = gather %3, %2 : f32[3, 4]
  %5 = tanh %4 : f32[3, 4]
  %6 = sum %5 axes [1] : f32[3]
  output "y" = %6
  output "z" = %3
}
TEXT
{ printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }"
  printf '\x01\x00\x00\x00\x09\x00\x00\x00\x02\x00\x00\x00'; } >i.npy
expect 0 "$SINTER" reduce wrong.sn --in i=i.npy --target template -o small.sn
prints "1 of 4 ops"
grep -q "gather" small.sn || die "the gather is gone: $(cat small.sn)"
grep -q "sinter run --check small.sn" small.sn || die "the command is missing: $(cat small.sn)"
