#!/usr/bin/env bash
# Decoding reads keys and values where they lie, contiguous, in a ring and in pages: no copy, no gather, and the same bytes.
. "$(dirname "$0")/common.sh"
on=$(kernel_target)

read_by() { # STEM GRAPH: bytes that the first kernel of attention reads; nothing else is written than rows
  expect 0 "$SINTER" explain "$TREE/models/attention/$1.c" --graph "$2" --dim B=4 --set context=2048 --target "$on"
  ! finds -E 'gather|scatter_add|select| copy' "$scratch/stdout" || die "$1 $2: copies: $(cat "$scratch/stdout")"
  sed -n "s/^ *[0-9]* attend  *[0-9.]* [ kMG]  *\([0-9.]* [ kMG]*B\) .*attention[.]$1   .*/\1/p" "$scratch/stdout"
}

for stem in alibi window t5; do
  plain=$(read_by $stem decode)
  [ -n "$plain" ] || die "$stem: no attention in $(cat "$scratch/stdout")"
  for graph in decode_ring decode_paged; do
    found=$(read_by $stem $graph)
    [ "$found" = "$plain" ] || die "$stem $graph: reads $found, not $plain"
  done
done

# Pages of few rows are gathered: the check can fail.
expect 0 "$SINTER" explain "$TREE/models/attention/alibi.c" --graph decode_paged --set context=2048 --set page=4 --target "$on"
prints gather
expect 3 "$SINTER" explain "$TREE/models/attention/alibi.c" --graph decode_paged --set context=2048 --set page=100 --target "$on"
says "where n divides the 2048 positions of the cache"
