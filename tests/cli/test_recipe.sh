#!/usr/bin/env bash
# --resume goes on with what the run was started with; what differs is refused or announced; data that changes is noticed.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
target=$(target)
cp "$TREE/tests/cli/table.c" .
seq 3000 >one.txt
seq 5000 8000 >two.txt
same() { cmp -s "$1/model.safetensors" "$2/model.safetensors" || die "$2: other weights than $1"; }
options="--data one.txt two.txt --tokenizer char --set spread=0.1 --set context=6 --batch 3 --lr 2.5 --seed 9 --val-fraction 0.2 --eval-batches 3 --eval-every 4 --checkpoint-every 2 --target $target"
expect 0 "$SINTER" train table.c $options --steps 12 --out whole

# ---- everything is restored, from another folder, too ----------------------------------------------------------------
expect 0 "$SINTER" train table.c $options --steps 8 --out part
mkdir elsewhere && cd elsewhere
expect 0 "$SINTER" train ../table.c --out ../part --resume --steps 12
says "going on with --steps 12 instead of 8"
says "going on at step 8"
cd ..
same whole part
diff <(sed 's/"tokens_per_s".*//' whole/metrics.jsonl) <(sed 's/"tokens_per_s".*//' part/metrics.jsonl) >&2 || die "other losses"
diff <(tr , '\n' <whole/run.json) <(tr , '\n' <part/run.json) >&2 || die "the run is described in another way"
# the same values in other words are no conflict
expect 0 "$SINTER" train table.c --out part --resume --lr 2.50 --seed 9 --set context=6 --data one.txt two.txt
# a run that was killed before its first checkpoint starts with the same
expect 0 "$SINTER" train table.c $options --steps 12 --init whole --out early
cp -r early late
rm -r late/checkpoints late/model.safetensors
expect 0 "$SINTER" train table.c --out late --resume
same early late

# ---- what differs is refused -----------------------------------------------------------------------------------------
refuses() { # OPTION EXPECTED FOUND ARGUMENTS...
  local option=$1 expected=$2 found=$3
  shift 3
  expect 3 "$SINTER" train table.c --out part --resume "$@"
  says "$option differs from what the run was started with"
  says "expected: $expected"
  says "found:    $found"
}
refuses --lr 2.5 2 --lr 2
refuses --batch 3 4 --batch 4
refuses --seed 9 8 --seed 8
refuses --val-fraction 0.2 0.1 --val-fraction 0.1
refuses --tokenizer char byte --tokenizer byte
refuses --set context=6 context=7 --set context=7
refuses --set "the model's own value" vocab=256 --set vocab=256
refuses --fuse "not given" none --fuse none
refuses --data "2 files" 1 --data one.txt
cp whole/model.safetensors weights.safetensors
expect 0 "$SINTER" train table.c --out part --resume --eval-every 3
says "going on with --eval-every 3 instead of 4"
# the checkpoint itself knows, when run.json is gone
cp -r part bare
rm bare/run.json
expect 3 "$SINTER" train table.c $options --lr 3 --steps 12 --out bare --resume
says "--lr differs"
expect 0 "$SINTER" train table.c $options --steps 12 --out bare --resume
same whole bare
# a damaged description
echo '{' >bare/run.json
expect 3 "$SINTER" train table.c --out bare --resume
says "run.json"

# ---- data that changed between runs ------------------------------------------------------------------------------------
cp two.txt kept.txt
sed -i '1s/5/6/' two.txt
expect 3 "$SINTER" train table.c --out part --resume
says "two.txt: error: the data is not what the run was started with"
echo more >>two.txt
expect 3 "$SINTER" train table.c --out part --resume
says "bytes with hash"
rm two.txt
expect 3 "$SINTER" train table.c --out part --resume
says "two.txt"
expect 0 "$SINTER" train table.c --out part --resume --data one.txt kept.txt # moved
mv kept.txt two.txt

# ---- data that changes during the run ----------------------------------------------------------------------------------
newest() { ls "$1"/checkpoints/*.ckpt 2>/dev/null | tail -n 1; }
start() { # until there is a checkpoint; a run that would take hours
  rm -rf run
  "$SINTER" train table.c --data one.txt two.txt --batch 2 --steps 1000000000 --eval-every 100000000 --eval-batches 1 --checkpoint-every 50 \
    --target "$target" --out run >stdout 2>stderr </dev/null &
  pid=$!
  for _ in $(seq 30000); do [ -n "$(newest run)" ] && return; sleep 0.02; done
  die "no checkpoint: $(cat stderr)"
}
stops() { # TEXT
  local code=0
  wait $pid || code=$?
  [ $code = 3 ] || die "exit code $code instead of 3: $(cat stderr)"
  says "$1"
}
cp two.txt kept.txt
for change in overwritten truncated; do
  start
  case $change in
    overwritten) sed 's/7/1/' kept.txt | dd of=two.txt conv=notrunc status=none ;; # the same inode, always of its size
    truncated) : >two.txt ;;
  esac
  stops two.txt
  says "--resume"
  expect 3 "$SINTER" train table.c --out run --resume
  cp kept.txt two.txt
  step=$(newest run | sed 's/.*step-0*\([0-9]*\).ckpt/\1/')
  expect 0 "$SINTER" train table.c --out run --resume --steps $((step + 7))
  says "going on at step $step"
  expect 0 "$SINTER" train table.c --data one.txt two.txt --batch 2 --steps $((step + 7)) --eval-every 100000000 --eval-batches 1 --checkpoint-every 1000000 \
    --target "$target" --out undisturbed --force
  same undisturbed run
done
# touched, or replaced by another file: nothing changed for the run
start
touch two.txt
sed 's/7/1/' kept.txt >other.txt && mv other.txt two.txt
first=$(newest run)
for _ in $(seq 30000); do [ "$(newest run)" != "$first" ] && break; sleep 0.02; done
sleep 0.1
kill -INT $pid
code=0
wait $pid || code=$?
[ $code = 7 ] || die "exit code $code instead of 7: $(cat stderr)"
exit 0
