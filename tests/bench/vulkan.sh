#!/usr/bin/env bash
# ./dev bench vulkan: what the chosen Vulkan device does with the kernels that are made for it, by the device's clock:
# medians of runs after a warm-up, as shares of the copy bandwidth that is measured on it, by the driver or by a kernel, products in TFLOP/s. The aims
# that are printed beside are those for a data-centre GPU. Graphs are text: no compiler of C is needed, but for those of
# GPT-2 unless they are in --graphs.
set -euo pipefail
usage() {
  cat <<'TEXT'
usage: tests/bench/vulkan.sh BUILD-DIR [options]
  --small          sizes for a processor
  --only PATTERN   rows whose group or name match (grep -E), and the copy
  --without PATTERN  not those
  --seconds N      each row is given up after N seconds (40)
  --repeat N       timed runs of a row (15; --small 3)
  --graphs DIR     folder for GPT-2's graphs: used if they are there, else made from models/gpt.c
  --prepare        make those graphs and stop
  --json FILE      write what was measured there
  --list           print the rows and stop
  --kernels        the kernels of each row

variables: SN_VULKAN_DEVICE chooses the device, PYTHON a python3 with torch (products of the vendor's library; without,
that of CUDA's compiler if it is there)
TEXT
}

tree=$(cd "$(dirname "$0")/../.." && pwd)
. "$tree/tests/bench/vulkan_graphs.sh"
small=0 only=. without='^$' seconds=40 repeat="" graphs="" prepare=0 json="" list=0 kernels_too=0
[ $# -gt 0 ] || { usage >&2; exit 2; }
case $1 in --help | -h) usage; exit 0 ;; esac
sinter=$(cd "$1" && pwd)/sinter
shift
while [ $# -gt 0 ]; do
  case $1 in
    --small) small=1 ;;
    --only) only=$2; shift ;;
    --without) without=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --repeat) repeat=$2; shift ;;
    --graphs) mkdir -p "$2"; graphs=$(cd "$2" && pwd); shift ;;
    --prepare) prepare=1 ;;
    --json) json=$2; shift ;;
    --list) list=1 ;;
    --kernels) kernels_too=1 ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[ -n "$repeat" ] || { repeat=15; [ $small = 0 ] || repeat=3; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -n "$graphs" ] || graphs=$work

# ---- GPT-2 ----------------------------------------------------------------------------------------------------------

# Uniform instead of normal initial values: drawn faster, and no time depends on them.
gpt_graph() { # train|decode
  local size="layers=12 heads=12 width=768 vocab=50257 context=1024" s sets=()
  [ $small = 0 ] || size="layers=2 heads=2 width=64 vocab=257 context=64"
  for s in $size; do sets+=(--set "$s"); done
  gpt=$graphs/gpt2-$1-$small.sn
  [ -s "$gpt" ] && return 0
  "$sinter" dump "$tree/models/gpt.c" "${sets[@]}" --graph "$1" --pass none 2>"$work/err" >"$work/gpt" || return 1
  sed 's/init "normal"/init "uniform"/' "$work/gpt" >"$gpt"
}
if [ $prepare = 1 ]; then
  for s in 0 1; do small=$s; gpt_graph train; gpt_graph decode; done
  ls "$graphs"/gpt2-*
  exit 0
fi

# ---- one row --------------------------------------------------------------------------------------------------------

# field NAME < JSON of sinter bench: its first number of that name
field() { sed -n 's/.*"'"$1"'": \([0-9.e+-]*\).*/\1/p' | awk 'NR == 1'; }

# measure FILE [OPTIONS of bench]: $work/out; sets ms, host_ms, caller_ms, kernels. Says why not in $why.
measure() {
  local file=$1 code=0
  shift
  timeout "$seconds" "$sinter" bench "$file" --target vulkan --repeat "$repeat" --profile --json "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  why=$(grep -v '^measured\|^bench' "$work/err" | head -n 1 | cut -c 1-150) || true
  [ $code != 124 ] || why="not done in $seconds s"
  [ $code = 0 ] || { why=${why:-exit code $code}; return 1; }
  ms=$(field device_ms <"$work/out") host_ms=$(field median_ms <"$work/out")
  caller_ms=$(field caller_ms <"$work/out") kernels=$(field kernels <"$work/out")
  [ -n "$ms" ] || { why="no time of the device"; return 1; }
}

