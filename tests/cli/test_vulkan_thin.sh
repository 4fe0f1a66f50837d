#!/usr/bin/env bash
# Products whose rows are few in some runs and many in others: two kernels, one of which has no instances.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
cat >thin.sn <<'TEXT'
sinter 1
dims { B: 1..64 }
graph @forward {
  %1 = input name "x" : f32[B, 200]
  %2 = param name "w" init "normal" a 0.1 : f32[200, 136]
  %3 = param name "v" init "normal" a 0.1 : f32[72, 136]
  %4 = contract %1, %2 spec "mk,kn->mn" : f32[B, 136]
  %5 = tanh %4 : f32[B, 136]
  %6 = contract %5, %3 spec "mk,nk->mn" : f32[B, 72]
  output "y" = %6
}
TEXT
expect 0 "$SINTER" dump thin.sn --graph forward --target vulkan --emit kernel
prints "kernel thin_contract"
prints "grid(imin(B/9, 1)*-1 + 1, "
prints "mma 0, %1, %2 : f32[8,16]"
prints "kernel gemm_contract"
prints "grid(imin(B/9, 1), "
expect 0 "$SINTER" dump thin.sn --graph forward --target "$(kernel_target)" --emit kernel
! grep -q "kernel thin" "$scratch/stdout" || die "two kernels for a target that has no use for them"
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
for b in 1 8 9 40; do
  expect 0 "$SINTER" run --check thin.sn --graph forward --dim B=$b --target vulkan
  prints "agrees with the interpreter"
done
exit 0
