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
says "--ladder and --kernels: each rung has its own"
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

# ---- plan: unchanged ----------------------------------------------------------------------------------------------------
cat >two.sn <<'EOF'
sinter 1
graph @two {
  %x = input name "x" : f32[3, 16]
  %a = cumsum %x axis 0 : f32[3, 16]
  %b = cumsum %x axis 1 : f32[3, 16]
  %c = cumsum %a axis 1 : f32[3, 16]
  %d = cumsum %b axis 0 : f32[3, 16]
  %e = mul %c, %x : f32[3, 16]
  %g = sub %e, %d : f32[3, 16]
  %f = cumsum %g axis 0 : f32[3, 16]
  output "f" = %f
}
EOF
two() { # NAME ARGUMENTS: output NAME.f
  local name=$1
  shift
  expect 0 "$SINTER" run two.sn --in x=x.npy --target $best "$@" --out f="$name.f"
}
two plan
expect 0 "$SINTER" dump two.sn --emit plan --target $best
cp stdout two.txt
two plan2 --plan two.txt
says "two.txt: in place of the plan"
same plan.f plan2.f
expect 0 "$SINTER" opt two.txt
prints 'graph "two"'
expect 0 "$SINTER" inspect two.txt
prints "plan text"
expect 0 "$SINTER" bench two.sn --plan two.txt --target $best --repeat 1
expect 0 "$SINTER" explain two.sn --plan two.txt --target $best
# with kernels of the user
expect 0 "$SINTER" dump two.sn --emit kernel --target $best
cp stdout two.kernels
two plan3 --plan two.txt --kernels two.kernels
same plan.f plan3.f

# ---- plan: edits ----------------------------------------------------------------------------------------------------------
line() { grep -n "$2" "$1" | head -n 1 | cut -d: -f1; }
slot() { sed -n "s/^slot \([0-9]*\) temp \"$1[.].*/\1/p" two.txt; }
steps=$(grep -c '^  launch' two.txt)
[ "$steps" = 5 ] || die "another plan than the edits are for: $(cat two.txt)"
first=$(line two.txt '^graph "two"')
nth() { sed -n "$((first + 1 + $1))p" "${2:-two.txt}"; } # step N
# one more buffer: the last step works on a copy
last=$(nth 4)
arg=$(sed 's/.*launch [0-9]* (\([0-9]*\),.*/\1/' <<<"$last")
life=$(sed -n "s/^slot $arg temp .* life \([0-9]*\) 4$/\1/p" two.txt)
[ -n "$life" ] || die "the operand of the last step is no temporary"
slots=$(grep -c '^slot' two.txt)
sed -e "/^slot $((slots - 1)) /a slot $slots temp \"mine\" f32[3, 16] elements 48 graph 0 life 4 5" \
  -e "s/ life \([0-9]*\) 4\$/ life \1 5/" \
  -e "$((first + 5))s/^\(  launch [0-9]* (\)$arg,/  copy $arg to $slots\n\1$slots,/" two.txt >edited.txt
grep -q "^  copy $arg to $slots" edited.txt || die "no copy was put in"
two copied --plan edited.txt
same plan.f copied.f
expect 0 "$SINTER" explain two.sn --plan edited.txt --target $best --json
[ "$(grep -c '"kind":' stdout)" = 6 ] || die "the report is not that of the edited plan"
# two operands of the last step exchanged: the result is that of a graph that says so
sed -e "$((first + 5))s/(\([0-9]*\), \([0-9]*\), \([0-9]*\), write/(\3, \2, \1, write/" two.txt >edited.txt
two exchanged --plan edited.txt
differ plan.f exchanged.f
sed -e 's/mul %c, %x/mul %d, %x/' -e 's/sub %e, %d/sub %e, %c/' two.sn >other.sn
expect 0 "$SINTER" run other.sn --in x=x.npy --target $best --out f=other.f
same exchanged.f other.f

