#!/usr/bin/env bash
# A recurrent model trains on a Vulkan device, in chunks side by side, and on what it has learnt the host agrees. Few and small
# kernels: Mesa's driver for processors compiles each of them when it is first launched, one after the other.
. "$(dirname "$0")/common.sh"
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
cd "$scratch" || exit 1
yes 'the quick brown fox jumps over the lazy dog, ' | head -n 300 | tr -d '\n' >text
data="--data text --tokenizer char --eval-batches 1 --batch 2"
retnet="$TREE/models/recurrent/retnet.c --set layers=1 --set heads=2 --set width=16 --set key=8 --set context=32"
loss() { grep -o '"val_loss": [0-9.]*' "$1/metrics.jsonl" | tail -n 1 | cut -d' ' -f2; }

expect 0 "$SINTER" explain $retnet --graph train --target vulkan --dim B=2 --dim T=32
prints "chunked: 16 steps a chunk, of which one state is kept"
grep -q 'in turn' stdout && die "one instance walks the chunks of a head on a device: $(cat stdout)"
expect 0 "$SINTER" train $retnet $data --steps 4 --lr 1e-2 --target vulkan --out device
expect 0 "$SINTER" train $retnet $data --steps 4 --lr 1e-2 --target "$(kernel_target)" --out host
cmp -s device/model.safetensors host/model.safetensors && die "the device's bits are the host's: it was not used"
awk -v a="$(loss device)" -v b="$(loss host)" 'BEGIN { d = a - b; exit !(a > 0 && d < 1e-3 && d > -1e-3) }' ||
  die "loss $(loss device) on the device, $(loss host) on the host"