calc() { awk "BEGIN { printf \"%.6g\", $1 }"; }
chosen() { # GROUP NAME
  grep -qE -- "$only" <<<"$1: $2" && ! grep -qE -- "$without" <<<"$1: $2"
}
first=1 group_now=""
# say GROUP NAME MS VALUE UNIT SHARE AIM; SHARE: a number, or nothing
say() {
  local share=""
  [ -z "$6" ] || share=$(awk "BEGIN { printf \"%.1f %%\", 100 * $6 }")
  [ "$1" = "$group_now" ] || printf '\n%s\n' "$1"
  group_now=$1
  printf '  %-50s %11s ms %9s %-8s %9s  %s\n' "$2" "$(calc "$3" | awk '{ printf "%.4f", $1 }')" "$(awk "BEGIN { printf \"%.4g\", $4 }")" "$5" "$share" "$7"
  [ -z "$json" ] || printf '%s\n  {"group": "%s", "name": "%s", "ms": %s, "value": %s, "unit": "%s", "share": %s, "aim": "%s"}' \
    "$([ $first = 1 ] || echo ,)" "$1" "$2" "$3" "$4" "$5" "${6:-null}" "$7" >>"$work/json"
  first=0
}
sorry() { # GROUP NAME: no figure, and why
  [ "$1" = "$group_now" ] || printf '\n%s\n' "$1"
  group_now=$1
  printf '  %-50s %s\n' "$2" "-- $why"
  [ -z "$json" ] || printf '%s\n  {"group": "%s", "name": "%s", "error": "%s"}' "$([ $first = 1 ] || echo ,)" "$1" "$2" "$(printf %s "$why" | tr -d '"\\')" >>"$work/json"
  first=0 failed=$((failed + 1))
}
failed=0

# Time by kernel, slowest first, with what each one moves and computes.
profile() {
  awk '
    function value(name,   s) {
      s = $0
      if (!sub(".*\"" name "\": ", "", s)) return ""
      if (s ~ /^"/) { s = substr(s, 2); sub(/".*/, "", s) } else sub(/[,}].*/, "", s)
      return s
    }
    /"step":/ {
      n = value("name")
      if (n == "") n = value("kind")
      count[n]++; ms[n] += value("ms"); bytes[n] += value("bytes"); flops[n] += value("flops"); ops[n] = value("ops"); total += value("ms")
    }
    END { for (n in ms) if (ms[n] > 0) printf "%.6f\t%.1f%%\t%d\t%.4g\t%.4g\t%s\t%s\n", ms[n], 100 * ms[n] / total, count[n], bytes[n] / ms[n] / 1e6, flops[n] / ms[n] / 1e9, n, ops[n] }' "$work/out" |
    sort -rn | awk -F '\t' -v most="${1:-14}" '
      BEGIN { printf "    %10s %6s %5s %9s %9s  %-30s %s\n", "ms", "of all", "times", "GB/s", "TFLOP/s", "kernel", "ops" }
      NR <= most { printf "    %10.4f %6s %5d %9s %9s  %-30.30s %.60s\n", $1, $2, $3, $4, $5, $6, $7 }'
}

# moves GROUP NAME BYTES AIM FILE [OPTIONS]: bandwidth
moves() {
  local group=$1 name=$2 bytes=$3 aim=$4 file=$5 rate
  shift 5
  chosen "$group" "$name" || return 0
  [ $list = 0 ] || { echo "$group: $name"; return 0; }
  measure "$file" "$@" || { sorry "$group" "$name"; return 0; }
  rate=$(calc "$bytes / ($ms * 1e6)")
  say "$group" "$name" "$ms" "$rate" GB/s "$(calc "$rate / $copy_rate")" "$aim"
  [ $kernels_too = 0 ] || profile 6
}
# computes GROUP NAME FLOPS AIM VENDOR-KEY FILE [OPTIONS]: TFLOP/s, as a share of the vendor's where it is known
computes() {
  local group=$1 name=$2 flops=$3 aim=$4 key=$5 file=$6 rate peer=""
  shift 6
  chosen "$group" "$name" || return 0
  [ $list = 0 ] || { echo "$group: $name"; return 0; }
  measure "$file" "$@" || { sorry "$group" "$name"; return 0; }
  rate=$(calc "$flops / ($ms * 1e9)")
  [ -z "$key" ] || peer=$(awk -v k="$key" '$1 == k { print $2 }' "$work/vendor")
  [ -z "$peer" ] || aim="${aim:+$aim; }vendor $peer"
  say "$group" "$name" "$ms" "$rate" TFLOP/s "${peer:+$(calc "$rate / $peer")}" "$aim"
  [ $kernels_too = 0 ] || profile 6
}

