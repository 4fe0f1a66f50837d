#!/usr/bin/env bash
# Options that say too much, too little or nonsense: refused before anything happens, with what was expected.
. "$(dirname "$0")/common.sh"
gpt=$TREE/models/gpt.c
mlp=$TREE/models/mlp.sn

# without a home folder, and without a trace in the folder for temporary files
mkdir "$scratch/tmp"
bare() { env -u HOME -u XDG_CACHE_HOME TMPDIR="$scratch/tmp" "$SINTER" "$@"; }
expect 0 bare explain "$gpt" --graph eval --target template --set layers=1 --set width=8 --set heads=1 --no-cache
expect 0 bare dump "$gpt" --graph eval --no-cache
expect 4 bare dump "$gpt" --graph eval
says "set HOME or XDG_CACHE_HOME, or do without a cache (--no-cache)"
[ -z "$(ls -A "$scratch/tmp")" ] || die "left in TMPDIR: $(ls -A "$scratch/tmp")"
