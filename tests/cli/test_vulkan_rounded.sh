#!/usr/bin/env bash
# Products of operands that are rounded in the kernel, deeper than a workgroup holds: code for any device, and values.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
cat >rounded.sn <<'TEXT'
sinter 1
dims { M: 1..8 }
graph @forward {
  %1 = input name "x" : f32[M, 400]
  %2 = state name "w" init "normal" a 0.1 : f32[400, 136]
  %3 = cast %1 to bf16 : bf16[M, 400]
  %4 = cast %2 to bf16 : bf16[400, 136]
  %5 = contract %3, %4 spec "mk,kn->mn" to f32 : f32[M, 136]
  %6 = add %2, %2 : f32[400, 136]
  output "y" = %5
  update %2 = %6
}
graph @turned {
  %1 = input name "x" : f32[400, M]
  %2 = state name "v" init "normal" a 0.1 : f32[136, 400]
  %3 = cast %1 to bf16 : bf16[400, M]
  %4 = cast %2 to bf16 : bf16[136, 400]
  %5 = contract %3, %4 spec "km,nk->mn" to f32 : f32[M, 136]
  %6 = add %2, %2 : f32[136, 400]
  output "y" = %5
  update %2 = %6
}
TEXT
facts=subgroup=32,shared=49152,threads=1024,16,8,nan,bf16=16x16x16
for graph in forward turned; do
  expect 0 "$SINTER" dump rounded.sn --graph $graph --target vulkan --isa $facts --emit kernel
  prints "gemm_cast_contract"
done
# GPT-2's widths: one row for each token
wide="--set layers=1 --set heads=12 --set width=768 --set context=64"
expect 0 "$SINTER" dump $TREE/models/gpt.c $wide --graph decode --precision bf16 --target vulkan --isa $facts --emit spirv
# parts of a long sum over both ends of a shape are joined in tiles that a workgroup holds
cat >parts.sn <<'TEXT'
sinter 1
dims { N: 1..1048576 }
graph @sum {
  %1 = input name "x" : f32[N, 32, 8]
  %2 = sum %1 axes [0, 2] : f32[32]
  output "y" = %2
}
TEXT
for device in $facts threads=128; do
  expect 0 "$SINTER" dump parts.sn --graph sum --target vulkan --isa $device --emit spirv
done
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
for graph in forward turned; do
  for m in 1 7; do
    expect 0 "$SINTER" run --check rounded.sn --graph $graph --dim M=$m --target vulkan
    prints "agrees with the interpreter"
  done
done
exit 0
