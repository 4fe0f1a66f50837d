#!/usr/bin/env bash
# A variant of attention has a name: in dumps, explain and bench, from a model in C or from text, forward and backward.
. "$(dirname "$0")/common.sh"
shows() { grep -q "$1" "$scratch/stdout" || { cat "$scratch/stdout"; die "$2 does not show $1"; }; }

cat > "$scratch/m.c" <<'C'
#include "sinter.h"
SN_SETTINGS(opts, (int, heads, 2, "heads"));
static sn_t bell(sn_t s, sn_site at, const void *opt) { return (void)at, (void)opt, sn_reciprocal(sn_add(1, sn_square(s))); }
static sn_t divide(sn_t y, sn_t total, const void *opt) { return (void)opt, sn_div(y, sn_add(1, total)); }
static void g(sn_scope m, const opts *c) {
  sn_dim B = sn_sym(m, "B"), T = sn_sym(m, "T", .max = 64);
  sn_t q = sn_input(m, "q", SN_REAL, (B, T, c->heads, 8)), k = sn_input(m, "k", SN_REAL, (B, T, c->heads, 8)), dk;
  sn_t y = sn_attention(q, k, k, .mask = sn_causal, .normaliser = {bell, divide}, .name = "bell");
  sn_grad(sn_sum(y, "bthd->"), (k), (&dk));
  sn_output(m, "y", y);
  sn_output(m, "dk", dk);
}
SN_MODEL(named, opts, g);
C
expect 0 "$SINTER" dump "$scratch/m.c" --target template
shows "= attention.bell %" dump
cp "$scratch/stdout" "$scratch/m.sn"
for file in m.c m.sn; do
  expect 0 "$SINTER" explain "$scratch/$file" --target template
  shows " attention.bell " "explain $file"
  shows " attention_grad.bell" "explain $file"
  expect 0 "$SINTER" bench "$scratch/$file" --target template --dim B=1 --dim T=5 --repeat 1 --profile
  shows " attention.bell " "bench $file"
  shows " attention_grad.bell" "bench $file"
done

# Every variant of models/attention but those without scores of pairs (products and scans of their own), both streams of
# permuted order and every normaliser among them.
for file in "$TREE"/models/attention/*.c; do
  stem=$(basename "$file" .c)
  case $stem in favor | linear | topk) continue ;; esac
  expect 0 "$SINTER" dump "$file" --graph forward --target template
  shows "= attention.$stem %" "dump $stem"
done
expect 0 "$SINTER" explain "$TREE/models/attention/permutation.c" --graph gradients --set query_stream=1 --target template
shows " attention.permutation " "explain permutation"
shows " attention_grad.permutation" "explain permutation"
