#!/usr/bin/env bash
# Every example of every --help does what it says: each is run, only smaller (fewer steps, graphs and runs).
. "$(dirname "$0")/common.sh"
skip_without_cpu
cd "$scratch" || exit 1
ln -s "$TREE/models" models
cp models/gpt.c student.c
for f in book.txt a.txt b.txt; do head -c 6000 "$TREE/docs/model.md" >$f; done

# what the examples call their files
cat >make.sn <<'SN'
sinter 1
graph @make {
  %1 = iota axis 1 : f32[3, 8]
  %2 = iota axis 0 : i32[3]
  %3 = iota axis 1 : i32[2, 64]
  %4 = iota axis 0 : f32[3]
  output "x" = %1
  output "y" = %2
  output "tokens" = %3
  output "x0" = %4
}
SN
expect 0 "$SINTER" run make.sn --target ref --out x=x.npy --out y=y.npy --out tokens=t.npy --out x0=seed12.x0.npy
cp t.npy u.npy
printf 'sinter 1\ndims { B: 1..9 }\ngraph @g {\n  %%1 = input name "x" : f32[B, 8]\n  %%2 = exp %%1 : f32[B, 8]\n  output "y" = %%2\n}\n' >net.sn
printf 'sinter 1\ndims { B: 1..9 }\ngraph @g {\n  %%1 = input name "x0" : f32[B]\n  %%2 = tanh %%1 : f32[B]\n  output "y" = %%2\n}\n' >seed12.sn
expect 0 "$SINTER" dump net.sn --emit kernel && cp stdout edited.kernels && cp stdout net.kernels
expect 0 "$SINTER" dump net.sn --emit plan && cp stdout edited.txt
expect 0 "$SINTER" build net.sn --emit plan -o net.plan
expect 0 ${CC:-cc} -std=c17 -fPIC -shared -DSN_PLUGIN -I"$TREE" "$TREE/backends/template/template.c" -o mine.so

# The command, smaller. Options that are given again replace.
sinter() {
  local more=()
  case $1 in
    train | distill) more=(--steps 2 --eval-batches 1 --batch 2) ;;
    generate) more=(--tokens 3) ;;
    bench) more=(--repeat 1) ;;
    tune) more=(--tune-seconds 1) ;;
    fuzz) more=(-n 1 --target template) ;;
    conformance) more=(-n 1) ;;
    recipe) set -- $(sed 's/tp[.]causal/pos.rope --quick/; s/--all --rows [a-z,]*/pos.rope/' <<<"$*") ;; # the shortest
  esac
  case "$*" in *.c | *.c\ *) more+=(--set layers=1 --set width=16 --set heads=2) ;; esac
  "$SINTER" "$@" "${more[@]}"
}
man() { cat >/dev/null; } # is not everywhere
export -f sinter man
export SINTER

count=0
for command in $("$SINTER" help | sed -n 's/^  \([a-z]\{2,\}\) .*/\1/p'); do
  "$SINTER" "$command" --help 2>/dev/null | sed -n '/^examples:/,$p' | sed 1d >examples
  while IFS= read -r example; do
    case $example in *"--out small"*) rm -rf small ;; esac
    wanted=0
    [ "$command" != reduce ] || wanted=2 # the graph is right: nothing to reduce
    expect $wanted bash -c "$example"
    case $example in *--force*) expect 0 bash -c "sinter train models/gpt.c --out run --force" ;; esac # bytes again
    count=$((count + 1))
  done <examples
done
[ $count -ge 37 ] || die "only $count examples"
