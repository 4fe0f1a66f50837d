#!/usr/bin/env bash
# Random graphs notice every planted mistake (builds with SN_PLANT=ON) within 600 graphs.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
planted || { echo "skipped: this build has no planted mistakes"; exit 77; }

count=0
while IFS=$'\t' read -r plant kind pass rule; do
  at=template
  [ "$pass" != llvm ] || at=cpu # a mistake of code generation
  export SN_PLANT=$plant
  expect 6 "$SINTER" fuzz graph -n 600 --target "$at" --brief --most 1 --no-reduce --failures . --json
  prints '"failed": 1'
  echo "$kind ($plant, $rule): $(head -n 1 stderr)"
  unset SN_PLANT
  count=$((count + 1))
done <plants
enough_plants "$count"
