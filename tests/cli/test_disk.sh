#!/usr/bin/env bash
# A disk that is really full: a small file system of its own. What was there stays, messages name the file, exit code 4.
. "$(dirname "$0")/common.sh"
if [ -z "${SN_OWN_MOUNTS:-}" ]; then
  unshare -m true 2>/dev/null || { echo "skipped: no right to mount a file system of one's own"; exit 77; }
  rm -rf "$scratch"
  SN_OWN_MOUNTS=1 exec unshare -m bash "$0" "$@"
fi
disk=$scratch/disk
mkdir "$disk"
mount -t tmpfs -o size=4m none "$disk" || { echo "skipped: no right to mount a file system of one's own"; exit 77; }
trap 'umount "$disk"; rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
target=$(target) kernels=$(kernel_target)
cp "$TREE/tests/cli/table.c" .
seq 3000 >text
fill() { # LEFT: all but so many KiB
  rm -f "$disk/ballast"
  dd if=/dev/zero of="$disk/ballast" bs=1k count=$(($(df -k --output=avail "$disk" | tail -n 1) - $1)) 2>/dev/null
}
train() { "$SINTER" train table.c --data text --batch 2 --eval-batches 1 --checkpoint-every 1 --target "$target" "$@" </dev/null; }
full() { says "No space left on device"; says "$1"; [ -z "$(find "$disk" -name '*.tmp-*')" ] || die "files are left over: $(find "$disk")"; }

# ---- training: no room for the folder's files, for the first checkpoint, for the last one ------------------------------
expect 0 train --steps 3 --out whole # weights of 256 KiB, a checkpoint as large
fill 4
expect 4 train --steps 3 --out "$disk/run"
full "$disk/run"
rm -rf "$disk/run"
fill 200
expect 4 train --steps 3 --out "$disk/run"
full "$disk/run/checkpoints/step-00000003.ckpt"
says "training goes on" # the checkpoints before the last one were warnings
rm -f "$disk/ballast"
expect 0 train --steps 3 --out "$disk/run" --resume
cmp -s whole/model.safetensors "$disk/run/model.safetensors" || die "other weights after a full disk"
# the disk fills up between two checkpoints: the older ones stay valid
expect 0 train --steps 5 --out more
fill 100
expect 4 train --steps 5 --out "$disk/run" --resume
full "$disk/run"
expect 0 "$SINTER" inspect "$disk/run/checkpoints/step-00000003.ckpt"
expect 0 "$SINTER" inspect "$disk/run/model.safetensors"
rm -f "$disk/ballast"
expect 0 train --steps 5 --out "$disk/run" --resume
cmp -s more/model.safetensors "$disk/run/model.safetensors" || die "other weights after a disk that filled up"

# ---- build: an older result stays, a new one does not appear -----------------------------------------------------------
for kind in kernel graph plan obj exe; do
  from=table.c out=$disk/result
  [ $kind = exe ] || [ $kind = obj ] || [ $kind = kernel ] && [ "$target" != cpu ] && continue
  [ $kind = obj ] && [ ! -e "$(dirname "$SINTER")/sinter-rt.o" ] && continue
  if [ $kind = exe ]; then
    [ -d gpt ] || expect 0 "$SINTER" train "$TREE/models/gpt.c" --data text --set layers=1 --set heads=1 --set width=8 --set context=8 --batch 2 --eval-batches 1 --steps 1 --target "$target" --out gpt
    from=gpt
  fi
  fill 0
  expect 4 "$SINTER" build $from --emit $kind --target "$target" -o "$out"
  full "$out"
  [ -z "$(find "$disk" -name 'result*')" ] || die "build --emit $kind leaves $(find "$disk" -name 'result*')"
  rm -f "$disk/ballast"
  echo old >"$out"
  fill 0
  expect 4 "$SINTER" build $from --emit $kind --target "$target" -o "$out"
  full "$out"
  [ "$(cat "$out")" = old ] || die "build --emit $kind damages the older file"
  rm -f "$out" "$disk/ballast"
done

# ---- run --out -----------------------------------------------------------------------------------------------------------
cat >fill.sn <<'SN'
sinter 1
graph @fill {
  %1 = const value 2 : f32[4096]
  output "y" = %1
}
SN
fill 4
expect 4 "$SINTER" run fill.sn --target "$target" --out y="$disk/y.npy"
full "$disk/y.npy"
[ ! -e "$disk/y.npy" ] || die "a cut off array is left"
rm -f "$disk/ballast"
expect 0 "$SINTER" run fill.sn --target "$target" --out y="$disk/y.npy"
# the reports that go to files
expect 0 "$SINTER" bench "$TREE/models/mlp.sn" --target "$kernels" --dim B=4 --repeat 1 --ladder --svg ladder.svg
fill 0
expect 4 "$SINTER" bench "$TREE/models/mlp.sn" --target "$kernels" --dim B=4 --repeat 1 --ladder --svg "$disk/ladder.svg"
full "$disk/ladder.svg"
# a full disk under the caches is no error
mkdir cache && rm -f "$disk/ballast" && mkdir "$disk/cache" && fill 0
export XDG_CACHE_HOME=$disk/cache
expect 0 "$SINTER" run "$scratch/fill.sn" --target "$target" --out y=y.npy
exit 0
