#!/usr/bin/env bash
# The main job, shown: train, generate, native executable, fused against unfused.   usage: tests/demo.sh SINTER [FOLDER]
set -euo pipefail
sinter=$(realpath "$1")
cd "$(dirname "$0")/.."
out=${2:-out/demo}
steps=${SN_DEMO_STEPS:-1000}

show() { printf '\n\033[1m$ %s\033[0m\n' "$*" >&2; }

show "sinter train models/gpt.c --steps $steps --out $out/gpt --force"
mkdir -p "$out"
"$sinter" train models/gpt.c --steps "$steps" --out "$out/gpt" --force
echo "curve: $out/gpt/loss.svg   metrics: $out/gpt/metrics.jsonl"

show "sinter generate $out/gpt --prompt 'static int' --tokens 200"
"$sinter" generate "$out/gpt" --prompt 'static int' --tokens 200
echo

show "sinter build $out/gpt -o $out/gpt-native"
"$sinter" build "$out/gpt" -o "$out/gpt-native"
ls -l "$out/gpt-native" | awk '{ print $5 " bytes, weights included" }'
ldd "$out/gpt-native" | sed 's/ (0x.*//'

show "$out/gpt-native --prompt 'static int' --tokens 200    (empty folder, empty environment)"
empty=$(mktemp -d)
binary=$(realpath "$out/gpt-native")
(cd "$empty" && env -i "$binary" --prompt 'static int' --tokens 200)
rmdir "$empty"
echo

show "sinter bench models/gpt.c --ladder --svg $out/ladder.svg"
"$sinter" bench models/gpt.c --ladder --svg "$out/ladder.svg"
