#!/usr/bin/env bash
# sinter recipe: what there is, mistakes, and one recipe: what it prints and writes.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1

expect 0 "$SINTER" recipe --list
prints 'tp.causal '
expect 0 "$SINTER" recipe --list --json
python3 -c 'import json, sys; rows = json.load(open("stdout")); assert any(r["id"] == "tp.causal" and r["slide"] == 4 for r in rows) and all(r["oracle"] for r in rows)' 2>/dev/null ||
  ! command -v python3 >/dev/null || die "--list --json is no JSON"
"$SINTER" recipe --list | awk '$2 != "slide" || $3 !~ /^[0-9]+$/ || !($4 == "-" || $5 == "s") || NF < 7' | grep . && die "--list: rows without slide, time or words"
# docs/systems.md has the rows that there are; of their checks each recipe's own test sees
table=$TREE/docs/systems.md
if [ -e "$table" ]; then
  diff <("$SINTER" recipe --list | awk '{ print $1 }' | sort) <(awk -F ' [|] ' 'NF > 5 && $2 ~ /^[0-9]+$/ { sub("^[|] ", "", $1); print $1 }' "$table" | sort) >&2 ||
    die "docs/systems.md, a copy of what \`sinter recipe --all --out DIR\` writes, has other rows"
fi
# mistakes end before anything is compiled
mistaken() { # TEXT ARGUMENTS...
  local text=$1
  shift
  expect 2 timeout 60 "$SINTER" recipe "$@"
  says "$text"
  [ ! -s stdout ] || die "work began: $(cat stdout)"
}
mistaken 'needs an id, --all or --list'
mistaken '--list names all recipes' --list tp.causal
mistaken '--list names all recipes' --list --rows tp
mistaken 'unknown target nosuch' tp.causal --target nosuch
mistaken 'did you mean "tp.causal"?' tp.casual
mistaken 'no such family' --rows nosuch
mistaken '--rows nosuch' --rows tp,nosuch
mistaken 'names no family' --rows ,
mistaken '--all and --rows choose others' tp.causal --all
mistaken '--seed' tp.causal --seed x
mistaken '--seed' tp.causal --seed -1
mistaken '--seeds' tp.causal --seeds 0
mistaken '--seeds runs seeds 1 to N' tp.causal --seeds 2 --seed 3
mistaken '--threads' tp.causal --threads 0
mistaken '--threads' tp.causal --threads many
touch taken
mistaken 'taken is no folder' tp.causal --out taken
expect 1 timeout 60 "$SINTER" recipe tp.causal --out taken/below
says taken
expect 2 "$SINTER" recipe tp.causal --target nosuch
says nosuch

# the interpreter has no kernels: checks about them are skipped and counted, all others hold
expect 0 "$SINTER" recipe dec.heads --quick --threads 1 --target ref --out exact
prints 'dec.heads PASS, 4 skipped: the interpreter has no kernels'
[ "$(grep -c '"skipped": "the interpreter has no kernels", "pass": true' exact/recipes.json)" = 4 ] || die "skipped checks are not in recipes.json"
[ "$(grep -c '^| dec.heads | .* | skipped |$' exact/systems.md)" = 4 ] || die "skipped checks are not in systems.md"

# what was done is there when a run is cut off
"$SINTER" recipe dec.heads tp.causal --quick --threads 1 --target ref --out cut >stdout 2>stderr </dev/null &
pid=$!
for _ in $(seq 30000); do [ -s cut/systems.md ] && break; sleep 0.02; done
kill -KILL $pid
wait $pid && die "it ended by itself"
finds '| dec.heads | 6 | ' <cut/systems.md || die "no row of dec.heads"
finds 'Cut off after 1 of 2 rows' <cut/systems.md || die "systems.md does not say that it is a part"
[ "$(grep -c '"id"' cut/recipes.json)" = 1 ] || die "not one row in recipes.json"
! command -v python3 >/dev/null || python3 -c 'import json; assert json.load(open("cut/recipes.json"))[0]["pass"]' || die "recipes.json is no JSON"

skip_without_cpu
# the shortest of all, as every recipe is a test of its own
expect 0 "$SINTER" recipe tp.causal --quick --threads 1 --seeds 2 --out report
prints 'tp.causal seed 2 PASS'
prints 'rejected, worst at seed'
for f in recipes.json systems.md tp.causal.svg tp.causal.checks.svg tp.causal.metrics.jsonl; do [ -s "report/$f" ] || die "no report/$f"; done
[ "$(grep -c '"pass": true, "oracle": "[^"]' report/recipes.json)" = 2 ] || die "two runs are not in recipes.json"
finds '| tp.causal | control | ' <report/systems.md || die "no row of the control in systems.md"
finds '| tp.causal | 4 | ' <report/systems.md || die "no row of tp.causal in systems.md"
finds '^Oracle: next-token law' <report/systems.md || die "no oracle in systems.md"
finds '^- decoder: gpt, 26.91 k parameters; 400 steps of train, tokens.16, 64., rate 0.01; loss 0' <report/systems.md || die "what was trained is not in systems.md"
finds '"seed": 2, "of": "decoder", "step": ' <report/tp.causal.metrics.jsonl || die "no losses of seed 2"
[ "$(grep -c '"seed": 2, "kind": ' report/tp.causal.metrics.jsonl)" = "$(grep -c '^| tp.causal | [a-z]* | ' report/systems.md)" ] || die "other checks in the metrics"
[ "$(grep -c '<circle .* r="5"' report/tp.causal.checks.svg)" -ge 12 ] || die "no points in the chart of checks"
if command -v python3 >/dev/null; then
  python3 -c '
import json
for run in json.load(open("report/recipes.json")):
  assert run["checks"] and run["seconds"] > 0
  for t in run["trained"]: assert 0 < t["changed"] <= t["parameters"] and t["steps"] >= 40 and t["seconds"] > 0
for line in open("report/tp.causal.metrics.jsonl"): assert json.loads(line).keys() & {"of", "what"}' || die "results are no JSON"
fi