# ---- aims, for a data-centre GPU ------------------------------------------------------------------------------------

aim_copy="aim 85 %" aim_rows="aim 70 %" aim_vector="aim 75 %" aim_f32="aim 25-30" aim_bf16="aim 150-250"
aim_attention="aim 150 for D = 128" aim_wait="aim 2-3"
[ $small = 0 ] || aim_copy="" aim_rows="" aim_vector="" aim_f32="" aim_bf16="" aim_attention="" aim_wait=""
aim_host="aim 2 at most"

# ---- the vendor's library -------------------------------------------------------------------------------------------

: >"$work/vendor"
python=${PYTHON:-python3}
vendor() { # lines "key type m n k" -> $work/vendor: "key TFLOP/s"
  local nvcc
  cat >"$work/shapes"
  nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
  if "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    set -- "$python" "$tree/tests/bench/matmul_torch.py"
  elif [ -n "$nvcc" ] && "$nvcc" -O2 -o "$work/cublas" "$tree/tests/bench/matmul_cublas.c" -lcublas >"$work/err" 2>&1; then
    set -- "$work/cublas"
  else
    printf '\nno library of the vendor to compare products with: neither a python3 with torch (PYTHON=... names one) nor nvcc\n'
    return 0
  fi
  timeout $((2 * seconds)) "$@" <"$work/shapes" >"$work/vendor" 2>"$work/err" || printf '\n%s: %s\n' "$1" "$(tail -n 1 "$work/err")"
}

# ---- the table ------------------------------------------------------------------------------------------------------

[ $list = 1 ] || "$sinter" doctor | grep -E '^target vulkan *device' >/dev/null || { echo "no Vulkan device here: sinter doctor says why"; exit 77; }
elements=67108864
[ $small = 0 ] || elements=1048576
if [ $list = 0 ]; then
  "$sinter" doctor | grep -E '^vulkan.*(chosen|driver|facts|matrices)' || true
  copy_graph f32 $((elements / 1024)) 1024 >"$work/copy.sn"
  measure "$work/copy.sn" --graph copy || { echo "copy: $why"; exit 1; }
  copy_rate=$(calc "16 * $elements / ($ms * 1e6)")
  map_graph neg f32 $((elements / 1024)) 1024 >"$work/copy.sn"
  measure "$work/copy.sn" || { echo "copy by a kernel: $why"; exit 1; }
  kernel_rate=$(calc "8 * $elements / ($ms * 1e6)")
  printf '\ncopy of %s MB (read and written): %.1f GB/s by the driver, %.1f GB/s by a kernel; the faster is 100 %%\n' \
    $((elements * 4 / 1000000)) "$copy_rate" "$kernel_rate"
  [ "$(calc "($kernel_rate > $copy_rate)")" = 0 ] || copy_rate=$kernel_rate
fi

# group rows of one or two operands: OP TYPE ROWS COLUMNS
bytes_of() { case $1 in f32 | i32) echo 4 ;; *) echo 2 ;; esac; }
for spec in "neg f32" "neg bf16" "neg f16" "gelu f32" "gelu bf16" "add f32" "add bf16"; do
  read -r op type <<<"$spec"
  n=$((elements * 4 / $(bytes_of "$type")))
  streams=2
  [ $op = add ] && streams=3
  map_graph $op "$type" $((n / 1024)) 1024 >"$work/map.sn"
  moves elementwise "$op $type" $((streams * n * $(bytes_of "$type"))) "$aim_copy" "$work/map.sn"
