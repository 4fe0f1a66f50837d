#!/usr/bin/env bash
# Memory is refused at one request after the other: compiling, loading and steps end with a message and exit code 4 (or
# do without), never with a crash, and free all that they had. Some places of each by default; SN_FAULT_EVERY=1: every
# one; SN_FAULT_ONLY="train run": of these commands.
. "$(dirname "$0")/common.sh"
find_shim
cd "$scratch" || exit 1
target=$(target) kernels=$(kernel_target)
cp "$TREE/tests/cli/table.c" .
seq 3000 >text
most=8
! sanitized || most=3
run() { # VARIABLE=VALUE... -- COMMAND...
  local set=()
  while [ "$1" != -- ]; do set+=("$1"); shift; done
  shift
  code=0
  (export LD_PRELOAD=$shim SN_FAULT_CALLS=memory SN_FAULT_LEAKS=leaks "${set[@]}"; exec "$@" </dev/null) >stdout 2>stderr || code=$?
}
leaks() { [ "$(head -n 1 leaks)" = 0 ] || die "$1: memory is not freed: $(head -n 5 leaks)"; }
campaign() { # NAME COMMAND...
  local name=$1 places every went=0 ended=0
  shift
  case " ${SN_FAULT_ONLY:-$name} " in *" $name "*) ;; *) return 0 ;; esac
  run SN_FAULT_COUNT=count -- "$@"
  [ $code = 0 ] || die "$name without a fault: exit code $code: $(cat stderr)"
  leaks "$name"
  places=$(cat count)
  [ "$places" -gt 3 ] || die "$name: only $places requests are seen"
  every=${SN_FAULT_EVERY:-$((places / most + 1))}
  for ((at = 1; at <= places; at += every)); do
    rm -f leaks
    run SN_FAULT_AT=$at -- "$@"
    case $code in
      0) went=$((went + 1)) ;;
      4) ended=$((ended + 1)); grep -q memory stderr || die "$name, request $at of $places: no message: $(cat stderr)" ;;
      *) die "$name, request $at of $places: exit code $code: $(cat stderr)" ;;
    esac
    leaks "$name, request $at of $places"
  done
  echo "$name: $places requests, every $every: $went went on, $ended ended with a message"
}
train="$SINTER train table.c --data text --tokenizer char --batch 2 --eval-batches 1 --eval-every 1 --checkpoint-every 1 --threads 2 --steps 2 --target $target"
expect 0 $train --out base --force
gpt="$TREE/models/gpt.c --set layers=1 --set heads=1 --set width=8 --set context=8"
tiny="--data text --batch 2 --eval-batches 1 --steps 1 --target $target"
expect 0 "$SINTER" train $gpt $tiny --out gpt
cat >square.sn <<'SN'
sinter 1
graph @g {
  %1 = param name "w" init "normal" a 1 : f32[4]
  %2 = mul %1, %1 : f32[4]
  %3 = sum %2 axes [0] : f32[]
  output "loss" = %3
}
SN
emit=exe
[ "$target" = cpu ] || emit=plan
campaign train $train --out run --force
campaign resume $train --steps 4 --out base --resume
campaign compile "$SINTER" dump "$TREE/models/mlp.sn" --emit kernel --target "$target"
campaign explain "$SINTER" explain table.c --graph train --target "$kernels" --json
campaign opt "$SINTER" opt "$TREE/models/mlp.sn"
campaign run "$SINTER" run square.sn --target "$target" --grad loss --wrt w --out loss=loss.npy --out grad.w=grad.npy
campaign check "$SINTER" run --check square.sn --target "$kernels"
campaign bisect "$SINTER" bisect square.sn --target "$target"
campaign build "$SINTER" build gpt -o built --emit $emit --target "$target"
campaign bench "$SINTER" bench square.sn --target "$kernels" --repeat 1 --json
campaign generate "$SINTER" generate gpt --prompt 12 --tokens 3 --target "$target"
campaign eval "$SINTER" eval gpt --data text --batch 2 --target "$target"
campaign distill "$SINTER" distill --teacher gpt $gpt $tiny --out small --force
campaign inspect "$SINTER" inspect base
SN_FAULT_OWN=1 campaign doctor "$SINTER" doctor
mkdir failures
campaign fuzz "$SINTER" fuzz graph --seed 3 -n 2 --target "$target" --failures failures
exit 0
