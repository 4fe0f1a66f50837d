#!/usr/bin/env bash
# The quick form of one recipe passes.   usage: quick.sh SINTER TREE ID [TARGET]
. "$(dirname "$0")/../cli/common.sh"
cd "$scratch" || exit 1
id=$3 target=${4:-cpu}
[ "$target" != cpu ] || skip_without_cpu
if [ "$target" = vulkan ] && ! "$SINTER" doctor | finds '^target vulkan *device'; then echo "skipped: no Vulkan device"; exit 77; fi
"$SINTER" recipe "$id" --quick --threads 1 --target "$target" 2>stderr || { tail -n 20 stderr >&2; exit 1; }
