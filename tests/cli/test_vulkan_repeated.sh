#!/usr/bin/env bash
# The gradient of weights whose input is one row, repeated for all texts and places: a factor that is filled, not loaded.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
cat >row.sn <<'TEXT'
sinter 1
dims { B: 1..64, T: 1..64 }
graph @step {
  %1 = param name "row" init "normal" a 0.1 : f32[1, 1, 32]
  %2 = broadcast %1 axes [0, 1, 2] shape [B, T, 32] : f32[B, T, 32]
  %3 = param name "w" init "normal" a 0.1 : f32[32, 64]
  %4 = contract %2, %3 spec "btk,kn->btn" : f32[B, T, 64]
  %5 = input name "dy" : f32[B, T, 64]
  %6 = mul %4, %5 : f32[B, T, 64]
  %7 = sum %6 axes [0, 1, 2] : f32[]
  %8 = grad %7, %3 : f32[32, 64]
  output "y" = %7
  output "dw" = %8
}
TEXT
for facts in subgroup=32,shared=49152,threads=1024,nan shared=16384,threads=128,nan; do
  expect 0 "$SINTER" dump row.sn --graph step --target vulkan --isa $facts --emit kernel
  prints "bcast %4 : f32[64,32]"
  expect 0 "$SINTER" dump row.sn --graph step --target vulkan --isa $facts --emit spirv
done
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
for t in 1 40; do
  expect 0 "$SINTER" run --check row.sn --graph step --dim B=3 --dim T=$t --target vulkan
  prints "agrees with the interpreter"
done
exit 0
