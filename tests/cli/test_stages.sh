#!/usr/bin/env bash
# Every stage is printed, edited and fed back: unchanged it gives the same bits, an edit changes the result accordingly,
# and a bad edit is refused at its line.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
best=cpu
[ "$(target)" = cpu ] || best=template
cat >net.sn <<'EOF'
sinter 1
dims { B: 1..40 }

graph @net {
  %x = input name "x" : f32[B, 16]
  %w = param name "w" init "normal" a 0.1 : f32[16, 4]
  %y = contract %x, %w spec "bi,ij->bj" : f32[B, 4]
  %t = tanh %y : f32[B, 4]
  %s = softmax %t axis 1 : f32[B, 4]
  %c = const value 3 : f32[]
  %d = broadcast %c shape [B, 4] axes [] : f32[B, 4]
  %m = mul %s, %d : f32[B, 4]
  output "t" = %t
  output "m" = %m
}
EOF
# npy FILE ROWS: rows of 16 different floats
npy() {
  printf '\x93NUMPY\x01\x00\x46\x00%-69s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ($2, 16), }" >"$1"
  for ((i = 0; i < $2 * 16; i++)); do printf "\\x0$((i % 7))\\x0$((i % 10))\\x$((80 + i % 10))\\x3f"; done >>"$1"
}
npy x.npy 3
run() { # NAME ARGUMENTS: outputs NAME.t and NAME.m
  local name=$1
  shift
  expect 0 "$SINTER" run net.sn --in x=x.npy --seed 5 --target $best "$@" --out t="$name.t" --out m="$name.m"
}
same() { cmp -s "$1" "$2" || die "$1 and $2 differ"; }
differ() { ! cmp -s "$1" "$2" || die "$1 and $2 are equal"; }
# edit FILE SED: an edited copy, edited.txt; it must differ
edit() {
  sed -e "$2" "$1" >edited.txt
  ! cmp -s "$1" edited.txt || die "the edit $2 does nothing"
}
# refused LINE MESSAGE [EXPECTED FOUND]: the last expect named this line of edited.txt
refused() {
  says "edited.txt:$1:"
  says "error: $2"
  [ $# -lt 3 ] || { says "expected: $3" && says "found:    $4"; }
}
run plain

# ---- kernels: unchanged --------------------------------------------------------------------------------------------
expect 0 "$SINTER" dump net.sn --emit kernel --target $best
cp stdout net.kernels
grep -q '^kernel ' net.kernels || die "no kernels"
run again --kernels net.kernels
says "no kernel differs"
same plain.t again.t
same plain.m again.m
expect 0 "$SINTER" opt net.kernels
same stdout net.kernels
expect 0 "$SINTER" inspect net.kernels
prints "kernel text"

# ---- kernels: an edit changes what it says --------------------------------------------------------------------------
rows=$(sed -n 's/^kernel \(rows[a-z_0-9]*\)(.*/\1/p' net.kernels | head -n 1)
[ -n "$rows" ] || die "no kernel of kind rows"
edit net.kernels 's/\(= mul %[0-9]*\), 3 :/\1, 5 :/'
run five --kernels edited.txt
says "in place of the lowered kernels: $rows"
same plain.t five.t
differ plain.m five.m
sed 's/const value 3/const value 5/' net.sn >five.sn
expect 0 "$SINTER" run five.sn --in x=x.npy --seed 5 --target $best --out m=five.sn.m
same five.m five.sn.m
run plain2 # the cache of code does not mix them up
same plain.m plain2.m
expect 0 "$SINTER" explain net.sn --kernels edited.txt --target $best
[ "$(grep -c '(yours)' stdout)" = 1 ] || die "explain does not mark the edited kernel"
expect 0 "$SINTER" explain net.sn --kernels edited.txt --target $best --json
[ "$(grep -c '"edited": true' stdout)" = 1 ] || die "explain --json does not mark the edited kernel"
expect 0 "$SINTER" bench net.sn --graph net --kernels edited.txt --target $best --repeat 1
says "in place of the lowered kernels: $rows"
expect 2 "$SINTER" bench net.sn --graph net --kernels edited.txt --target $best --ladder
says "--ladder and --kernels"
expect 0 "$SINTER" dump net.sn --emit kernel --kernels edited.txt --target $best
same stdout edited.txt
expect 0 "$SINTER" build net.sn --emit plan -o edited.plan --kernels edited.txt --target $best
expect 0 "$SINTER" build net.sn --emit plan -o plain.plan --target $best
differ edited.plan plain.plan
# the interpreter finds the edit
expect 6 "$SINTER" run net.sn --in x=x.npy --target $best --kernels edited.txt --check
says "differs from the interpreter"

# an elementary function is expanded for the code generator; other tiles give the kernel another grid
cat >map.sn <<'EOF'
sinter 1
dims { N: 1..4096 }
graph @map {
  %x = input name "x" : f32[N]
  %y = neg %x : f32[N]
  output "y" = %y
}
EOF
expect 0 "$SINTER" dump map.sn --emit kernel --target $best
name=$(sed -n 's/^kernel \([a-z_0-9]*\)(.*/\1/p' stdout)
cat >edited.txt <<EOF
// 8 elements an instance
kernel $name(b0: in f32, b1: out f32, N: size 1..4096) grid((N + 7)/8) {
  %1 = load b0[g0*8 : 0, 1] cols<N - g0*8 pad 0 : f32[1,8]
  %2 = exp %1 : f32[1,8]
  store b1[g0*8 : 0, 1] cols<N - g0*8, %2
}
EOF
grep -q "(b0: in f32, b1: out f32, N: size 1..4096)" stdout || die "the map kernel has other parameters: $(cat stdout)"
printf '\x93NUMPY\x01\x00\x46\x00%-69s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (48,), }" >v.npy
tail -c 192 x.npy >>v.npy
sed 's/neg %x/exp %x/' map.sn >exp.sn
expect 0 "$SINTER" run map.sn --in x=v.npy --target $best --kernels edited.txt --out y=edited.y
expect 0 "$SINTER" run exp.sn --in x=v.npy --target $best --out y=exp.y
same edited.y exp.y

# ---- kernels: refused at their line -------------------------------------------------------------------------------------
try() { expect 3 "$SINTER" run net.sn --in x=x.npy --target $best --kernels edited.txt; }
at() { grep -n "$1" edited.txt | head -n 1 | cut -d: -f1; }
edit net.kernels "s/^kernel $rows(/kernel nothing(/"
try
refused "$(at '^kernel nothing')" "no kernel of this name was lowered" "" nothing
edit net.kernels "/^kernel $rows(/s/B: size 1..40/B: size 1..41/"
try
refused "$(at '1[.][.]41')" "kernel $rows has other parameters than the one it replaces" "(" "("
edit net.kernels "/^kernel $rows(/s/: out f32/: inout f32/"
try
refused "$(at ': inout f32')" "kernel $rows has other parameters"
edit net.kernels 's/\(= mul %[0-9]*\), 3 : f32/\1, 3 : i32/'
try
refused "$(at ', 3 : i32')" "kernel $rows: the element type of an operand" i32 ""
edit net.kernels 's/= mul \(%[0-9]*\), 3 :/= mul %999, 3 :/'
try
refused "$(at '%999')" "%999 is not defined"
edit net.kernels 's/= mul \(%[0-9]*\), 3 :/= mull \1, 3 :/'
try
refused "$(at '= mull')" 'unknown operation `mull`'
edit net.kernels '$d'
sed -i '$d' edited.txt
try
says "unexpected end"
cat net.kernels net.kernels >edited.txt
try
refused "$(grep -n '^kernel ' edited.txt | cut -d: -f1 | sed -n "$(($(grep -c '^kernel ' net.kernels) + 1))p")" "kernel $(sed -n 's/^kernel \([a-z_0-9]*\).*/\1/p' net.kernels | head -n 1) was given before"
: >edited.txt
try
edit net.kernels 's/= rmax \(%[0-9]*\) axis 1/= rmax \1 axis 2/'
expect 3 "$SINTER" opt edited.txt
refused "$(at 'axis 2')" "axis is 0 or 1"
expect 3 "$SINTER" run net.sn --in x=x.npy --target $best --kernels missing.txt
expect 2 "$SINTER" run net.sn --in x=x.npy --target ref --kernels net.kernels
says "no kernels to replace"
