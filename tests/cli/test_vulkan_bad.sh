#!/usr/bin/env bash
# What can be wrong with Vulkan, at the command: each is told with what is missing, exit code 5 (4: memory), and nothing
# is lost. Most needs the layer of tests/fault/vulkan.c.
. "$(dirname "$0")/common.sh"
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
cd "$scratch" || exit 1
layer=$(dirname "$SINTER")/tests/vulkan
cp "$TREE/tests/cli/table.c" .
seq 3000 >text
bench() { "$SINTER" bench "$@" --graph eval --dim B=1 --dim T=8 --repeat 1; }
train() { "$SINTER" train table.c --data text --tokenizer char --eval-batches 1 --target vulkan "$@"; }
# The path of its layer hides those of the system: the validation layers of `./dev layers` are not asked for here.
faulty() { SN_VULKAN_VALIDATE='' VK_LAYER_PATH=$layer VK_INSTANCE_LAYERS=VK_LAYER_SN_fault "$@"; }
# with SETTING... -- COMMAND...
with() {
  local settings=()
  while [ "$1" != -- ]; do settings+=("$1") && shift; done
  shift
  (export "${settings[@]}" && faulty "$@")
}

# no loader: files of its names that are none
mkdir none
: >none/libvulkan.so.1 && : >none/libvulkan.so
mkdir dumb
if echo 'int nothing;' | ${CC:-cc} -shared -fPIC -o dumb/libvulkan.so.1 -x c - 2>/dev/null; then # a library without it
  LD_LIBRARY_PATH=$scratch/dumb expect 5 bench table.c --target vulkan
  says "no Vulkan on this machine"
fi
LD_LIBRARY_PATH=$scratch/none expect 5 bench table.c --target vulkan
says "no Vulkan on this machine: libvulkan.so.1 is missing"
says "install the loader and a driver: libvulkan1"
LD_LIBRARY_PATH=$scratch/none expect 0 "$SINTER" doctor
prints "libvulkan.so.1 is missing"
LD_LIBRARY_PATH=$scratch/none expect 0 bench table.c --target "$(kernel_target)"

# no driver, no such device
VK_ICD_FILENAMES=none VK_DRIVER_FILES=none expect 5 bench table.c --target vulkan
says "no Vulkan driver on this machine"
says "install a driver"
SN_VULKAN_DEVICE=no-such-device expect 5 bench table.c --target vulkan
says 'there is no device "no-such-device"'
says "0: "
SN_VULKAN_WITHOUT=warp expect 2 bench table.c --target vulkan
says 'SN_VULKAN_WITHOUT: `warp` cannot be taken away'

# a plan for another device, and one for this device when it has less
expect 0 "$SINTER" build table.c --graph eval --emit plan -o other.plan --target vulkan --isa subgroup=64,shared=49152,threads=1024,16,8,nan
expect 0 "$SINTER" build table.c --graph eval --emit plan -o here.plan --target vulkan
if ! "$SINTER" doctor | finds '^vulkan 0 facts .*subgroup=64\|to 64)'; then
  expect 5 bench other.plan
  says "lacks subgroup=64, which the code of kernel "
fi
expect 0 bench here.plan
SN_VULKAN_WITHOUT=int64 expect 5 bench here.plan
says "lacks int64, which the code of kernel "
says "expected: int64"

# pipelines on disk that are damaged: told once, written anew, and the results are the same
train --steps 2 --out first >/dev/null 2>&1 || die "training"
cache=$(echo "$XDG_CACHE_HOME"/sinter/vulkan-*.pipelines)
[ -s "$cache" ] || die "no pipelines on disk: $cache"
cp "$cache" whole
for damage in 'printf x >>"$cache"' 'truncate -s 40 "$cache"' 'printf XX | dd of="$cache" bs=1 seek=90 conv=notrunc 2>/dev/null'; do
  cp whole "$cache"
  eval "$damage"
  expect 0 train --steps 2 --out again --force
  says "warning: $cache is damaged, or of another version: it is not used, and written anew"
  cmp -s first/model.safetensors again/model.safetensors || die "other weights after a damaged cache"
  expect 0 train --steps 2 --out again --force
  ! grep -q damaged stderr || die "the cache was not written anew"
done

[ -e "$layer/fault.json" ] || { echo "the layer that makes calls fail is not built"; exit 0; }

# no suitable device: why each is refused
for lacks in bufferDeviceAddress timelineSemaphore; do
  expect 5 with SN_VK_LACKS=$lacks -- "$SINTER" bench table.c --graph eval --target vulkan
  says "no Vulkan device that plans can run on"
  says "(refused: it lacks $lacks)"
  expect 0 with SN_VK_LACKS=$lacks -- "$SINTER" doctor
  prints "refused: it lacks $lacks"
done
expect 5 with SN_VK_LACKS=1.2 -- "$SINTER" bench table.c --graph eval --target vulkan
says "(refused: its driver is older than Vulkan 1.2)"
expect 5 with SN_VK_LACKS=compute -- "$SINTER" bench table.c --graph eval --target vulkan
says "(refused: it has no queue for compute)"

# too little memory: how much is missing; the batch that is named fits, and one that is a little larger does not
little() { with SN_VK_HEAP=24000000 -- "$SINTER" train table.c --data text --steps 1 --eval-batches 1 --target vulkan --force --out little --batch "$1"; }
expect 4 little 50000
says "no memory for temporaries, inputs and outputs"
says "bytes, which are free: "
says " are missing"
[ ! -e little/model.safetensors ] || die "a run that did not fit left weights"
fits=$(sed -n 's/.*B = \([0-9]*\) fits, of 50000$/\1/p' stderr)
[ -n "$fits" ] || die "which batch fits: $(cat stderr)"
expect 0 little "$fits"
expect 4 little $((fits + fits / 50 + 1))
expect 4 with SN_VK_HEAP=100000 -- "$SINTER" train table.c --data text --steps 1 --eval-batches 1 --target vulkan --out tiny
says "no memory for "

# a device that is lost: the last kernel; the newest checkpoint stays, and the run goes on from it to the same bits
expect 0 train --batch 4 --steps 8 --checkpoint-every 2 --out sound
expect 5 with "SN_VK_FAULT=vkQueueSubmit 12" -- "$SINTER" train table.c --data text --tokenizer char --eval-batches 1 \
  --target vulkan --batch 4 --steps 8 --checkpoint-every 2 --out lost
says "vkQueueSubmit says VK_ERROR_DEVICE_LOST"
says "the kernel that was submitted last is "
expect 0 "$SINTER" train table.c --out lost --resume --target vulkan
says "going on at step"
cmp -s sound/model.safetensors lost/model.safetensors || die "other weights after a device was lost"
exit 0
