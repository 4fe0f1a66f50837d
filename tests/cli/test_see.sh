#!/usr/bin/env bash
# Looking at things: the page of explain, dumps after every pass, traces, inspect for every kind of file, SN_LOG and
# SN_DEBUG, and that every variable is in the one table.
. "$(dirname "$0")/common.sh"
gpt="$TREE/models/gpt.c"
t="--target $(target)"
cat "$TREE"/ir/base/*.c > "$scratch/text"
cd "$scratch" || exit 1
set="--set layers=2 --set heads=2 --set width=16 --set context=16"

# ---- explain --html -------------------------------------------------------------------------------------------------

expect 0 "$SINTER" explain "$gpt" $set --target template --graph train --html page.html
[ ! -s stdout ] || die "explain --html prints to stdout"
expect 0 "$SINTER" explain "$gpt" $set --target template --graph train --json
steps=$(grep -c '"kind": ' stdout)
[ "$(grep -c '<g class="k-' page.html)" = "$steps" ] || die "$(grep -c '<g class="k-' page.html) boxes for $steps kernels"
[ "$(grep -c '^<tr><td class="n">' page.html)" = "$steps" ] || die "rows of the table: $(grep -c '^<tr><td class="n">' page.html) for $steps kernels"
buffers=$(grep -c '"first": ' stdout)
drawn=$(sed -n '/class="plot"/,/<\/svg>/p' page.html | grep -c '<rect class="k-')
[ "$drawn" = "$buffers" ] || die "$drawn of $buffers buffers are drawn over time"
refused=$(grep -c '"reason": ' stdout)
[ "$(sed -n '/refused/,$p' page.html | grep -c '^<tr><td>')" = "$refused" ] || die "refused fusions: not $refused"
grep -q 'Times need' page.html || die "a roofline without times"
grep -E -q '<script|<link|<img|@import|url\(|https?:' page.html && die "the page needs something beside it"
for tag in html head body svg table thead tbody div g text title dl; do
  opened=$(grep -o "<$tag[ >]" page.html | wc -l) closed=$(grep -o "</$tag>" page.html | wc -l)
  [ "$opened" = "$closed" ] && [ "$opened" -gt 0 ] || die "<$tag>: $opened opened, $closed closed"
done
if [ "$t" = "--target cpu" ]; then
  expect 0 "$SINTER" explain "$gpt" $set --graph eval --dim B=2 --html roof.html
  grep -q 'Best of these kernels: [0-9.e+]* GB/s' roof.html || die "no roofline"
  grep -q '<circle class="k-contract"' roof.html || die "no point of a product"
fi
expect 1 "$SINTER" explain "$gpt" --target template --html /nowhere/page.html

# ---- names and lines of modules: of the model, and no part of what makes kernels equal -------------------------------

cp "$TREE/tests/cli/table.c" table.c
{ echo; cat table.c; } >lower.c
modules="--graph eval --target vulkan --isa threads=128 --no-cache"
for m in table lower; do
  expect 0 "$SINTER" dump $m.c $modules --emit kernel
  cp stdout $m.kernels
  expect 0 "$SINTER" dump $m.c $modules --emit spirv
  cp stdout $m.modules
  grep -q "OpString \"$m.c\"" $m.modules || die "modules do not name $m.c"
  grep -v -E 'OpLine|OpString' stdout >$m.code
done
line=$(grep -n 'return sn_cross_entropy' table.c | cut -d : -f 1)
grep -q -E "OpLine %[0-9]+ $line 0" table.modules || die "no instruction comes from line $line of table.c"
grep -q -E "OpLine %[0-9]+ $((line + 1)) 0" lower.modules || die "no instruction comes from line $((line + 1)) of lower.c"
cmp -s table.kernels lower.kernels || die "kernels depend on the lines of the model"
cmp -s table.code lower.code || die "code depends on the lines of the model"
expect 2 "$SINTER" run table.c --graph eval --target template --debug-info
says "names and lines in code are for target vulkan"

# ---- dump after every pass: each parses back, the next pass gives the same from it -----------------------------------

expect 2 "$SINTER" dump "$gpt" --pass nothing
cp stderr names
passes=$(sed -n 's/.*there are: \(.*\); behind.*/\1/p' names)
[ "$(echo $passes | wc -w)" -ge 12 ] || die "passes: $passes"
for p in $passes; do
  expect 0 "$SINTER" dump "$gpt" $set --graph train --pass "$p"
  mv stdout "$p.sn"
  expect 0 "$SINTER" opt "$p.sn" --pass none
  cmp -s stdout "$p.sn" || die "the dump after $p does not read back as it is"
