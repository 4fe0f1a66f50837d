#!/usr/bin/env bash
# Help, usage errors and exit codes.
. "$(dirname "$0")/common.sh"
commands="train generate build run explain bench dump opt inspect doctor fuzz reduce bisect"
for c in $commands; do
  expect 0 "$SINTER" "$c" --help
  prints "usage: sinter $c"
  prints "examples:"
done
expect 0 "$SINTER" help
for c in $commands; do prints "$c"; done
expect 0 "$SINTER" --version
expect 2 "$SINTER"
expect 2 "$SINTER" trian
says 'did you mean "train"?'
expect 2 "$SINTER" train --stesp 3
says "did you mean --steps?"
expect 2 "$SINTER" train
says "needs"
expect 2 "$SINTER" train "$TREE/models/gpt.c" --steps many
says 'found "many"'
expect 2 "$SINTER" train "$TREE/models/gpt.c" --steps
says "--steps needs N"
expect 2 "$SINTER" explain "$TREE/models/gpt.c" --set layer=3 --target template
says "layers"
expect 2 "$SINTER" explain "$TREE/models/gpt.c" --graph nothing --target template
says "nothing"
expect 2 "$SINTER" dump "$TREE/models/gpt.c" --pass nothing --graph eval
says "there are: none inline"
expect 3 "$SINTER" explain "$scratch/missing.c"
says "cannot be read"
VK_ICD_FILENAMES=$scratch/none VK_DRIVER_FILES=$scratch/none expect 5 "$SINTER" explain "$TREE/models/gpt.c" --target vulkan --graph eval
says "vulkan"
expect 2 "$SINTER" explain "$TREE/models/mlp.sn" --target ref
says "--target ref: the interpreter has no kernels to report on"
expect 2 "$SINTER" bench "$TREE/models/mlp.sn" --target ref
says "--target ref: the interpreter has no kernels to time"
bench="bench $TREE/models/mlp.sn --target template --repeat 1"
expect 2 "$SINTER" $bench --svg "$scratch/ladder.svg"
says "--svg draws the ladder"
[ ! -e "$scratch/ladder.svg" ] || die "a refused call writes a chart"
for option in "--fuse map" "--kernels nofile" "--plan nofile"; do
  expect 2 "$SINTER" $bench --ladder $option
  says "--ladder and ${option%% *}: "
done
expect 2 "$SINTER" $bench --whole --profile
says "--whole and --profile: "
expect 0 "$SINTER" $bench --whole --json
! grep -q contract_ms "$scratch/stdout" || die "times of kernels that were not measured: $(cat "$scratch/stdout")"
expect 0 "$SINTER" doctor
prints "cores"
expect 0 "$SINTER" doctor --json
