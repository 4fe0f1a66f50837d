#!/usr/bin/env bash
# Killed at random moments and resumed, the run ends with the same bits; signals stop it cleanly; threads and the cache change nothing.
. "$(dirname "$0")/common.sh"
gpt="$TREE/models/gpt.c"
target=$(target)
steps=60
[ "$target" = cpu ] || steps=20 # the interpreter is slow
steps=${SN_RESUME_STEPS:-$steps}
cat "$TREE"/ir/base/*.c > "$scratch/text"
train() { # OUT more...
  local out=$1
  shift
  "$SINTER" train "$gpt" --data "$scratch/text" --set layers=1 --set heads=2 --set width=16 --set context=16 --set dropout=0.1 --batch 4 --eval-batches 1 \
    --target "$target" --steps "$steps" --eval-every 20 --checkpoint-every 2 --out "$scratch/$out" "$@" </dev/null
}
same() { cmp -s "$scratch/$1/model.safetensors" "$scratch/$2/model.safetensors" || die "$2: other weights than $1 ($3)"; }

expect 0 train whole
for n in 1 2 3; do
  expect 0 train "threads$n" --threads "$n" --force
  same whole "threads$n" "$n threads"
  cmp -s "$scratch/whole/metrics.jsonl" "$scratch/threads$n/metrics.jsonl" ||
    diff <(sed 's/"tokens_per_s".*//' "$scratch/whole/metrics.jsonl") <(sed 's/"tokens_per_s".*//' "$scratch/threads$n/metrics.jsonl") >&2 || die "losses depend on the threads"
done
expect 0 train nocache --no-cache
same whole nocache "without the cache"

# kill -9, anywhere between the start and the end of the run, whose length is learned; SN_KILLS=200 for a campaign
kills=20
! sanitized || kills=6
kills=${SN_KILLS:-$kills} met=0
began=$(date +%s%N)
expect 0 train killed --force
whole_ms=$((($(date +%s%N) - began) / 1000000))
for i in $(seq "$kills"); do
  rm -rf "$scratch/killed"
  delay=$(awk -v seed="$i$RANDOM" -v most=$whole_ms 'BEGIN { srand(seed); printf "%.3f", 0.01 + rand() * most / 1000 }')
  train killed --force >/dev/null 2>&1 &
  pid=$!
  sleep "$delay"
  run=$(pgrep -P $pid)
  if [ -n "$run" ] && kill -9 $run 2>/dev/null; then met=$((met + 1)) whole_ms=$((whole_ms * 21 / 20)); else whole_ms=$((whole_ms * 3 / 4 + 20)); fi
  wait $pid 2>/dev/null
  if [ -d "$scratch/killed" ]; then resume=--resume; else resume=--force; fi
  expect 0 train killed $resume
  same whole killed "kill -9 after $delay s"
done
echo "kill -9: $met of $kills met the run; every one went on to the same bits"
[ $((met * 4)) -ge "$kills" ] || die "only $met of $kills kills met a run"

# a damaged newest checkpoint: the one before is used, and that is said
cp -r "$scratch/whole" "$scratch/damaged"
newest=$(ls "$scratch"/damaged/checkpoints/*.ckpt | tail -n 1)
head -c 200 "$newest" > "$newest.cut" && mv "$newest.cut" "$newest"
expect 0 train damaged --resume
says "skipped"
same whole damaged "damaged checkpoint"

# none is whole: the trained weights are not overwritten by a new start
for f in "$scratch"/damaged/checkpoints/*.ckpt; do printf 'hostile' | dd of="$f" bs=1 seek=150 conv=notrunc 2>/dev/null; done
cp "$scratch/damaged/model.safetensors" "$scratch/before"
expect 3 train damaged --resume
says "no checkpoint is whole"
cmp -s "$scratch/before" "$scratch/damaged/model.safetensors" || die "a refused --resume changed the weights"

# another run's checkpoint
cp -r "$scratch/whole" "$scratch/other"
expect 3 "$SINTER" train "$gpt" --data "$scratch/text" --set layers=1 --set heads=2 --set width=32 --set context=16 --batch 4 --target "$target" --steps 5 \
  --out "$scratch/other" --resume
says "width"

# SIGINT and SIGTERM: checkpoint, exit 7, go on
steps=100000
for signal in INT TERM; do
  rm -rf "$scratch/signal"
  train signal --force > "$scratch/stdout" 2> "$scratch/stderr" &
  pid=$!
  for _ in $(seq 12000); do ls "$scratch/signal/checkpoints/"*.ckpt >/dev/null 2>&1 && break; sleep 0.05; done
  kill -$signal $(pgrep -P $pid)
  wait $pid
  code=$?
  [ $code = 7 ] || die "SIG$signal: exit code $code instead of 7: $(cat "$scratch/stderr")"
  says "--resume"
done

# two runs in one folder
train locked --force >/dev/null 2>&1 &
pid=$!
for _ in $(seq 12000); do ls "$scratch/locked/checkpoints/"*.ckpt >/dev/null 2>&1 && break; sleep 0.05; done
expect 1 train locked --resume
says "another"
kill -9 $(pgrep -P $pid) $pid 2>/dev/null
wait $pid 2>/dev/null
exit 0