done
# behind the graphs: kernels, and the plan
for p in $(sed -n 's/.*behind the graphs: //p' names); do
  expect 0 "$SINTER" dump "$gpt" $set --graph eval --pass "$p"
  mv stdout "$p.text"
  expect 0 "$SINTER" opt "$p.text"
done
grep -q ' = tanh \| = exp ' simplify.text || die "kernels without the pass math have no elementary functions"
! grep -q ' = tanh \| = exp ' math.text || die "kernels after the pass math have elementary functions"
[ "$(grep -c '=' lower.text)" -gt "$(grep -c '=' simplify.text)" ] || die "the pass simplify changes no kernel"
! cmp -s order.text memory.text || die "the pass memory changes no plan"
expect 2 "$SINTER" dump "$gpt" --graph eval --pass math --emit plan

# ---- traces ------------------------------------------------------------------------------------------------------------

expect 0 "$SINTER" train "$gpt" --data text $t $set --batch 4 --steps 3 --out run --trace train.json
for f in train; do
  expect 0 "$SINTER" inspect $f.json
  prints "Chrome trace"
done
grep -q '"name": "train", "cat": "run"' train.json || die "no slice of a step"
grep -q '"name": "eval", "cat": "run"' train.json || die "no slice of an evaluation"
grep -q '"thread_name", "args": {"name": "worker 0"}' train.json || die "no row of a thread"
if [ "$t" = "--target cpu" ]; then
  grep -q '"cat": "contract", "args": {"step": [0-9]*, "graph": "train", "ops": "[^"]*contract' train.json || die "no kernel"
  expect 0 "$SINTER" generate run --prompt int --tokens 4 --trace generate.json
  grep -q '"name": "decode", "cat": "run"' generate.json || die "no slice of decode"
  expect 0 "$SINTER" bench "$gpt" $set --graph eval --dim B=2 --repeat 1 --trace bench.json
  [ "$(grep -c '"name": "eval", "cat": "run"' bench.json)" = 3 ] || die "bench: $(grep -c '"cat": "run"' bench.json) runs"
  # tracing changes no bit
  expect 0 "$SINTER" train "$gpt" --data text $t $set --batch 4 --steps 3 --out untraced
  cmp -s run/model.safetensors untraced/model.safetensors || die "tracing changes the weights"
fi
expect 0 "$SINTER" eval run --data text $t --trace eval.json
expect 1 "$SINTER" eval run --data text $t --trace /nowhere/trace.json
says "/nowhere/trace.json"

# ---- inspect -----------------------------------------------------------------------------------------------------------

