#!/usr/bin/env bash
# Training, distilling, generating, measuring and executables on a Vulkan device. What the curves may differ by is in
# tests/compile/test_curve.c.
. "$(dirname "$0")/common.sh"
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
cd "$scratch" || exit 1
cp "$TREE/tests/cli/table.c" .
yes 'the quick brown fox jumps over the lazy dog, ' | head -n 300 | tr -d '\n' >text
gpt="$TREE/models/gpt.c --set layers=1 --set heads=2 --set width=32 --set context=32"
data="--data text --tokenizer char --eval-batches 1"
host="--target $(kernel_target)"

# a model that has learnt some words: 64 greedy tokens, far beyond the context
steps=60
[ "$(target)" = cpu ] || steps=2
expect 0 "$SINTER" train $gpt $data --batch 8 --steps $steps --lr 1e-2 $host --out gpt
expect 0 "$SINTER" generate gpt --prompt 'the q' --tokens 64 --temperature 0 $host
cp stdout tokens
[ $steps = 2 ] || [ "$(fold -w 1 tokens | sort -u | wc -l)" -ge 8 ] || die "tokens that say nothing: $(cat tokens)"
expect 0 "$SINTER" generate gpt --prompt 'the q' --tokens 64 --temperature 0 --target vulkan
cmp -s stdout tokens || die "greedy tokens differ: $(cat stdout) on the device, $(cat tokens) on the host"
expect 0 "$SINTER" eval gpt --data text --batch 8 --target vulkan

# training on the device, and after a stop the same bits
small="$TREE/models/gpt.c --set layers=1 --set heads=2 --set width=16 --set context=16"
expect 0 "$SINTER" train $small $data --batch 2 --steps 4 --checkpoint-every 2 --target vulkan --out whole
cp -r whole part
rm part/checkpoints/step-00000004.ckpt
expect 0 "$SINTER" train $small --out part --resume --target vulkan
says "going on at step 2"
cmp -s whole/model.safetensors part/model.safetensors || die "a resumed run gives other bits on the device"
expect 0 "$SINTER" train $small $data --batch 2 --steps 4 $host --out host
cmp -s whole/model.safetensors host/model.safetensors && die "the device's bits are the host's: it was not used"

# a student of the model, on the device
kd="distill table.c --teacher gpt --data text --batch 2 --steps 4 --eval-batches 1 --checkpoint-every 2 --target vulkan"
expect 0 "$SINTER" $kd --out student --json
grep -q '"kd": [0-9.]*' stdout || die "no kd in $(cat stdout)"
cp -r student again
rm again/checkpoints/step-00000004.ckpt
expect 0 "$SINTER" distill table.c --out again --resume --target vulkan
cmp -s student/model.safetensors again/model.safetensors || die "a resumed distillation gives other bits on the device"
expect 0 "$SINTER" eval student --data text --batch 2 --target vulkan

# fewer kernels and bytes with every rung, as on the host
ladder() { "$SINTER" bench table.c --ladder --graph train --dim B=2 --dim T=8 --repeat 1 --json "$@"; }
expect 0 ladder --target vulkan
grep -o '"fuse": .*"flops": [0-9]*' stdout >rungs
[ "$(wc -l <rungs)" = 10 ] || die "ten rungs: $(cat stdout)"
first=$(grep -o '"kernels": [0-9]*' rungs | head -n 1) last=$(grep -o '"kernels": [0-9]*' rungs | sed -n 5p)
[ "${first##* }" -gt "${last##* }" ] || die "all fused: $last, nothing: $first"
expect 0 "$SINTER" bench table.c --ladder --graph train --dim B=2 --dim T=8 --repeat 1 $host
prints "all against none"
grep -q nan stdout && die "a ratio that is no number: $(cat stdout)"

if [ -e "$(dirname "$SINTER")/sinter-run" ]; then
  expect 0 "$SINTER" build gpt -o program --target vulkan
  env -i HOME="$scratch" ./program --prompt 'the q' --tokens 64 --temperature 0 >stdout 2>stderr || die "the executable: $(cat stderr)"
  [ "$(cat stdout)" = "$(cat tokens)" ] || die "the executable says $(cat stdout), not $(cat tokens)"
  found=0
  env -i HOME="$scratch" VK_ICD_FILENAMES=none VK_DRIVER_FILES=none ./program --prompt the --tokens 8 >stdout 2>stderr || found=$?
  [ $found = 5 ] || die "the executable without a driver: exit code $found"
  says "no Vulkan driver"
fi
exit 0
