#!/usr/bin/env bash
# What fusion is worth on a Vulkan device, in numbers that are the same on every machine: a training step with all fused
# moves a third of the bytes of one with nothing fused, and has a quarter of its dispatches. A run has those of its plan.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1

# counts FUSE: "dispatches bytes" of the report of the training step as it is by default
counts() {
  expect 0 "$SINTER" explain "$TREE/models/gpt.c" --graph train --target vulkan --isa "$facts" --fuse "$1" --json
  awk '/"step":/ { n++; read = written = $0; sub(/.*"bytes_read": /, "", read); sub(/.*"bytes_written": /, "", written); bytes += read + written }
       END { printf "%d %.0f\n", n, bytes }' stdout
}
for facts in subgroup=8,shared=32768,threads=1024,f64,16,8,nan subgroup=32,shared=49152,threads=1024,16,8,nan,f16=16x16x16,bf16=16x16x16; do
  read -r none none_bytes <<<"$(counts none)"
  read -r all all_bytes <<<"$(counts all)"
  echo "$facts: $none dispatches and $none_bytes bytes without fusion, $all and $all_bytes with all"
  [ "$all" -gt 20 ] && [ "$all_bytes" -gt 1000000 ] || die "no counts"
  [ "$none" -ge $((4 * all)) ] || die "$none dispatches without fusion, $all with all: not a quarter"
  [ "$none_bytes" -ge $((3 * all_bytes)) ] || die "$none_bytes bytes without fusion, $all_bytes with all: not a third"
done

"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
tiny="--set layers=1 --set heads=1 --set width=8 --set context=8 --set vocab=16 --dim B=1 --dim T=8"
expect 0 "$SINTER" bench $TREE/models/gpt.c $tiny --target vulkan --repeat 1 --json --trace trace.json
planned=$(sed -n 's/.*"kernels": \([0-9]*\).*/\1/p' stdout)
runs=$(grep -c '"cat": "run"' trace.json)
ran=$(grep -c '"args": {"step":' trace.json)
[ "$runs" -gt 0 ] && [ "$ran" = $((runs * planned)) ] || die "$ran dispatches in $runs runs of a plan of $planned"
exit 0