done
for spec in "layernorm f32 768" "layernorm f32 4096" "layernorm f32 8192" "layernorm bf16 4096" "rmsnorm f32 768" "rmsnorm f32 4096" "rmsnorm f32 8192" \
  "rmsnorm bf16 4096" "softmax f32 768" "softmax f32 4096" "softmax f32 8192" "softmax bf16 4096"; do
  read -r op type width <<<"$spec"
  rows=$((elements * 4 / $(bytes_of "$type") / width))
  rows_graph $op "$type" $rows $width >"$work/rows.sn"
  moves "norms, softmax" "$op $type, $rows rows of $width" $((2 * rows * width * $(bytes_of "$type"))) "$aim_rows" "$work/rows.sn"
done
rows=4096 width=50257
[ $small = 0 ] || rows=64
for graph in loss gradient; do
  loss_graph $rows $width >"$work/loss.sn"
  streams=1
  [ $graph = loss ] || streams=2
  moves "norms, softmax" "cross entropy, $graph, $rows rows of $width" $((streams * rows * width * 4)) "$aim_rows" "$work/loss.sn" --graph $graph
done

# Weights one after the other, more than a cache holds.
for spec in "f32 4096 4096 8 kn" "f32 4096 4096 8 nk" "f32 4096 14336 2 kn" "bf16 4096 4096 16 kn" "bf16 4096 4096 16 nk" "bf16 4096 14336 4 kn"; do
  read -r type k n count order <<<"$spec"
  [ $small = 0 ] || { k=$((k / 16)) n=$((n / 16)) count=2; }
  vector_graph "$type" $k $n $count $order >"$work/vector.sn"
  moves "matrix times vector" "$type $k x $n ($order), $count of them" $((count * k * n * $(bytes_of "$type"))) "$aim_vector" "$work/vector.sn"
done

# NAME M N K SPEC: letters of the operands
products="cube1024 1024 1024 1024 mk,kn
cube4096 4096 4096 4096 mk,kn
cube4096nk 4096 4096 4096 mk,nk
cube4096km 4096 4096 4096 km,kn
qkv 8192 2304 768 mk,kn
fc 8192 3072 768 mk,kn
proj 8192 768 3072 mk,kn
dW 768 3072 8192 km,kn
head 8192 50257 768 mk,nk"
[ $small = 0 ] || products="cube128 128 128 128 mk,kn
cube128nk 128 128 128 mk,nk
odd 100 96 80 km,kn"
if [ $list = 0 ] && chosen products f32-bf16; then
  printf '%s\n' "$products" | awk '{ print "f32-" $1, "f32", $2, $3, $4; print "bf16-" $1, "bf16", $2, $3, $4; if (NR <= 2) print "f16-" $1, "f16", $2, $3, $4 }' | vendor
fi
product_rows() { # GROUP TYPE AIM
  local name m n k spec
  while read -r name m n k spec; do
    product_graph "$2" "$m" "$n" "$k" "$spec" >"$work/product.sn"
    computes "$1" "$2 $name, $m x $n x $k ($spec)" $((2 * m * n * k)) "$3" "$2-$name" "$work/product.sn"
  done <<<"$products"
}
product_rows "products, f32" f32 "$aim_f32"
product_rows "products, bf16" bf16 "$aim_bf16"
products=$(awk 'NR <= 2' <<<"$products")
product_rows "products, f16" f16 "$aim_bf16"
export SN_VULKAN_WITHOUT=${SN_VULKAN_WITHOUT:+$SN_VULKAN_WITHOUT,}matrix
product_rows "products, bf16, without cooperative matrices" bf16 "$aim_f32"
SN_VULKAN_WITHOUT=${SN_VULKAN_WITHOUT%matrix} SN_VULKAN_WITHOUT=${SN_VULKAN_WITHOUT%,}
[ -n "$SN_VULKAN_WITHOUT" ] || unset SN_VULKAN_WITHOUT

