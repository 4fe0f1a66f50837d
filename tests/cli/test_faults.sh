#!/usr/bin/env bash
# A call to the system fails, is cut short, or is the last one before a kill, at one place after the other of a training
# run with checkpoints: the run says what happened, nothing crashes, and a resumed run ends with the same bits.
# Some places by default; SN_FAULT_EVERY=1: every one; SN_FAULT_WAYS="half on": of these ways.
. "$(dirname "$0")/common.sh"
find_shim
cd "$scratch" || exit 1
target=$(target)
cp "$TREE/tests/cli/table.c" .
seq 3000 >text
train() { # STEPS more...
  local steps=$1
  shift
  "$SINTER" train table.c --data text --tokenizer char --batch 2 --eval-batches 1 --eval-every 2 --checkpoint-every 1 --threads 1 --target "$target" \
    --steps "$steps" --out run_folder "$@" </dev/null
}
run() { # STEPS VARIABLE=VALUE... -- more...: the faulty run, its code in $code
  local steps=$1 set=()
  shift
  while [ "$1" != -- ]; do set+=("$1"); shift; done
  shift
  code=0
  (export LD_PRELOAD=$shim SN_FAULT_CALLS=all SN_FAULT_PATH=run_folder "${set[@]}"; train "$steps" "$@") >stdout 2>stderr || code=$?
}
expect 0 train 4
mv run_folder whole
expect 0 train 2
mv run_folder two

start() { # fresh|resumed
  rm -rf run_folder
  if [ "$1" = resumed ]; then cp -r two run_folder; more=--resume; else more=--force; fi
}
again() { # fresh|resumed PLACE: a run without faults ends as if nothing had happened
  local how=--resume
  [ -d run_folder ] || how=--force
  expect 0 train 4 $how
  cmp -s whole/model.safetensors run_folder/model.safetensors || die "$2: other weights"
  diff <(sed 's/"tokens_per_s".*//' whole/metrics.jsonl) <(sed 's/"tokens_per_s".*//' run_folder/metrics.jsonl) >&2 || die "$2: other losses"
  [ -z "$(find run_folder -name '*.tmp-*')" ] || die "$2: files are left over"
}

every=${SN_FAULT_EVERY:-67}
ways=${SN_FAULT_WAYS:-error:ENOSPC error:EIO again short before half after on} # on: the disk stays full, or broken
trials=0 survived=0 reported=0 killed=0
for from in fresh resumed; do
  start $from
  run 4 SN_FAULT_COUNT=count -- $more
  [ $code = 0 ] || die "without a fault: exit code $code: $(cat stderr)"
  places=$(cat count)
  [ "$places" -gt 80 ] || die "only $places calls are seen"
  offset=0
  for way in $ways; do
    [ $way = on ] && continue
    offset=$((offset + 1))
    for ((at = 1 + (offset * 9 - 9) % every; at <= places; at += every)); do
      where="$from run, $way at call $at of $places"
      start $from
      run 4 SN_FAULT_AT=$at SN_FAULT_HOW=${way%:*} SN_FAULT_ERRNO=${way#*:} -- $more
      trials=$((trials + 1))
      case $way:$code in
        again:0 | short:0 | error:*:0) survived=$((survived + 1)) ;;
        before:137 | half:137 | after:137) killed=$((killed + 1)) ;;
        error:*:[1-4] | again:[1-4] | short:[1-4])
          reported=$((reported + 1))
          grep -q run_folder stderr || die "$where: the message names no path: $(cat stderr)"
          ;;
        *) die "$where: exit code $code: $(cat stderr)" ;;
      esac
      again $from "$where"
    done
  done
  for ((at = 1; at <= places; at += every)); do
    case " $ways " in *" on "*) ;; *) break ;; esac
    for error in ENOSPC EIO; do
      where="$from run, $error from call $at of $places on"
      start $from
      run 4 SN_FAULT_AT=$at SN_FAULT_LAST=1000000 SN_FAULT_ERRNO=$error -- $more
      trials=$((trials + 1))
      case $code in
        0) survived=$((survived + 1)) ;; # only the last calls, which tidy up
        [1-4]) reported=$((reported + 1)); grep -q run_folder stderr || die "$where: the message names no path: $(cat stderr)" ;;
        *) die "$where: exit code $code: $(cat stderr)" ;;
      esac
      again $from "$where"
    done
  done
done
echo "$trials trials: $survived went on, $reported ended with a message, $killed were killed"

# ---- clocks that jump ------------------------------------------------------------------------------------------------
for jump in 86400 1e9; do
  start fresh
  run 4 SN_FAULT_CALLS=none SN_FAULT_CLOCK=$jump -- --json
  [ $code = 0 ] || die "clocks that jump: exit code $code: $(cat stderr)"
  again fresh "clocks that jump by $jump s"
  grep -qiE 'nan|inf' stdout run_folder/metrics.jsonl && die "clocks that jump by $jump s: $(cat stdout)"
done
exit 0
