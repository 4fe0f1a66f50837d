#!/usr/bin/env bash
# seeds.sh BUILD TREE OUT: good and hostile files for every fuzz target to start from, in OUT/TARGET, and for readers of
# texts the words of those files, OUT/TARGET.dict.
# BUILD holds a sinter (no code generator is needed) and tests/hostile.
set -euo pipefail
build=$1 tree=$2 out=$3
sinter=$build/sinter
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=$scratch/cache ASAN_OPTIONS=detect_leaks=0
for target in graph_text kernel_text plan safetensors npy checkpoint json lex_types payload levels cache set spirv; do mkdir -p "$out/fuzz_$target"; done
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
without_trailer() { head -c -16; }              # of executables: checksum, magic
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
for f in "$scratch"/run/*.json "$scratch"/hostile/*.json; do [ "$(stat -c %s "$f")" -gt 200000 ] || put json "$f"; done
for f in "$scratch"/hostile/*.kernel; do [ "$(stat -c %s "$f")" -gt 65536 ] || put kernel_text "$f"; done
json() { printf '%b' "$1" >"$scratch/json" && put json "$scratch/json"; }
json '{"type": "byte"}\n'
json '{"type": "char", "vocab": ["\t", " ", "\\"", "a", "\\\\", "\u00e9", "\u20ac", "\U0001f600"]}'
json 'a text,\nin two lines: \u00e9 \u20ac \U0001f600 \xc3'
json '{"model": "\\"m\\\\ \\n\\t\\u0001\u00e9\u20ac\U0001f600", "settings": "", "source": "", "ring": 1, "seed": -1, "ids": 256, "precision": "bf16"}'
json '{"step": 1, "val_loss": 2.5}\n{"step": 2, "val_loss": null}\n{"step": 20, "val_loss": 1}\n[1]\n{"step": 3, "val'
for f in "$scratch"/hostile/*.exe; do put payload "$f" without_trailer; put payload "$f"; done
{ head -c 256 "$scratch/run/model.safetensors"; for word in 0 0 64 64 128 64 64 0; do printf "\\x$(printf %02x "$word")\\0\\0\\0\\0\\0\\0\\0"; done; } >"$scratch/good.exe"
put payload "$scratch/good.exe"
for f in "$scratch"/hostile/*.levels; do put levels "$f"; done
for f in "$scratch"/hostile/*.code; do put cache "$f"; done
for set in layers=3 vocab=9007199254740992 vocab=9007199254740993 rate=1e-3 rate=inf rate=nan bias=true bias=false bias=2 layers layers= =3 =\
  layers=2147483648 layers=1.5 layers=0x10 layer=3 x=1 "layers=2
vocab=5
rate=-0.25
bias=0"; do
  printf '%s' "$set" >"$scratch/set" && put set "$scratch/set"
done

# what unit tests give to parsers
for test in base_test_lex types_test_dim types_test_type kernel_test_text kernel_test_kinterp graph_test_parse_errors graph_test_text graph_test_verify plan_test_binary plan_test_flow plan_test_text plan_test_verify spirv_test_build spirv_test_print spirv_test_verify spirv_test_verify_types spirv_test_verify_module; do
  SN_SEEDS=$out "$build/tests/$test" >"$scratch/$test.log" 2>&1 || { cat "$scratch/$test.log" >&2; exit 1; }
done

for target in graph_text kernel_text plan lex_types json set; do
  find "$out/fuzz_$target" -type f -exec cat {} + | LC_ALL=C grep -aoE '[A-Za-z_][A-Za-z_0-9]{1,15}' | LC_ALL=C sort | uniq -c | LC_ALL=C sort -k1,1rn -k2 | awk 'NR <= 400 { printf "\"%s\"\n", $2 }' >"$out/fuzz_$target.dict"
done
