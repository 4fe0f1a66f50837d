#!/usr/bin/env bash
# The native executable: in an empty folder with an empty environment it writes what the command writes, and needs only libc, libm, libgomp.
. "$(dirname "$0")/common.sh"
skip_without_cpu
cat "$TREE"/ir/base/*.c > "$scratch/text"
expect 0 "$SINTER" train "$TREE/models/gpt.c" --data "$scratch/text" --set layers=1 --set heads=2 --set width=16 --set context=16 --batch 4 --eval-batches 2 --steps 10 --out "$scratch/run"
expect 0 "$SINTER" inspect "$scratch/run/model.plan"
gen="generate $scratch/run --prompt int --tokens 40"
expect 0 "$SINTER" $gen --temperature 0
cp "$scratch/stdout" "$scratch/greedy"
# the executable: nothing around it, the same text
expect 0 "$SINTER" build "$scratch/run" -o "$scratch/native"
mkdir "$scratch/nothing"
(cd "$scratch/nothing" && env -i "$scratch/native" --prompt int --tokens 40 --temperature 0) > "$scratch/stdout" || die "the executable failed"
cmp -s "$scratch/stdout" "$scratch/greedy" || die "the executable writes another text"
expect 0 "$SINTER" $gen --seed 5 --tokens 256
cp "$scratch/stdout" "$scratch/seed5"
expect 0 "$scratch/native" --prompt int --tokens 256 --seed 5
cmp -s "$scratch/stdout" "$scratch/seed5" || die "256 sampled tokens differ between executable and command"
expect 0 "$scratch/native" --help
expect 2 "$scratch/native"
expect 2 "$scratch/native" --prompt x --tokens many
if command -v ldd >/dev/null; then
  ldd "$scratch/native" > "$scratch/libs"
  grep -q libasan "$scratch/libs" || ! grep -v -E 'linux-vdso|libc\.so|libm\.so|libgomp|libdl\.so|libpthread\.so|ld-linux|libasan|libubsan' "$scratch/libs" || die "the executable needs more than libc, libm and libgomp"
fi
program=$(dirname "$SINTER")/sinter-run
strip -o "$scratch/stripped" "$program" 2>/dev/null || cp "$program" "$scratch/stripped"
bytes=$(( $(stat -c %s "$scratch/stripped") + $(stat -c %s "$scratch/run/model.plan") ))
case $(ldd "$program" 2>/dev/null) in *libasan*) ;; *) [ "$bytes" -le 1000000 ] || die "stripped program and plan: $bytes bytes, 1,000,000 is the limit" ;; esac
head -c 200000 "$scratch/native" > "$scratch/cut" && chmod +x "$scratch/cut"
"$scratch/cut" --prompt x >/dev/null 2>&1 && die "a truncated executable runs"
exit 0