shapes="8 1024 12 64
2 4096 12 64
8 1024 16 128
2 4096 16 128"
[ $small = 0 ] || shapes="1 96 2 32"
for type in f32 bf16; do
  while read -r b t h d; do
    attention_graph $type "$b" "$t" "$h" "$d" >"$work/attention.sn"
    flops=$((2 * b * h * t * (t + 1) * d)) # half of 4 b h t t d is masked
    computes "causal attention, $type" "forward, B=$b T=$t H=$h D=$d" $flops "$aim_attention" "" "$work/attention.sn" --graph forward
    computes "causal attention, $type" "forward and gradients, B=$b T=$t H=$h D=$d" $((flops * 7 / 2)) "" "" "$work/attention.sn" --graph gradient
  done <<<"$shapes"
done

# Kernels of a few elements, each waiting for the one before: what a dispatch costs.
count=256
chain_graph $count >"$work/chain.sn"
if chosen dispatches "small kernels"; then
  if [ $list = 1 ]; then
    echo "dispatches: small kernels"
  elif measure "$work/chain.sn" --fuse none; then
    say dispatches "small kernels in a row, $kernels, each" "$ms" "$(calc "$ms * 1000 / $kernels")" us "" "$aim_wait"
    say dispatches "the same, processor time, each" "$caller_ms" "$(calc "$caller_ms * 1000 / $kernels")" us "" "$aim_host"
  else
    sorry dispatches "small kernels"
  fi
fi

# ---- GPT-2 ----------------------------------------------------------------------------------------------------------

# whole GROUP NAME GRAPH TOKENS FLOPS BYTES OPTIONS...: tokens per second, and a profile
whole() {
  local group=$1 name=$2 graph=$3 tokens=$4 flops=$5 bytes=$6
  shift 6
  chosen "$group" "$name" || return 0
  [ $list = 0 ] || { echo "$group: $name"; return 0; }
  gpt_graph "$graph" || { why=$(head -n 1 "$work/err"); sorry "$group" "$name"; return 0; }
  measure "$gpt" "$@" || { sorry "$group" "$name"; return 0; }
  say "$group" "$name" "$ms" "$(calc "$tokens / ($ms * 1e-3)")" tokens/s "" "$kernels kernels; with the host $(calc "$host_ms") ms"
  if [ "$flops" != 0 ]; then
    say "$group" "$name, products of the weights" "$ms" "$(calc "$flops / ($ms * 1e9)")" TFLOP/s "" "6 x parameters x tokens"
  else
    say "$group" "$name, weights read once, as f32" "$ms" "$(calc "$bytes / ($ms * 1e6)")" GB/s "$(calc "$bytes / ($ms * 1e6) / $copy_rate")" "$aim_vector"
  fi
  say "$group" "$name, processor time of a dispatch" "$caller_ms" "$(calc "$caller_ms * 1000 / $kernels")" us "" "$aim_host"
  profile
}
parameters=124318464 batch=4 length=256
[ $small = 0 ] || { parameters=$((257 * 64 + 64 * 64 + 2 * (12 * 64 * 64 + 2 * 64) + 64)) batch=2 length=32; }
for precision in f32 bf16; do
  whole "GPT-2, training step" "$precision, B=$batch T=$length" train $((batch * length)) $((6 * parameters * batch * length)) 0 \
    --graph train --precision $precision --dim B=$batch --dim T=$length
done
[ $small = 1 ] || whole "GPT-2, training step" "bf16, B=8 T=1024" train 8192 $((6 * parameters * 8192)) 0 --graph train --precision bf16 --dim B=8 --dim T=1024
for precision in f32 bf16; do # weights lie there as f32, whatever they are multiplied in
  whole "GPT-2, one token" "$precision, B=1" decode 1 0 $((4 * parameters)) --graph decode --precision $precision --dim B=1
done

if [ -n "$json" ] && [ $list = 0 ]; then
  device=$("$sinter" doctor | sed -n 's/^vulkan [0-9]* *\(.*\); chosen.*/\1/p' | tr -d '"\\')
  { printf '{"device": "%s", "small": %s, "copy_gb_s": %s, "rows": [' "$device" "$([ $small = 1 ] && echo true || echo false)" "$copy_rate"
    cat "$work/json" 2>/dev/null || true; printf ']}\n'; } >"$json"
fi
[ $failed = 0 ] || { printf '\n%d rows have no figure\n' "$failed"; exit 1; }
