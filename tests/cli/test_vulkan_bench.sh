#!/usr/bin/env bash
# ./dev bench vulkan at its smallest: a row of every kind has a figure, by the device's clock.
. "$(dirname "$0")/common.sh"
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
cd "$scratch" || exit 1
bench="$TREE/tests/bench/vulkan.sh $(dirname "$SINTER") --small --repeat 1 --json rows.json"
rows='elementwise: neg f32|softmax f32, 1365|bf16 256 x 256 .nk|bf16 cube128,|dispatches|one token: bf16'
expect 0 $bench --seconds 600 --only "$rows"
[ "$(grep -c '"group"' rows.json)" = 10 ] || die "not every row has a figure: $(cat rows.json)"
! grep '"error"' rows.json || die "rows without a figure"
prints "GB/s by a kernel; the faster is 100 %"
prints "weights read once"
prints "thin_"
if command -v python3 >/dev/null; then
  python3 -c 'import json; d = json.load(open("rows.json")); assert d["copy_gb_s"] > 0 and all(r["ms"] > 0 and r["value"] > 0 for r in d["rows"])' || die "rows.json: $(cat rows.json)"
fi
expect 2 $bench --smal
expect 1 $bench --only 'softmax f32, 1365' --seconds 0.001
prints "not done in 0.001 s"
exit 0
