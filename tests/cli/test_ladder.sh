#!/usr/bin/env bash
# sinter bench --ladder on a small GPT's training step: what fusion saves, rung by rung; what each kernel of a rung takes.
. "$(dirname "$0")/common.sh"
skip_without_cpu
cd "$scratch" || exit 1
bench="$SINTER bench $TREE/models/gpt.c --set layers=2 --set heads=2 --set width=32 --set context=16 --graph train --dim B=2 --dim T=16 --ladder --repeat 1 --threads 1"

expect 0 $bench --profile --json
if command -v python3 >/dev/null; then
  cat >check.py <<'EOT'
import json
rungs = json.load(open("stdout"))
assert [r["fuse"] for r in rungs] == 2 * ["none", "map", "map,rows", "map,rows,contract", "all"], rungs
whole, without = rungs[:5], rungs[5:]
assert all(r["optimiser"] for r in whole) and not any(r["optimiser"] for r in without)
for rungs in (whole, without):
    for a, b in zip(rungs, rungs[1:]):  # no rung has more of anything
        assert a["kernels"] >= b["kernels"] and a["bytes"] >= b["bytes"], (a, b)
    # Weights are not packed before the clock starts, as if nothing ever updated them.
    assert all(r["ahead"] == 0 for r in rungs), [r["ahead"] for r in rungs]
    for r in rungs:
        # Every step is there, and sums to what is said of products and of the rest.
        assert sum(s["kind"] != "" for s in r["steps"]) >= r["kernels"], r["kernels"]
        of_products = [s["kind"] in ("contract", "attend") for s in r["steps"]]
        for name, wanted in (("contract_ms", True), ("other_ms", False)):
            found = sum(s["ms"] for s, p in zip(r["steps"], of_products) if p == wanted)
            assert abs(found - r[name]) <= 1e-3 * r[name] + 1e-3, (name, found, r[name])
none, fused = whole[0], whole[4]
assert none["kernels"] >= 5 * fused["kernels"], (none["kernels"], fused["kernels"])
assert none["bytes"] >= 3 * fused["bytes"], (none["bytes"], fused["bytes"])
assert none["peak_bytes"] >= 2 * fused["peak_bytes"], (none["peak_bytes"], fused["peak_bytes"])
products = [sum("contract" in s["ops"].split() for s in r["steps"]) for r in (none, fused)]
assert products[0] <= 1.5 * products[1], products  # the same products; attention has four of the others
EOT
  python3 check.py || die "the rungs: $(cut -c1-300 stdout)"
fi

! sanitized || exit 0 # the rest runs the same code again, and is text

# as text: one line for all kernels that do the same, for the first and the last rung
expect 0 $bench --profile
prints "all against none"
prints "none, by what kernels do"
prints "all, by what kernels do"
[ "$(grep -c 'rows  *sum$' stdout)" -le 4 ] || die "kernels that do the same have lines of their own: $(cat stdout)"
expect 0 $bench
! grep -q "by what kernels do" stdout || die "kernels that nobody asked for"

# a graph that is not trained has weights that are packed ahead, and that is said
expect 0 "$SINTER" bench "$TREE/models/gpt.c" --set layers=1 --set heads=2 --set width=32 --set context=16 --graph eval --dim B=2 --repeat 1 --json
! grep -q '"ahead": 0,' stdout || die "nothing is packed: $(cat stdout)"
exit 0
