#!/usr/bin/env bash
# The same programs on a Vulkan device: every kernel of a training step against the interpreter, with all that the device
# has and with as little as devices may have; what is made for a device that is described.
. "$(dirname "$0")/common.sh"
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
cd "$scratch" || exit 1
gpt="$TREE/models/gpt.c --set layers=1 --set heads=2 --set width=16 --set context=16"

bare="subgroup,storage16,storage8,shared=16384"
checked() { # GRAPH WITHOUT
  SN_VULKAN_WITHOUT=$2 expect 0 "$SINTER" run --check $gpt --graph "$1" --dim B=2 --dim T=13 --target vulkan
  prints "agrees with the interpreter"
}
checked train ""
checked train "$bare,invocations=128,preserve32,int64"
checked eval "$bare"
checked eval int64

# Code with names and lines is valid, and kept apart from that without.
cp "$TREE/tests/cli/table.c" .
validate=1
SN_VULKAN_VALIDATE=1 "$SINTER" doctor 2>&1 | finds '^vulkan 0' || validate="" # the layers are not installed
SN_VULKAN_VALIDATE=$validate LSAN_OPTIONS="suppressions=$TREE/tests/fault/lsan.txt:print_suppressions=0" \
  expect 0 "$SINTER" run --check --debug-info $gpt --graph eval --dim B=1 --dim T=5 --target vulkan
prints "agrees with the interpreter"
export XDG_CACHE_HOME="$scratch/names" # nobody else's code
once="bench table.c --graph eval --dim B=1 --dim T=8 --repeat 1 --target vulkan"
SN_DEBUG=kernels expect 0 "$SINTER" $once
says ": compiled"
for wanted in compiled "from the cache"; do
  SN_DEBUG=kernels expect 0 "$SINTER" $once --debug-info
  says ": $wanted"
  SN_DEBUG=kernels expect 0 "$SINTER" $once
  says ": from the cache"
done

expect 0 "$SINTER" dump $gpt --graph eval --emit spirv --target vulkan
prints "OpEntryPoint GLCompute"
expect 0 "$SINTER" dump $gpt --graph eval --emit spirv --target vulkan --isa subgroup=32,shared=49152,threads=1024,16,nan
expect 2 "$SINTER" dump $gpt --graph eval --emit spirv --target vulkan --isa warp=32
says "unknown fact of a device: warp=32"
expect 5 "$SINTER" dump $gpt --graph eval --emit llvm --target vulkan
says "target vulkan has no llvm to show"
exit 0