inspects() { # FILE KIND
  expect 0 "$SINTER" inspect "$1"
  prints "$2"
  expect 0 "$SINTER" inspect "$1" --json
  prints "\"kind\": \"$2\""
}
inspects run "run folder"
inspects run/model.safetensors "safetensors"
inspects run/graph.sn "graph text"
inspects "$(ls run/checkpoints/*.ckpt | tail -n 1)" "checkpoint"
inspects run/checkpoints "checkpoints of a run"
inspects run/loss.svg "chart"
inspects run/.lock "lock of a run"
inspects run/tokenizer.json "tokenizer"
inspects run/settings.json "settings of a run"
inspects run/run.json "options of a run"
inspects run/metrics.jsonl "metrics of a run"
inspects "$TREE/tests/parity/data/gpt_logits.npy" "npy"
"$SINTER" dump "$gpt" $set --graph eval --emit kernel --target template > kernels
inspects kernels "kernel text"
expect 0 "$SINTER" inspect kernels
[ "$(grep -c '^  kernel ' stdout)" = "$(grep -c '^kernel ' kernels)" ] || die "kernels: $(cat stdout)"
sed 's/= add /= bad /' kernels > broken
expect 3 "$SINTER" inspect broken
XDG_CACHE_HOME=$scratch/own expect 0 "$SINTER" explain "$gpt" $set --graph eval --target template
entry=$(ls own/sinter/*.code | head -n 1)
inspects "$entry" "cached code"
expect 0 "$SINTER" inspect "$entry"
prints "kernel "
head -c 200 "$entry" > cut.code
expect 3 "$SINTER" inspect cut.code
says "damaged"
if [ "$t" = "--target cpu" ]; then
  inspects run/model.plan "plan"
  expect 0 "$SINTER" build run -o program
  inspects program "executable of a model"
  expect 0 "$SINTER" inspect program
  prints "tokenizer: byte, 256 ids"
  head -c 100000 program > cut
  expect 3 "$SINTER" inspect cut
fi
printf 'words' > words
expect 3 "$SINTER" inspect words
says "unknown kind of file"
echo '{"a": 1}' > some.json
expect 3 "$SINTER" inspect some.json

# ---- SN_LOG, SN_DEBUG --------------------------------------------------------------------------------------------------

quiet() { expect 0 env "$@" "$SINTER" dump "$gpt" $set --graph eval --emit plan --target template; }
quiet SN_LOG=warn
[ ! -s stderr ] || die "SN_LOG=warn: $(cat stderr)"
quiet SN_LOG=info
says "sinter: info: compiled"
quiet SN_DEBUG=passes,plan
says "sinter: passes: fuse"
says "sinter: plan: eval: "
[ "$(grep -c 'sinter: passes: ' stderr)" = $(($(echo $passes | wc -w) - 1)) ] || die "passes: $(cat stderr)"
quiet SN_DEBUG=kernels
says "sinter: kernels: "
quiet SN_DEBUG=passing SN_LOG=loud
says 'SN_DEBUG: "passing" is not known'
says 'SN_LOG: "loud" is not known'
SN_LOG=error expect 0 "$SINTER" train "$gpt" --data text $t $set --batch 4 --out run --resume
grep -q 'going on' stderr && die "SN_LOG=error does not silence notices"

# every variable that the code reads is in the table
expect 0 "$SINTER" doctor
grep -rhoE 'getenv\("[A-Z_]+"\)' "$TREE"/{ir,frontend,passes,runtime,backends} | cut -d'"' -f2 | sort -u > read
[ -s read ] || die "no variables found"
while read -r v; do prints "  $v "; done < read
expect 0 "$SINTER" help
prints "SN_DEBUG"
expect 0 "$SINTER" doctor --json
prints '"environment": {"SN_LOG": '

# ---- limits of the machine: defaults until they are measured, then kept; what is no such entry is not used --------------
limits_are_kept() {
  local -x XDG_CACHE_HOME=$scratch/limits
  expect 0 "$SINTER" doctor
  prints 'defaults of the feature level'
  # what else runs here may leave no sound figures: that is said, and nothing kept
  measure() {
    for _ in 1 2 3 4 5 6; do
      expect 0 "$SINTER" "$@"
      ! finds 'measured on this machine' <"$scratch/stdout" || return 0
      says 'other work disturbs'
      expect 0 "$SINTER" doctor
      prints 'defaults of the feature level'
    done
    return 1
  }
  measure doctor --calibrate || { echo 'the machine is too busy to be measured'; return; }
  sweeps=$(grep 'limits of sweeps' "$scratch/stdout")
  expect 0 "$SINTER" doctor
  prints 'measured on this machine'
  prints "$sweeps"
  expect 0 env SN_CPU_WITHOUT=avx2 "$SINTER" doctor
  prints 'defaults of the feature level'
  entry=$(grep -l 'limits 1' "$XDG_CACHE_HOME"/sinter/*.code)
  [ "$(echo "$entry" | wc -l)" = 1 ] || die "limits are in: $entry"
  inspects "$entry" "cached limits of a machine"
  [ "$(wc -l <stdout)" = 1 ] || die "more than a line: $(cat stdout)"
  expect 0 "$SINTER" tune "$TREE/models/mlp.sn" --graph train --dim B=64 --tune-seconds 1
  choices=$(grep -l 'tuned 1' "$XDG_CACHE_HOME"/sinter/*.code)
  [ -z "$choices" ] || inspects "$choices" "cached choices of tuning"
  printf 'x' | dd of="$entry" bs=1 seek=$(($(stat -c %s "$entry") - 3)) conv=notrunc status=none
  expect 0 "$SINTER" doctor
  prints 'defaults of the feature level'
  measure bench "$TREE/models/mlp.sn" --dim B=4 --repeat 1 --profile || { echo 'the machine is too busy to be measured'; return; }
  prints 'predicted from limits that were measured on this machine'
  expect 0 "$SINTER" doctor
  prints 'measured on this machine'
  expect 0 "$SINTER" bench "$TREE/models/mlp.sn" --dim B=4 --repeat 1 --profile --json
  prints '"predicted_ms": '
  expect 0 "$SINTER" explain "$TREE/models/mlp.sn" --dim B=4
  prints 'ms are predicted, from limits measured here'
  expect 0 "$SINTER" explain "$TREE/models/mlp.sn" --dim B=4 --no-cache --json
  prints '"predicted_ms": '
  # steps of less than 20 us run on one thread, also where there are more
  for n in 1 2; do
    expect 0 "$SINTER" explain "$TREE/models/mlp.sn" --dim B=4 --no-cache --threads $n --json
    grep -o '"predicted_ms": [^,}]*' "$scratch/stdout" >"$scratch/predicted.$n"
  done
  cmp -s "$scratch/predicted.1" "$scratch/predicted.2" || die "predicted: $(cat "$scratch"/predicted.[12])"
  expect 0 "$SINTER" bench "$TREE/models/mlp.sn" --dim B=4 --repeat 1 --profile --no-cache
  prints 'predicted from default limits'
}
[ "$(target)" != cpu ] || limits_are_kept

# ---- Vulkan devices: listed, chosen, and why there is none ------------------------------------------------------------
if "$SINTER" doctor | finds '^target vulkan *device'; then
  expect 0 "$SINTER" doctor
  prints "; chosen"
  name=$(sed -n 's/^vulkan 0  *\(.*\) (\(cpu\|discrete\|integrated\|virtual\|other\)), Vulkan .*/\1/p' stdout)
  uuid=$(sed -n 's/^vulkan 0 uuid *//p' stdout)
  [ -n "$name" ] && [ -n "$uuid" ] || die "a device without name or uuid"
  for device in 0 "$name" "${name:1:5}" "$uuid"; do
    expect 0 env SN_VULKAN_DEVICE="$device" "$SINTER" doctor
    prints "target vulkan          device 0 of"
  done
  for device in 99 nosuch; do
    expect 0 env SN_VULKAN_DEVICE=$device "$SINTER" doctor
    prints "there is no device \"$device\""
  done
  expect 0 env SN_VULKAN_WITHOUT=subgroup,float16,shared=1024 "$SINTER" doctor
  prints "subgroup=0 subgroups=0 shared=1024"
  ! finds " float16 " <stdout || die "float16 was taken away and is still there"
  expect 0 env SN_VULKAN_WITHOUT=float17 "$SINTER" doctor
  prints '`float17` cannot be taken away'
  expect 0 env VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent "$SINTER" doctor
  prints "no Vulkan driver on this machine"
  prints "install a driver"
else
  "$SINTER" doctor | finds '^target vulkan .*install\|^target vulkan *no device' || die "doctor does not say why there is no Vulkan"
fi
exit 0
