#!/usr/bin/env bash
# The quick form of one recipe passes.   usage: quick.sh SINTER TREE ID [TARGET]
. "$(dirname "$0")/../cli/common.sh"
cd "$scratch" || exit 1
id=$3 target=${4:-cpu}
[ "$target" != cpu ] || skip_without_cpu
if [ "$target" = vulkan ] && ! "$SINTER" doctor | finds '^target vulkan *device'; then echo "skipped: no Vulkan device"; exit 77; fi
"$SINTER" recipe "$id" --quick --threads 1 --target "$target" --out report 2>stderr || { tail -n 20 stderr >&2; exit 1; }
# docs/systems.md is of recipes as they are: it has the checks that this one makes.
table=$TREE/docs/systems.md
[ -e "$table" ] || exit 0
checks() { awk -F ' [|] ' -v id="| $1" '$1 == id && NF > 5 && $2 ~ /^(exact|optimum|trained|control)$/ { print $2 " " $3 }' "$2" | sort; }
missing=$(comm -23 <(checks "$id" report/systems.md) <(checks "$id" "$table"))
[ -z "$missing" ] || die "docs/systems.md, a copy of what \`sinter recipe --all --out DIR\` writes, lacks checks of $id:
$missing"
