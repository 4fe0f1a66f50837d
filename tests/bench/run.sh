#!/usr/bin/env bash
# ./dev bench: kernels against the machine's limit, the fusion ladder, a training step against PyTorch if a python3 with torch is found
# (PYTHON=... names one). Runs are interleaved; ratios are what counts.      usage: tests/bench/run.sh BUILD-DIR [threads]
set -euo pipefail
build=$1
threads=${2:-2}
tree=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}

if [ -x "$build/tests/bench/bench_kernels" ]; then
  echo "== kernels, one thread"
  "$build/tests/bench/bench_kernels"
fi

echo "== 1024^3 through the whole pipeline, a frozen operand, one thread"
for f in gemm gemm_bf16; do
  "$build/sinter" bench "$tree/tests/bench/$f.sn" --graph forward --dim M=1024 --threads 1 --repeat 50 | tail -n 2
done

echo "== attention 12 x 1024 x 64 with gradients, heads contiguous and as a model has them, one thread"
for g in heads model heads model; do
  "$build/sinter" bench "$tree/tests/bench/attention.sn" --graph $g --dim B=1 --dim T=1024 --threads 1 --repeat 15 --profile | grep attend | sed "s/^/$g /"
done

echo "== ladder: models/gpt.c, $threads threads"
"$build/sinter" bench "$tree/models/gpt.c" --ladder --threads "$threads"

echo "== training step: width 384, 6 layers, 6 heads, B = 8, T = 256, f32, AdamW, $threads threads"
step() {
  "$build/sinter" bench "$tree/models/gpt.c" --set layers=6 --set heads=6 --set width=384 --set context=256 --set vocab=65 --dim B=8 --dim T=256 \
    --threads "$threads" --repeat 5 --json | sed 's/.*"median_ms": \([0-9.e+-]*\).*/\1/'
}
peer() {
  MALLOC_TOP_PAD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_MMAP_MAX_=0 \
    "$python" "$tree/tests/bench/gpt_torch.py" 6 6 384 256 65 8 "$threads" 5
}
if ! "$python" -c 'import torch' 2>/dev/null; then
  echo "sinter $(step) ms; PyTorch: not found"
  exit 0
fi
for _ in 1 2 3; do
  a=$(step) b=$(peer)
  awk -v a="$a" -v b="$b" 'BEGIN { printf "sinter %.1f ms   PyTorch eager %.1f ms   ratio %.2f\n", a, b, b / a }'
done