# ---- plan: refused at its line --------------------------------------------------------------------------------------------
try() { expect 3 "$SINTER" run two.sn --in x=x.npy --target $best --plan edited.txt; }
# a step before the one that makes its operand
sed -e "$((first + 1)){h;d}" -e "$((first + 5)){G}" -e 's/ life [0-9]* [0-9]*$/ life 0 4/' two.txt >edited.txt
try
says "reads what no step has written"
says "edited.txt:"
# two values alive at once in one storage
temps=$(grep -c '^slot [0-9]* temp' two.txt)
[ "$temps" -ge 2 ] || die "too few temporaries"
pair=$(sed -n "s/^slot \([0-9]*\) temp .* life \([0-9]*\) 4\$/\1/p" two.txt | tr '\n' ' ')
set -- $pair
[ $# -ge 2 ] || die "no two temporaries of the last step: $pair"
sed -e "s/^\(slot $2 temp .*\)\$/\1 alias $1/" two.txt >edited.txt
try
says "slots $1 and $2 share storage and are both alive"
says "= expected: one of them at a time"
# a life that ends too early
edit two.txt "s/^\(slot $1 temp .* life [0-9]* \)4\$/\13/"
try
refused "$((first + 5))" "plan: graph 'two', step 4: a temporary outside of its life" "" "step 4"
# less storage than the kernel writes
edit two.txt "s/^\(slot $1 temp \"[^\"]*\" \)f32\[3, 16\] elements 48/\1f32[3, 8] elements 24/"
try
says "a launch that was not planned"
says "f32[3, 8]"
edit two.txt "s/^\(slot $1 temp \"[^\"]*\" f32\[3, 16\] elements \)48/\147/"
try
refused "$(line edited.txt "^slot $1 ")" "plan: slot $1 holds fewer elements than its type" "at least 48" 47
# another grid, kernel, graph, target, dims
edit two.txt "$((first + 1))s/ grid0 [0-9]*/ grid0 99/"
try
refused "$((first + 1))" "plan: a launch that was not planned" "as in the plan of the model: launch" "launch"
edit two.txt 's/^\(code 0 [a-z]* \)"[^"]*"/\1"nothing"/'
try
refused "$(line edited.txt '^code 0')" "plan: no kernel of this name" "" nothing
edit two.txt 's/^graph "two"/graph "three"/'
try
refused "$first" "plan: a graph that the model does not have" two three
edit two.txt '1s/target "[a-z]*/target "abacus/'
try
refused 1 "plan: made for another target"
edit two.txt 's/^\(slot [0-9]* output\) "f"/\1 "g"/'
try
says "a slot that the model does not have"
edit two.txt "$((first + 3))s/launch/lunch/"
try
refused "$((first + 3))" "unexpected token" "launch, copy, check, swap, host, choose, while" lunch
edit two.txt '$d'
try
says "unexpected end"
expect 2 "$SINTER" run two.sn --in x=x.npy --target ref --plan two.txt
says "no steps to replace"
expect 2 "$SINTER" run two.sn --in x=x.npy --target $best --plan two.txt --check
says "--plan and --check"

# ---- plan: binary, without the model ----------------------------------------------------------------------------------------
expect 0 "$SINTER" build two.sn --emit plan -o two.plan --target $best
expect 0 "$SINTER" run two.plan --in x=x.npy --out f=binary.f
same plan.f binary.f
expect 0 "$SINTER" build net.sn --emit plan -o net.plan --target $best
expect 0 "$SINTER" run net.plan --in x=x.npy --seed 5 --dim B=3 --out m=binary.m
same plain.m binary.m
expect 0 "$SINTER" bench net.plan --dim B=3 --repeat 1 --profile
prints "net"
expect 2 "$SINTER" run two.plan --in x=x.npy --fuse none
says "--fuse needs the model"
expect 2 "$SINTER" run two.sn --in x=x.npy --target $best --plan two.plan
says "--plan takes a plan text"
head -c 300 two.plan >cut.plan
expect 3 "$SINTER" run cut.plan --in x=x.npy
says "cut.plan: error: not a readable plan"
expect 0 "$SINTER" build two.sn --emit plan -o ref.plan --target ref
expect 5 "$SINTER" run ref.plan --in x=x.npy
says "give the model"
