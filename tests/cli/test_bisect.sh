#!/usr/bin/env bash
# run --check, and bisect: a right graph has no guilty pass; in builds with SN_PLANT=ON every planted mistake is found.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
graph=$TREE/tests/cli/plants.sn
dims="--dim B=3 --dim T=53"
target=$(kernel_target)

expect 0 "$SINTER" run --check "$graph" $dims --target "$target"
prints "agrees with the interpreter"
grep -q ': [1-9][0-9]* results of kernels, [1-9]' stdout || die "nothing is compared: $(cat stdout)"
expect 0 "$SINTER" run --check "$graph" $dims --target "$target" --json
grep -q '"results": [1-9][0-9]*, "skipped": 0, "elements": [1-9]' stdout || die "no JSON: $(cat stdout)"
# what a comparison has no use for is refused, not ignored
apart() { # OPTION ARGUMENTS...
  expect 2 "$SINTER" run --check "$graph" $dims --target "$target" "$@"
  says "$1 and --check"
}
apart --init nofile
apart --grad nosuch
apart --wrt zz
apart --out "a=/nonex/x.npy"
apart --trace t.json
apart --precision bf16
apart --plan nofile
[ ! -e t.json ] || die "a refused run writes a trace"
expect 2 "$SINTER" run --check "$graph" $dims --target ref
says "no kernels to compare"
expect 0 "$SINTER" bisect "$graph" $dims --target "$target"
prints "every stage agrees"

# kernels that lost a limit: what lies around a tensor is the same in every run, not a number, and is not written
cat >row.sn <<'END'
sinter 1
dims { N: 1..64 }
graph @g {
  %x = input name "x" : f32[N]
  %y = sum %x axes [0] : f32[]
  output "y" = %y
  %z = sin %x : f32[N]
  output "z" = %z
}
END
expect 0 "$SINTER" dump row.sn --emit kernel --target "$target"
cp stdout row.kernels
expect 0 "$SINTER" run --check row.sn --dim N=5 --target "$target" --kernels row.kernels
sed '/rows_/,/^}/s/ cols<N pad 0//' row.kernels >reads.kernels
expect 6 "$SINTER" run --check row.sn --dim N=5 --target "$target" --kernels reads.kernels
grep -q 'found -*nan' stderr || die "what is read behind the end: $(cat stderr)"
sed 's/^\(  store .*\) cols<N/\1/' row.kernels >writes.kernels
expect 6 "$SINTER" run --check row.sn --dim N=5 --target "$target" --kernels writes.kernels
says "z: memory around it is written"

# the forms that are asked for are those that are compared
results() { # OPTIONS...
  expect 0 "$SINTER" run --check "$TREE/models/recurrent/ema.c" --graph eval --set layers=1 --dim B=1 --dim T=16 --target "$target" --json "$@"
  sed -n 's/.*"results": \([0-9]*\).*/\1/p' stdout
}
[ "$(results --scan sequential)" != "$(results --scan associative:4)" ] || die "run --check does not look at --scan"
expect 2 "$SINTER" run --check "$graph" $dims --target "$target" --scan nosuch
expect 2 "$SINTER" bisect "$graph" $dims --target "$target" --scan nosuch
expect 2 "$SINTER" bisect "$graph" --dim K=3 --target "$target"

# layers have parameters of their own
for case in "gpt eval" "llama train"; do
  set -- $case
  expect 0 "$SINTER" bisect "$TREE/models/$1.c" --graph "$2" --set layers=2 --set width=16 --set heads=2 --set vocab=11 --dim B=1 --dim T=5 --target "$target"
  prints "every stage agrees"
done

# lengths are drawn so that a mean by them is one of something
for seed in 4 5 6; do
  expect 0 "$SINTER" run --check "$TREE/models/t5.c" --graph eval_slots --set layers=1 --set width=8 --set heads=2 --set hidden=8 --set vocab=120 --dim B=2 --dim T=9 --dim S=9 --dim K=3 --seed $seed --target template
done

# seconds of the processor that the children of this shell had
used() { awk '{ print int(($16 + $17) / '"$(getconf CLK_TCK)"') }' /proc/$$/stat; }
planted || exit 0 # the rest needs planted mistakes
count=0
while IFS=$'\t' read -r plant kind pass rule; do
  export SN_PLANT=$plant
  start=$SECONDS before=$(used)
  expect 6 "$SINTER" bisect "$graph" $dims --target "$target" --json -o "$plant.sn"
  took=$(($(used) - before)) waited=$((SECONDS - start))
  echo "$kind ($plant): $(cat stdout)"
  prints "\"pass\": \"$pass\""
  prints "\"rule\": \"$rule\""
  ops=$(sed 's/.*"ops": \([0-9]*\).*/\1/' stdout)
  [ "$ops" -le 10 ] || [ $waited -ge 45 ] || die "$plant: $ops ops are left" # it shrinks for 45 s of the clock
  [ "$took" -le 60 ] || die "$plant: took $took s of the processor"
  options=$(sed -n 's|^// sinter run --check ||p' "$plant.sn")
  [ "$pass" = grad ] || expect 6 "$SINTER" run --check $options # the small graph is wrong as it was written
  unset SN_PLANT
  [ "$pass" = grad ] || expect 0 "$SINTER" run --check $options # and right without the mistake
  count=$((count + 1))
done <plants
enough_plants "$count"
