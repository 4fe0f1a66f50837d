#!/usr/bin/env bash
# Memory is refused at one request after the other: compiling, loading and steps end with a message and exit code 4 (or
# do without), never with a crash, and free all that they had. Fifteen places of each by default; SN_FAULT_EVERY=1: every one.
. "$(dirname "$0")/common.sh"
shim=$(dirname "$SINTER")/tests/libsn_fault.so
[ -e "$shim" ] || { echo "skipped: sanitized builds preload no library"; exit 77; }
cd "$scratch" || exit 1
target=$(target)
cp "$TREE/tests/cli/table.c" .
seq 3000 >text
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
  run SN_FAULT_COUNT=count -- "$@"
  [ $code = 0 ] || die "$name without a fault: exit code $code: $(cat stderr)"
  leaks "$name"
  places=$(cat count)
  [ "$places" -gt 5 ] || die "$name: only $places requests are seen"
  every=${SN_FAULT_EVERY:-$((places / 15 + 1))}
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
campaign train $train --out run --force
$train --out base --force 2>/dev/null
campaign resume $train --steps 4 --out base --resume
campaign compile "$SINTER" dump "$TREE/models/mlp.sn" --emit kernel --target "$target"
campaign explain "$SINTER" explain table.c --graph train --target "$target" --json
head -c 6 /dev/zero >zero
expect 0 "$SINTER" train "$TREE/models/gpt.c" --data text --set layers=1 --set heads=1 --set width=8 --set context=8 --batch 2 --eval-batches 1 --steps 1 --target "$target" --out gpt
campaign generate "$SINTER" generate gpt --prompt 12 --tokens 3 --target "$target"
campaign inspect "$SINTER" inspect base
exit 0
