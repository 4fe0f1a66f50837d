#!/usr/bin/env bash
# Code of several feature levels in one executable, object and plan: the best that the processor offers runs, tried by
# taking features away; what it cannot run is refused, never executed; no code of a higher level comes from a cache or a
# run folder.
. "$(dirname "$0")/common.sh"
skip_without_cpu
cd "$scratch" || exit 1
best=$("$SINTER" doctor | sed -n 's/^features *//p')
case $best in baseline) echo "skipped: this processor has the lowest level only"; exit 77 ;; esac
levels="baseline avx2 avx512 avx512bf16 amx"
# without LEVEL: what takes away all above it
without() {
  case $1 in
    baseline) echo avx2 ;;
    avx2) echo avx512 ;;
    avx512) echo avx512bf16,amx ;;
    avx512bf16) echo amx ;;
    amx) echo ;;
  esac
}
# has LEVEL: does this machine run it?
has() { [ "$1" = baseline ] || case $1,$best in avx2,avx* | avx512,avx512* | avx512bf16,*avx512bf16* | amx,*amx) ;; *) false ;; esac; }
masked() { local level=$1; shift; SN_CPU_WITHOUT=$(without "$level") "$@"; }

seq 3000 >text
gpt="$TREE/models/gpt.c --set layers=1 --set heads=2 --set width=16 --set context=16"
expect 0 "$SINTER" train $gpt --data text --batch 4 --eval-batches 1 --steps 5 --out run

# ---- executables -----------------------------------------------------------------------------------------------------
expect 0 "$SINTER" build run -o all
expect 0 "$SINTER" inspect all
for level in $levels; do prints "level $level: "; done
[ "$(grep -c 'runs here' stdout)" = 1 ] || die "not one level runs here: $(cat stdout)"
expect 0 "$SINTER" inspect all --json
cp stdout all.json
python=$(command -v python3) && expect 0 "$python" -c '
import json, os, sys
f = json.load(open("all.json"))
assert list(f["levels"]) == sys.argv[1].split(), f
size = sum(x["bytes"] for x in f["levels"].values())
weights = os.path.getsize("run/model.safetensors")
rest = os.path.getsize("all") - os.path.getsize(sys.argv[2]) - size - weights
assert 0 < rest < 20000, ("weights are there more than once?", rest)' "$levels" "$(dirname "$SINTER")/sinter-run"
ask="--prompt 12 --tokens 20 --temperature 0"
for level in $levels; do
  has "$level" || continue
  expect 0 masked "$level" "$SINTER" inspect all
  grep -q "level $level: .*runs here" stdout || die "level $level is not chosen: $(cat stdout)"
  expect 0 masked "$level" ./all $ask
  cp stdout ran
  expect 0 "$SINTER" generate run $ask --isa "$level"
  cmp -s ran stdout || die "level $level writes another text: $(cat ran) instead of $(cat stdout)"
done
# one level, and a machine below it
expect 0 "$SINTER" build run --levels avx2 -o two
expect 0 ./two $ask
expect 5 masked baseline ./two $ask
says "no feature level that this processor offers"
says "avx2"
expect 0 "$SINTER" build run --isa avx2 -o single
expect 0 ./single $ask
expect 5 masked baseline ./single $ask
says "lacks avx2"
expect 0 "$SINTER" inspect single
prints "level one: "
expect 0 "$SINTER" build run --levels native -o native
expect 0 ./native $ask
# code for processors above this one is made here, and refused here
expect 0 "$SINTER" build run --levels amx,avx512 -o high
expect 5 masked avx2 ./high $ask
says "expected: avx512 or amx"
expect 0 masked baseline "$SINTER" build run -o all.low
expect 0 masked baseline ./all.low $ask
expect 2 env SN_CPU_WITHOUT=avx513 ./all $ask
says "SN_CPU_WITHOUT: no feature avx513"

# ---- options ---------------------------------------------------------------------------------------------------------
expect 2 "$SINTER" build run --levels avx2,avx3 -o x
says 'found "avx3"'
expect 2 "$SINTER" build run --levels '' -o x
says "--levels takes all, native"
expect 2 "$SINTER" build run --levels all --isa avx2 -o x
says "--levels and --isa: one of them decides"
expect 2 "$SINTER" build run --levels all --target ref -o x
says "--levels and --target"
expect 2 "$SINTER" build run --levels all --emit kernel -o x
says "--emit kernel is of one level"
expect 2 "$SINTER" run "$TREE/models/mlp.sn" --isa avx513
says "unknown feature level avx513"
[ ! -e x ] || die "a file was written"

# ---- plans -----------------------------------------------------------------------------------------------------------
cat >add.sn <<'SN'
sinter 1
graph @g {
  %1 = const value 1.5 : f32[]
  %2 = exp %1 : f32[]
  output "y" = %2
}
SN
expect 0 "$SINTER" build add.sn --emit plan --levels avx2,baseline -o add.plan
expect 0 "$SINTER" inspect add.plan
prints "plans of several levels"
prints "level baseline: "
for level in baseline avx2; do
  expect 0 masked $level "$SINTER" run add.plan
  prints "y = 4.48"
done
expect 0 "$SINTER" build add.sn --emit plan --isa avx2 -o one.plan
expect 5 masked baseline "$SINTER" run one.plan
says "lacks avx2"

# ---- objects ---------------------------------------------------------------------------------------------------------
if [ -e "$(dirname "$SINTER")/sinter-rt.o" ]; then
  expect 0 "$SINTER" build add.sn --emit obj -o add
  printf '#include <stdio.h>\n#include "add.h"\nint main(void) { add *a; float y; int code = add_open(&a, 0, 1, 1); if (!code) code = add_g(a, &y); fprintf(stderr, "%%s %%g\\n", add_error(a), code ? 0 : y); return code; }\n' >one.c
  expect 0 ${CC:-cc} -std=c17 -I. one.c add.o -o one -lm -lgomp -lpthread
  for level in $levels; do
    has "$level" || continue
    expect 0 masked "$level" ./one
    says "4.48"
  done
  expect 0 "$SINTER" build add.sn --emit obj --levels avx2 -o add
  expect 0 ${CC:-cc} -std=c17 -I. one.c add.o -o one -lm -lgomp -lpthread
  expect 5 masked baseline ./one
  says "no feature level"
fi

# ---- what was made on a higher level is not run on a lower one ---------------------------------------------------------
export XDG_CACHE_HOME=$scratch/kept
counts() { # WORD: how many kernels SN_DEBUG=kernels tells it of
  grep -c ": $1" stderr
}
expect 0 env SN_DEBUG=kernels "$SINTER" run add.sn
[ "$(counts compiled)" -gt 0 ] || die "nothing was compiled: $(cat stderr)"
expect 0 env SN_DEBUG=kernels "$SINTER" run add.sn
[ "$(counts compiled)" = 0 ] || die "the cache is not used"
expect 0 masked baseline env SN_DEBUG=kernels "$SINTER" run add.sn
[ "$(counts 'from the cache')" = 0 ] || die "code of a higher level came from the cache: $(cat stderr)"
expect 0 masked baseline env SN_DEBUG=kernels "$SINTER" run add.sn
[ "$(counts compiled)" = 0 ] || die "the cache is not used on the lower level"
# an entry that says what it needs, under the key of the lower level: refused, not run
expect 0 masked baseline "$SINTER" doctor
grep -q '^features *baseline$' stdout || die "the mask does not reach the compiler"
# the plan of a run folder is compiled again
expect 0 masked baseline "$SINTER" generate run $ask
expect 0 "$SINTER" generate run $ask
exit 0
