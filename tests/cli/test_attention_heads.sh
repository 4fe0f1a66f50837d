#!/usr/bin/env bash
# Gradients of long sequences: an instance per head where there are heads for all threads, else kernels that are spread.
# Both give the same bits, so that results do not hang on the number of threads.
. "$(dirname "$0")/common.sh"
skip_without_cpu
cd "$scratch" || exit 1

graph() { # HEADS: as many copies of one head
  local copies=%q keys=%k values=%v i
  for ((i = 1; i < $1; i++)); do copies="$copies, %q" keys="$keys, %k" values="$values, %v"; done
  local t="f32[1, 1300, $1, 64]"
  cat <<G
sinter 1
body @causal {
  %1 = arg index 0 : i32[]
  %2 = arg index 1 : i32[]
  %3 = arg index 2 : i32[]
  %4 = arg index 3 : i32[]
  %5 = le %4, %3 : bool[]
  return %5
}
graph @g {
  %q = param name "q" init "normal" a 1 : f32[1, 1300, 1, 64]
  %k = param name "k" init "normal" a 1 : f32[1, 1300, 1, 64]
  %v = param name "v" init "normal" a 1 : f32[1, 1300, 1, 64]
  %a = concat $copies axis 2 : $t
  %b = concat $keys axis 2 : $t
  %c = concat $values axis 2 : $t
  %y, %l = attention %a, %b, %c scale 0.125 mask @causal : $t, f32[1, $1, 1300]
  %z = mul %y, %y : $t
  %s = sum %z axes [0, 1, 2, 3] : f32[]
  %da, %db, %dc = grad %s, %a, %b, %c : $t, $t, $t
  %d = concat %da, %db, %dc axis 0 : f32[3, 1300, $1, 64]
  %e = slice %d start [0, 0, 0, 0] shape [3, 1300, 1, 64] : f32[3, 1300, 1, 64]
  output "d" = %e
}
G
}

graph 1 >one.sn
graph $(($(nproc) * 2)) >many.sn
for name in one many; do
  expect 0 "$SINTER" run $name.sn --target cpu --seed 3 --out d=$name.npy
  expect 0 "$SINTER" explain $name.sn --target cpu
  cp "$scratch/stdout" $name
done
cmp one.npy many.npy || die "the gradients of one head and of many have other bits"
! finds dk_dv many || die "heads for all threads: $(cat many)"
[ "$(getconf _NPROCESSORS_ONLN)" = 1 ] || finds dk_dv one || die "one head is not spread: $(cat one)"

# A run goes on on a machine with another number of cores.
! sanitized || exit 0
cat >cores.c <<'C'
#include <stdlib.h>
#include <unistd.h>
long __sysconf(int name);
long sysconf(int name) { return name == _SC_NPROCESSORS_ONLN ? atol(getenv("CORES")) : __sysconf(name); }
C
${CC:-cc} -shared -fPIC -o cores.so cores.c 2>/dev/null || { echo "skipped: the number of cores"; exit 0; }
seq 9999 >text
train() { # CORES STEPS OPTIONS...
  expect 0 env CORES=$1 LD_PRELOAD="$PWD/cores.so" "$SINTER" train "$TREE/models/gpt.c" --steps $2 --out run --data text --tokenizer char --threads 1 \
    --set layers=1 --set heads=1 --set width=64 --set context=1536 --batch 1 --eval-batches 1 --eval-every 1 --checkpoint-every 1 "${@:3}"
}
train 1 1
train 16 2 --resume
exit 0
