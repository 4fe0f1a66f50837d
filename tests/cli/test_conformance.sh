#!/usr/bin/env bash
# The suite of backends: the template passes it; one that makes wrong code, writes where it may not, or refuses its work
# does not.
. "$(dirname "$0")/common.sh"
expect 0 "$SINTER" conformance --target template -n 20
prints "conforms"
grep -q '^programs .* 0 failed.* \([0-9]*\) of \1 ops' "$scratch/stdout" || die "not every kernel op: $(cat "$scratch/stdout")"
grep -q '^graphs .* 0 failed.* \([0-9]*\) of \1 ops' "$scratch/stdout" || die "not every op: $(cat "$scratch/stdout")"
expect 2 "$SINTER" conformance --target ref
expect 3 "$SINTER" conformance --backend "$TREE/README.md" -n 1

# copies of the template with a mistake each
planted() { # NAME SED-SCRIPT EXPECTED
  sed "$2" "$TREE/backends/template/template.c" >"$scratch/$1.c"
  cmp -s "$scratch/$1.c" "$TREE/backends/template/template.c" && die "$1: nothing was changed"
  expect 0 ${CC:-cc} -std=c17 -fPIC -shared -DSN_PLUGIN -I"$TREE" "$scratch/$1.c" -o "$scratch/$1.so"
  expect 6 "$SINTER" conformance --backend "$scratch/$1.so" -n 12 "$TREE/models/mlp.sn" --json
  prints '"conforms": false'
  grep -q "$3" "$scratch/stdout" || die "$1: $(cat "$scratch/stdout")"
}
# shellcheck disable=SC2016
planted add 's/sn_kernel_print(&text, k);/sn_kernel_print(\&text, k); char *at = strstr(text.at, "= add "); if (at) memcpy(at, "= sub ", 6);/' '"graphs": {"run": [0-9]*, "refused": 0, "failed": [1-9]'
planted refuse 's/^  return true;/  return *why = "no", false;/' '"programs": {"run": 0, "refused": 12, "failed": [1-9]'
# the same backend is reduced and bisected: the commands that are printed name it
printf 'sinter 1\ngraph @g {\n  %%1 = input name "x" : f32[4]\n  %%2 = exp %%1 : f32[4]\n  %%3 = add %%1, %%2 : f32[4]\n  %%4 = tanh %%3 : f32[4]\n  output "y" = %%4\n}\n' >"$scratch/sum.sn"
expect 0 "$SINTER" reduce "$scratch/sum.sn" --backend "$scratch/add.so" -o "$scratch/small.sn"
grep -q -- "--backend $scratch/add.so" "$scratch/small.sn" || die "the command lacks the backend: $(cat "$scratch/small.sn")"
command=$(sed -n 's/^.. sinter run /run /p' "$scratch/small.sn")
# shellcheck disable=SC2086
expect 6 "$SINTER" $command
expect 6 "$SINTER" bisect "$scratch/sum.sn" --backend "$scratch/add.so" -o "$scratch/small.sn"
prints "pass template"
exit 0
