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
exit 0
