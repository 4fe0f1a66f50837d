#!/usr/bin/env bash
# seeds.sh BUILD TREE OUT: good and hostile files for every fuzz target to start from, in OUT/TARGET.
# BUILD holds a sinter (no code generator is needed) and tests/hostile.
set -euo pipefail
build=$1 tree=$2 out=$3
sinter=$build/sinter
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=$scratch/cache ASAN_OPTIONS=detect_leaks=0
for target in graph_text kernel_text plan safetensors npy checkpoint json lex_types; do mkdir -p "$out/fuzz_$target"; done
mkdir "$scratch/hostile"
"$build/tests/hostile" "$scratch/hostile"
# put TARGET FILE [COMMAND...]: the file, or what the command makes of it
count=0
put() {
  local to file=$2
  count=$((count + 1))
  to=$out/fuzz_$1/$count-$(basename "$file")
  shift 2
  if [ $# = 0 ]; then cp "$file" "$to"; else "$@" <"$file" >"$to"; fi
}
without_frame() { tail -c +17 | head -c -16; } # of checkpoints: magic, length, checksum
without_header() { tail -c +33; }              # of plans

"$sinter" train "$tree/tests/cli/table.c" --data "$tree/LICENSE" --set context=4 --tokenizer char --batch 1 --eval-batches 1 --steps 1 --target ref --out "$scratch/run" 2>/dev/null
for graph in train decode; do
  "$sinter" build "$tree/models/gpt.c" --set layers=1 --set heads=1 --set width=4 --set context=4 --set vocab=5 --graph $graph --target template --emit plan -o "$scratch/$graph.plan"
  "$sinter" dump "$tree/models/gpt.c" --set layers=1 --set heads=1 --set width=4 --set context=4 --set vocab=5 --graph $graph --target template --emit plan >"$scratch/$graph.txt"
  "$sinter" dump "$tree/models/gpt.c" --set layers=1 --set heads=1 --set width=8 --set context=4 --set vocab=5 --graph $graph --target template --emit kernel >"$scratch/$graph.kernels"
  awk -v to="$out/fuzz_kernel_text/$graph" '/^kernel /{n++} n{print > (to "." n)}' "$scratch/$graph.kernels"
done
for f in "$scratch"/*.plan "$scratch"/hostile/*.plan; do put plan "$f" without_header; put plan "$f"; done
for f in "$scratch"/*.txt; do put plan "$f"; done
for f in "$tree"/tests/passes/golden/*.sn "$tree"/models/*.sn "$scratch/run/graph.sn" "$scratch"/hostile/*.sn; do
  [ "$(stat -c %s "$f")" -gt 65536 ] || put graph_text "$f"
  [ "$(stat -c %s "$f")" -gt 65536 ] || put lex_types "$f" grep -v '^sinter' || true
done
for f in "$scratch/run/model.safetensors" "$scratch"/hostile/*.safetensors; do
  [ "$(stat -c %s "$f")" -gt 65536 ] || put safetensors "$f"
done
for f in "$tree"/tests/parity/data/*.npy "$scratch"/hostile/*.npy; do put npy "$f"; done
for f in "$scratch"/run/checkpoints/*.ckpt "$scratch"/hostile/*.ckpt; do put checkpoint "$f" without_frame; put checkpoint "$f"; done
for f in "$scratch"/run/*.json "$scratch"/hostile/*.json; do put json "$f"; done
