#!/usr/bin/env bash
# What explain says of masks: the share of empty, full and partial blocks, and how each was proven.
. "$(dirname "$0")/common.sh"
cat > "$scratch/m.c" <<'C'
#include "sinter.h"
SN_SETTINGS(opts, (int, layers, 2, "layers"));
typedef struct { sn_t doc; } packed;
static sn_t documents_mask(sn_site at, const void *opt) {
  sn_t doc = ((const packed *)opt)->doc;
  return sn_and(sn_causal(at, NULL), sn_eq(sn_index(doc, at.batch, at.q), sn_index(doc, at.batch, at.k)));
}
static sn_t local_mask(sn_site at, const void *opt) {
  (void)opt;
  return sn_eq(sn_floordiv(at.q, 64), sn_floordiv(at.k, 64));
}
static sn_t input(sn_scope m) {
  return sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), sn_sym(m, "T", .max = 4096), 2, 16));
}
static void documents(sn_scope m, const opts *c) {
  sn_t x = input(m);
  packed o = {sn_input(m, "doc", SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = 4096)))};
  for (int i = 0; i < c->layers; i++) x = sn_attention(x, x, x, .mask = documents_mask, .opt = &o, .name = "documents");
  sn_output(m, "y", x);
}
static void local(sn_scope m, const opts *c) {
  sn_t x = input(m);
  (void)c;
  sn_output(m, "y", sn_attention(x, x, x, .mask = local_mask, .name = "local"));
}
static void causal(sn_scope m, const opts *c) {
  sn_t x = input(m);
  (void)c;
  sn_output(m, "y", sn_attention(x, x, x, .mask = sn_causal));
}
SN_MODEL(m, opts, documents, local, causal);
C
t="--target $(kernel_target) --dim B=1 --dim T=1024"
report() { expect 0 "$SINTER" explain "$scratch/m.c" $t --graph "$@"; }

report local --json
prints '"block": [64, 64], "empty": 240, "partial": 0, "full": 16, "proof": "map"}'
report local
prints '  attention.local, 64 queries by 64 keys: 93.8% empty, 6.2% full, 0.0% partial by index expressions (a map)'

report causal --json
prints '"block": [64, 64], "empty": 120, "partial": 16, "full": 120, "proof": "bounds"}'

# operations are those of blocks that are not empty: 4 x 64 x 64 x 16 of each head and block
work() { sed -n 's/.*"kind": "attend".*"flops": \([0-9]*\).*/\1/p' "$scratch/stdout" | head -n 1; }
report local --json
[ "$(work)" = $((16 * 2 * 262144)) ] || die "local: $(work) operations of 16 blocks"
report causal --json
[ "$(work)" = $((136 * 2 * 262144)) ] || die "causal: $(work) operations of 136 blocks"
report documents --json
[ "$(work)" = $((136 * 2 * 262144)) ] || die "documents: $(work) operations of at most 136 blocks"

# one map for both layers; what the documents are is not known here, but half is empty whatever they are
report documents
prints 'attention.documents, 2 times, 64 queries by 64 keys: 46.9% empty, 0.0% full by index expressions, 53.1% at run time from doc (i32[B, T]) (a map)'
report documents --json
prints '"nodes": 2'
prints '"at_run_time": "doc (i32[B, T])"'
[ "$(grep -c '"kind": "attend"' "$scratch/stdout")" = 2 ] || die "two kernels of attention expected"
[ "$(grep -c '"kind": "\(map\|rows\)"' "$scratch/stdout")" = 2 ] || die "a map is made by two kernels, once"

# without maps every block is partial
report documents --json --disable blocks
[ "$(grep -c '"kind": "\(map\|rows\)"' "$scratch/stdout")" = 0 ] || die "kernels of a map that is switched off"

# documents whose ids are index values are known
cat > "$scratch/known.sn" <<'SN'
sinter 1
dims { B: 1..4, T: 1..4096 }
body @m {
  %b = arg index 0 : i32[]
  %h = arg index 1 : i32[]
  %q = arg index 2 : i32[]
  %k = arg index 3 : i32[]
  %d = arg index 4 : i32[T]
  %i = index %d, %q : i32[]
  %j = index %d, %k : i32[]
  %m = eq %i, %j : bool[]
  return %m
}
graph @g {
  %t = iota axis 0 : i32[T]
  %n = const value 256 : i32[T]
  %d = div %t, %n : i32[T]
  %q = input name "q" : f32[B, T, 2, 16]
  %y, %l = attention %q, %q, %q, %d scale 0.2 mask @m : f32[B, T, 2, 16], f32[B, 2, T]
  output "y" = %y
}
SN
expect 0 "$SINTER" explain "$scratch/known.sn" $t
prints '  attention, 64 queries by 64 keys: 75.0% empty, 25.0% full, 0.0% partial by index expressions (a map)'

# an element for each query and key, made by the graph: counted while that is no work to speak of
cat > "$scratch/dense.sn" <<'SN'
sinter 1
dims { B: 1..4, T: 1..65536 }
body @m {
  %b = arg index 0 : i32[]
  %h = arg index 1 : i32[]
  %q = arg index 2 : i32[]
  %k = arg index 3 : i32[]
  %d = arg index 4 : bool[T, T]
  %m = index %d, %q, %k : bool[]
  return %m
}
graph @g {
  %i = iota axis 0 : i32[T, T]
  %j = iota axis 1 : i32[T, T]
  %x = xor %i, %j : i32[T, T]
  %n = const value 64 : i32[T, T]
  %d = lt %x, %n : bool[T, T]
  %q = input name "q" : f32[B, T, 2, 16]
  %y, %l = attention %q, %q, %q, %d scale 0.2 mask @m : f32[B, T, 2, 16], f32[B, 2, T]
  output "y" = %y
}
SN
soon() { (ulimit -t 60; exec timeout 900 "$@"); } # seconds of the processor
dense="$scratch/dense.sn --target $(kernel_target) --dim B=1"
expect 0 "$SINTER" explain $dense --dim T=256
prints '  attention, 64 queries by 64 keys: 75.0% empty, 25.0% full, 0.0% partial by index expressions (a map)'
expect 0 soon "$SINTER" explain $dense --dim T=32768
prints '  attention, 64 queries by 64 keys: too many to count (a map)'

# values that share what they are made of are looked at once each
{
  sed '/%d = div/,$d' "$scratch/known.sn"
  echo '  %x0 = mul %t, %n : i32[T]'
  echo '  %x1 = add %x0, %t : i32[T]'
  for i in $(seq 2 60); do echo "  %x$i = xor %x$((i - 1)), %x$((i - 2)) : i32[T]"; done
  sed -n '/%d = div/,$p' "$scratch/known.sn" | sed '1d; s/%d\b/%x60/g'
} > "$scratch/shared.sn"
expect 0 soon "$SINTER" explain "$scratch/shared.sn" $t
prints ' by index expressions (a map)'
