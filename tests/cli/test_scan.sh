#!/usr/bin/env bash
# Forms of recurrences: the choice and its reason in the report, --scan, states that are kept for chunks and not for steps.
. "$(dirname "$0")/common.sh"
delta="$TREE/models/recurrent/gated_deltanet.c"
t="--target template --graph train --set layers=1 --set heads=2 --set width=64 --set key=32 --set context=4096 --dim B=1"
states() { # bytes of the buffers of states of chunks, [.., 32, 32]
  grep -o '"bytes": [0-9]*, "first": [0-9]*, "last": [0-9]*, "type": "f32\[B, 2, floordiv(T + 63, 64), 32, 32\]"' "$scratch/stdout" |
    awk '{ gsub(",", "", $2); s += $2 } END { printf "%d", s }'
}

expect 0 "$SINTER" explain "$delta" $t --dim T=1024
prints "forms:"
prints "gated_deltanet.c:28: chunked: 64 steps a chunk, of which one state is kept; low rank solved in the chunk"
expect 0 "$SINTER" explain "$delta" $t --dim T=1024 --scan sequential
prints "gated_deltanet.c:28: sequential"
expect 0 "$SINTER" explain "$TREE/models/recurrent/lstm.c" --target template --graph eval
prints "sequential: not chunked, "
expect 0 "$SINTER" explain "$TREE/models/recurrent/gla.c" --target template --graph decode
prints "decode: one step"

# chunks of four heads in turn; small states are walked where that is predicted to be faster, unless the form is asked for
gla="$TREE/models/recurrent/gla.c --target template --graph prefill --set layers=1"
expect 0 "$SINTER" explain $gla --set key=64 --set width=256
prints "chunked: 32 steps a chunk, of which one state is kept; in turn, in one kernel; decay by channel; predicted at 0."
expect 0 "$SINTER" explain $gla --set key=64 --set width=256 --disable scan.in_turn
prints "chunked: 64 steps a chunk, of which one state is kept; decay by channel; predicted at "
expect 0 "$SINTER" explain "$TREE/models/recurrent/linear.c" --target template --graph prefill --set layers=1 --set key=64 --set width=256
prints "in turn, in one kernel a state; predicted at 0."
[ "$(grep -c '^ *[0-9][0-9]* scan ' "$scratch/stdout")" = 2 ] || die "not one kernel a state"
expect 0 "$SINTER" explain $gla
prints "sequential: not chunked, though the step has the form: chunks of 16 steps are predicted at 1."
expect 0 "$SINTER" explain $gla --scan chunked
prints "chunked: 16 steps a chunk"

# one state a chunk: T / 64 of them, no buffer with one a step
expect 0 "$SINTER" explain "$delta" $t --dim T=1024 --json
short=$(states)
[ "$short" -gt 0 ] || die "no states of chunks"
grep -q 'T, 2, 32, 32' "$scratch/stdout" && die "a state is kept for every step"
expect 0 "$SINTER" explain "$delta" $t --dim T=4096 --json
[ "$(states)" -eq $((4 * short)) ] || die "states: $short bytes for 1024 steps, $(states) for 4096"

for form in half chunked:0 chunked:x; do
  expect 2 "$SINTER" explain "$delta" --target template --scan $form
  says "unknown form $form of recurrences"
done
