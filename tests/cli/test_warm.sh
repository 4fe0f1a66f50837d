#!/usr/bin/env bash
# LLVM is loaded when a kernel must be compiled, and only then: a build that finds all code in the cache gives the same bytes without it.
. "$(dirname "$0")/common.sh"
skip_without_cpu
export XDG_CACHE_HOME=$scratch/cache # its own: empty at first
small="--set layers=1 --set heads=2 --set width=16 --set context=16"

# build NAME OPTIONS: NAME.plan; what the loader opened meanwhile is on stderr
build() {
  local name=$1
  shift
  expect 0 env LD_DEBUG=files "$SINTER" build "$TREE/models/gpt.c" $small --graph train --emit plan "$@" -o "$scratch/$name.plan"
}
loaded() { finds 'libLLVM' "$scratch/stderr"; }

build cold
finds 'libc\.so' "$scratch/stderr" || { echo "skipped: this loader does not tell what it loads"; exit 77; }
loaded || die "kernels were compiled, and LLVM was not loaded"
build warm
loaded && die "LLVM was loaded though all kernels are in the cache"
cmp -s "$scratch/cold.plan" "$scratch/warm.plan" || die "code from the cache is other code"
build lower --isa baseline
loaded || die "code of another feature level came from the cache"
build other --set width=32
loaded || die "kernels of other extents came from the cache"
for command in help "inspect $scratch/cold.plan"; do
  expect 0 env LD_DEBUG=files "$SINTER" $command
  loaded && die "sinter $command loads LLVM"
done
# A plan that was made before comes whole from the cache; what decides about it is in its key; what is damaged is made anew.
store=$scratch/cache/sinter
entries() { find "$store" -name "*.$1" | wc -l; }
same() { cmp -s "$scratch/cold.plan" "$scratch/$1.plan" || die "the plan of $1 is another one"; }
rm "$store"/*.plan "$store"/*.code
build cold
[ "$(entries plan)" = 1 ] || die "not one plan is in the cache: $(ls "$store")"
expect 0 "$SINTER" inspect "$store"/*.plan
prints "cached plan"
mkdir "$scratch/code" && mv "$store"/*.code "$scratch/code"
build whole
loaded && die "the plan was made again though it is in the cache"
same whole
[ "$(entries code)" = 0 ] || die "kernels were compiled for a plan that is in the cache"
mv "$scratch/code"/* "$store"
for bytes in 40 2000; do # cut off; one byte is another one
  cp "$store"/*.plan "$scratch/sound"
  head -c "$bytes" "$scratch/sound" >"$(echo "$store"/*.plan)"
  [ "$bytes" = 40 ] || { printf '\377'; tail -c +"$((bytes + 2))" "$scratch/sound"; } >>"$(echo "$store"/*.plan)"
  build damaged
  same damaged
  cmp -s "$store"/*.plan "$scratch/sound" || die "the damaged plan was not replaced"
done
for change in "--precision bf16" "--isa baseline" "--set width=24" "--trainable h.0.attn*"; do
  before=$(entries plan)
  expect 0 "$SINTER" build "$TREE/models/gpt.c" $small --graph train --emit plan $change -o "$scratch/change.plan"
  cmp -s "$scratch/cold.plan" "$scratch/change.plan" && die "$change: the plan without it"
  [ "$(entries plan)" = $((before + 1)) ] || die "$change is no part of the key"
done
expect 0 env SN_DEBUG=passes "$SINTER" build "$TREE/models/gpt.c" $small --graph train --emit plan -o "$scratch/passes.plan"
says "passes: fuse"
same passes
expect 0 "$SINTER" build "$TREE/models/gpt.c" $small --graph train --emit plan --no-cache -o "$scratch/none.plan"
same none
exit 0
