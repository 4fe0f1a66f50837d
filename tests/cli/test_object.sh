#!/usr/bin/env bash
# build --emit obj: the object links with plain cc, its header needs nothing of ours, and it trains and serves.
. "$(dirname "$0")/common.sh"
skip_without_cpu
[ -e "$(dirname "$SINTER")/sinter-rt.o" ] || { echo "skipped: sanitized builds have no runtime object"; exit 77; }
cd "$scratch" || exit 1
expect 0 "$SINTER" build "$TREE/models/gpt.c" --set layers=1 --set heads=2 --set width=16 --set context=8 --set vocab=17 --emit obj -o tiny
[ -e tiny.o ] && [ -e tiny.h ] || die "no tiny.o or tiny.h"
cp "$TREE/tests/cli/object.c" use.c
expect 0 ${CC:-cc} -std=c17 -Wall -Wextra -Werror -c tiny.h -fsyntax-only -x c
expect 0 ${CC:-cc} -std=c17 -O1 -I. use.c tiny.o -o use -lm -lgomp -lpthread
expect 0 ./use "$scratch/saved.safetensors"
prints "->"
expect 0 "$SINTER" inspect "$scratch/saved.safetensors"
# two models in one program
expect 0 "$SINTER" build "$TREE/models/gpt.c" --set layers=1 --set heads=2 --set width=16 --set context=8 --set vocab=17 --graph eval --emit obj -o second
nm tiny.o | awk 'NF == 3 && $2 ~ /^[TDRB]$/ { print $3 }' | grep -v '^tiny_' && die "symbols without the model's prefix"
printf '#include "tiny.h"\n#include "second.h"\nint main(void) { tiny *a; second *b; return tiny_open(&a, 0, 1, 1, 1) || second_open(&b, 0, 1, 1); }\n' > two.c
expect 0 ${CC:-cc} -std=c17 -I. two.c tiny.o second.o -o two -lm -lgomp -lpthread
expect 0 ./two
exit 0
