#!/usr/bin/env bash
# Each check that tests/rows/rows.md names stands in its file.   usage: names.sh TREE
cd "$1" || exit 1
count=0 bad=0
while IFS='|' read -r _ row _ _ file name _; do
  file=$(xargs <<<"$file") name=$(sed 's/^ *//; s/ *$//; s/"//g' <<<"$name")
  count=$((count + 1))
  grep -q -w -F -- "$name" "$file" || { echo "$row: no $name in $file"; bad=1; }
done < <(grep -E '^\| [a-z.]+[a-z0-9.]* \| [EOTN] \|' tests/rows/rows.md)
[ "$count" -ge 60 ] || { echo "only $count checks are named"; bad=1; }
exit $bad
