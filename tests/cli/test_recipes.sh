#!/usr/bin/env bash
# sinter recipe: what there is, mistakes, and one recipe: what it prints and writes.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1

expect 0 "$SINTER" recipe --list
prints 'tp.causal '
expect 0 "$SINTER" recipe --list --json
python3 -c 'import json, sys; rows = json.load(open("stdout")); assert any(r["id"] == "tp.causal" and r["slide"] == 4 for r in rows)' 2>/dev/null ||
  ! command -v python3 >/dev/null || die "--list --json is no JSON"
expect 2 "$SINTER" recipe
expect 2 "$SINTER" recipe tp.casual
says 'did you mean "tp.causal"?'
expect 2 "$SINTER" recipe --rows nosuch
expect 2 "$SINTER" recipe tp.causal --all
expect 2 "$SINTER" recipe tp.causal --target nosuch

skip_without_cpu
expect 0 "$SINTER" recipe tp.causal --quick --out report
prints 'tp.causal PASS'
prints 'rejected'
for f in recipes.json recipes.md tp.causal.svg; do [ -s "report/$f" ] || die "no report/$f"; done
finds '"pass": true' <report/recipes.json || die "the result is not in recipes.json"
finds '| tp.causal | 4 | control |' <report/recipes.md || die "no row of the control in recipes.md"
