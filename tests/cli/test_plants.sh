#!/usr/bin/env bash
# Random graphs notice every planted mistake (builds with SN_PLANT=ON) within 600 graphs.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
"$SINTER" bisect --plants >plants 2>/dev/null || { echo "skipped: this build has no planted mistakes"; exit 77; }

best=$(target)
count=0
while IFS=$'\t' read -r plant kind pass rule; do
  at=template
  if [ "$pass" = llvm ]; then # a mistake of code generation
    [ "$best" = cpu ] || continue
    at=cpu
  fi
  export SN_PLANT=$plant
  expect 6 "$SINTER" fuzz graph -n 600 --target "$at" --brief --most 1 --no-reduce --failures . --json
  prints '"failed": 1'
  echo "$kind ($plant, $rule): $(head -n 1 stderr)"
  unset SN_PLANT
  count=$((count + 1))
done <plants
[ "$count" -ge 13 ] || die "only $count planted mistakes were tried"
