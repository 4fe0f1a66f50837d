#!/usr/bin/env bash
# The campaign of feature levels, with a command in place of sinter that only says what it was asked: every piece of work
# is done once, on its level; a level that the machine lacks is made only; what failed is named, kept and done again.
. "$(dirname "$0")/common.sh"
campaign=$TREE/tests/fuzz/levels.sh
state=$scratch/state
cat >"$scratch/sinter" <<'STUB'
#!/usr/bin/env bash
echo "$* without=${SN_CPU_WITHOUT-}" >>"$ASKED"
case $1 in
  doctor) echo "feature level          avx512" ;;
  conformance) echo "{\"backend\": \"llvm\", \"$5\": {\"run\": 4, \"refused\": 1, \"failed\": 0, \"there\": 100}, \"conforms\": true}" ;;
  fuzz) [ -z "${BROKEN-}" ] || [ "$6" != 25 ] || { echo '{"graphs": 25, "failed": 2}'; exit 6; }; echo '{"graphs": 25, "refused": 0, "failed": 0}' ;;
esac
STUB
chmod +x "$scratch/sinter"
export ASKED=$scratch/asked SN_LEVEL_GRAPHS=50
asked() { grep -c -- "$1" "$ASKED"; }

BROKEN=1 expect 1 "$campaign" "$scratch/sinter" "$state" 0 avx2 amx
prints "avx2        graphs       50 run, 0 refused, 2 failed"
prints "amx         graphs       32 made, 8 refused, 0 failed"
prints "; 2 failed; commits:"
[ "$(asked 'fuzz graph .* without=avx512$')" = 2 ] || die "graphs of avx2 are not those of a processor with it: $(cat "$ASKED")"
[ "$(asked 'conformance --isa amx --part graphs')" = 8 ] || die "code for amx is not made: $(cat "$ASKED")"
[ "$(asked 'conformance --isa avx2 --part kernels --seed')" = 2 ] || die "not all kernels once: $(cat "$ASKED")"
[ -e "$state/failures/avx2.random.25" ] || die "what failed is not kept"
: >"$ASKED"
expect 0 "$campaign" "$scratch/sinter" "$state" 0 avx2 amx
[ "$(asked '--seed')" = 1 ] || die "more or less than what failed was done again: $(cat "$ASKED")"
prints "; 0 failed; commits:"
rm -r "$state"
: >"$ASKED"
expect 0 "$campaign" "$scratch/sinter" "$state" avx2 # no seconds: a level
[ "$(asked 'fuzz graph .* without=avx512$')" = 2 ] || die "avx2 is no level: $(cat "$ASKED")"
[ "$(asked '--isa amx')" = 0 ] || die "another level than avx2: $(cat "$ASKED")"
rm -r "$state"
expect 0 "$campaign" "$scratch/sinter" "$state" 0 baseline
[ "$(asked 'without=avx2$')" = 2 ] || die "graphs of the baseline are not those of such a processor"
exit 0
