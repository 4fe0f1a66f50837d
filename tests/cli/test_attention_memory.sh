#!/usr/bin/env bash
# Variants by score and mask of models/attention are attention and nothing else, values and all gradients, of a sequence of
# 16384: no product of its own, and what is kept grows with the length, not its square.
. "$(dirname "$0")/common.sh"
on=$(kernel_target)

for stem in window bigbird tree alibi t5 kerple sigmoid; do
  expect 0 "$SINTER" explain "$TREE/models/attention/$stem.c" --graph gradients --dim B=1 --dim T=16384 --target "$on" --json
  cp "$scratch/stdout" "$scratch/report"
  prints "\"attention.$stem\""
  prints "attention_grad.$stem"
  ! finds '"kind": "contract"' "$scratch/report" || die "$stem: products outside of attention"
  peak=$(sed -n 's/.*"peak[a-z_]*": \([0-9]*\).*/\1/p' "$scratch/report" | head -n 1)
  [ -n "$peak" ] || die "$stem: no peak in $(tail -n 5 "$scratch/report")"
  [ "$peak" -lt $((16 << 20)) ] || die "$stem: $peak bytes"
done

# Exact top-k takes all scores: the check can fail.
expect 0 "$SINTER" explain "$TREE/models/attention/topk.c" --graph gradients --dim B=1 --dim T=16384 --target "$on" --json
finds '"kind": "contract"' "$scratch/stdout" || die "top-k without products"
