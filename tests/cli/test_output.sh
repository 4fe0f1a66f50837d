#!/usr/bin/env bash
# Where results go: a stdout that takes nothing is an error, one that nobody reads is none; outputs that are links or devices stay what they are.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
target=$(target)
small="--set layers=1 --set heads=1 --set width=8 --set context=8"
seq 3000 >text

# ---- outputs: links and fifos stay -------------------------------------------------------------------------------------
echo old >file && ln -s file link && mkfifo fifo
expect 0 "$SINTER" build "$TREE/models/mlp.sn" --emit graph -o new
expect 0 "$SINTER" build "$TREE/models/mlp.sn" --emit graph -o link
[ -L link ] && cmp -s file new || die "the file behind a link was not replaced"
timeout 900 cat fifo >read &
expect 0 "$SINTER" build "$TREE/models/mlp.sn" --emit graph -o fifo
wait $!
[ -p fifo ] && cmp -s read new || die "a fifo was not written to"
[ -z "$(find . -name '*.tmp-*')" ] || die "files are left over: $(find .)"
if mknod null c 1 3 2>/dev/null && echo 2>/dev/null >null; then
  expect 0 "$SINTER" build "$TREE/models/mlp.sn" --emit graph -o null
  [ -c null ] || die "a device was replaced"
fi

# ---- stdout: nobody reads ------------------------------------------------------------------------------------------------
(trap '' PIPE; { sleep 0.3; "$SINTER" pages man 2>said; echo $? >code; } | true)
[ "$(cat code)" = 0 ] && [ ! -s said ] || die "a pipe that nobody reads: exit code $(cat code), $(cat said)"

# ---- stdout: no room -----------------------------------------------------------------------------------------------------
full=full
if ! mknod full c 1 7 2>/dev/null || ! : 2>/dev/null >full; then full=/dev/full; fi
[ -c $full ] || { echo "skipped: no device that is always full"; exit 77; }
no_room() { # COMMAND...: says so, once
  local found=0
  "$@" >$full 2>stderr </dev/null || found=$?
  [ "$found" = 4 ] || die "exit code $found instead of 4, with no room for its output: $*"
  [ "$(grep -c "cannot write stdout: No space left on device" stderr)" = 1 ] || die "$*: $(cat stderr)"
}
no_room "$SINTER" --help
no_room "$SINTER" --version
no_room "$SINTER" train --help
no_room "$SINTER" doctor
no_room "$SINTER" pages man # larger than a buffer
no_room "$SINTER" dump "$TREE/models/gpt.c" --graph eval --set layers=1
no_room "$SINTER" explain "$TREE/models/mlp.sn" --target "$(kernel_target)" --json
no_room "$SINTER" train "$TREE/models/gpt.c" --data text $small --batch 2 --eval-batches 1 --steps 2 --eval-every 1 --target "$target" --out run --json
[ -s run/model.safetensors ] || die "training ended early because its progress could not be printed"
no_room "$SINTER" inspect run
no_room "$SINTER" eval run --target "$target" --data text --json
no_room "$SINTER" eval run --target "$target" --data text
no_room "$SINTER" generate run --target "$target" --prompt 1 --tokens 9
no_room "$SINTER" generate run --target "$target" --prompt 1 --tokens 9 --json
[ "$target" = cpu ] || exit 0
expect 0 "$SINTER" build run -o native
no_room ./native --help
no_room ./native --prompt 1 --tokens 9
no_room ./native --prompt 1 --tokens 9 --json
