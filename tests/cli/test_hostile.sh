#!/usr/bin/env bash
# Hostile files: every one is refused with exit code 3 (4: a limit), a message that names the file and what is wrong,
# within little time and memory. And a cache that others write to is not trusted.
. "$(dirname "$0")/common.sh"
make=$(dirname "$SINTER")/tests/hostile
cd "$scratch" || exit 1
target=$(target)
mkdir files
expect 0 "$make" files
cp "$TREE/tests/cli/table.c" .
seq 300 >text
limit="ulimit -t 20; ulimit -v 2097152;"
! sanitized || limit="ulimit -t 60;" # sanitizers take more for themselves
refused() { # CODE MESSAGE FILE COMMAND... (code 0: it is read)
  local code=$1 message=$2 file=$3 found=0
  shift 3
  timeout 900 bash -c "$limit"' exec "$@"' - "$@" >stdout 2>stderr </dev/null || found=$?
  [ "$found" = "$code" ] || die "$file: exit code $found instead of $code: $* $(head -c 600 stderr)"
  [ "$code" != 0 ] || return 0
  says "${file##*/}"
  says "$message"
}
gpt="$TREE/models/gpt.c --set layers=1 --set heads=1 --set width=8 --set context=8 --batch 2 --eval-batches 1 --steps 1"
expect 0 "$SINTER" train $gpt --data text --target "$target" --out run
count=0
while IFS=$'\t' read -r name code message; do
  file=files/$name
  case $name in
    *.settings.json | *.tokenizer.json)
      rm -rf bad && cp -r run bad && cp "$file" "bad/${name#*.}"
      refused "$code" "$message" "bad/${name#*.}" "$SINTER" generate bad --prompt 1 --target "$target"
      ;;
    *.run.json)
      rm -rf bad && cp -r run bad && cp "$file" bad/run.json
      refused "$code" "$message" bad/run.json "$SINTER" train ${gpt%% *} --out bad --resume
      ;;
    *.sn) refused "$code" "$message" "$file" "$SINTER" opt "$file" ;;
    *.safetensors)
      refused "$code" "$message" "$file" "$SINTER" inspect "$file"
      refused "$code" "$message" "$file" "$SINTER" run table.c --graph eval --target "$target" --init "$file"
      ;;
    *) refused "$code" "$message" "$file" "$SINTER" inspect "$file" ;;
  esac
  count=$((count + 1))
done <files/manifest
[ $count -gt 100 ] || die "only $count files"
echo "$count hostile files are refused"

# ---- limits, at the limit and beyond ---------------------------------------------------------------------------------
# sized LENGTH: a safetensors file whose header is an object of so many bytes, blanks mostly
sized() {
  printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 24 & 255)))\\x00\\x00\\x00\\x00{"
  head -c $(($1 - 2)) /dev/zero | tr '\0' ' '
  printf '}'
}
sized 100000000 >most.safetensors
expect 0 "$SINTER" inspect most.safetensors
sized 100000001 >more.safetensors
refused 4 "100000000 is the limit" more.safetensors "$SINTER" inspect more.safetensors
rm -f most.safetensors more.safetensors
nest() { printf '{"model": "m", "settings": "", "source": "", "ring": 0, "seed": 1, "more": '; printf '[%.0s' $(seq "$1"); printf ']%.0s' $(seq "$1"); printf '}'; }
rm -rf bad && cp -r run bad
nest 63 >bad/settings.json
expect 0 "$SINTER" generate bad --prompt 1 --tokens 1 --target "$target"
nest 64 >bad/settings.json
refused 3 "nested" bad/settings.json "$SINTER" generate bad --prompt 1 --target "$target"
axes() { printf 'sinter 1\ngraph @g {\n  %%1 = input name "x" : f32[1%s]\n  output "y" = %%1\n}\n' "$(printf ', 1%.0s' $(seq "$1"))" >axes.sn; }
axes 7
expect 0 "$SINTER" opt axes.sn
axes 8
refused 3 "8 axes" axes.sn "$SINTER" opt axes.sn

# ---- the first bytes of good files (CVE-2024-39720: a short file ends the reader) ------------------------------------
for file in run/model.safetensors run/model.plan "$(ls run/checkpoints/*.ckpt)" "$TREE"/tests/parity/data/gpt_logits.npy "$TREE"/models/mlp.sn run/run.json run/tokenizer.json; do
  for bytes in $(seq 0 7 64); do
    head -c "$bytes" "$file" >cut
    cmp -s cut "$file" || refused 3 "" cut "$SINTER" inspect cut
  done
done
for bytes in 0 1 7 31 63; do
  rm -rf bad && cp -r run bad
  head -c "$bytes" run/settings.json >bad/settings.json
  refused 3 settings.json bad/settings.json "$SINTER" generate bad --prompt 1 --target "$target"
done

# ---- the cache: only what its owner wrote, and whole ------------------------------------------------------------------
[ "$target" = cpu ] || exit 0
export XDG_CACHE_HOME=$scratch/own
printf 'sinter 1\ngraph @g {\n  %%1 = const value 2 : f32[64]\n  %%2 = exp %%1 : f32[64]\n  output "y" = %%2\n}\n' >exp.sn
run() { expect 0 "$SINTER" run exp.sn --out y="$1"; }
run good.npy
[ "$(stat -c %a "$XDG_CACHE_HOME/sinter")" = 700 ] || die "others may write to the cache: $(stat -c %a "$XDG_CACHE_HOME/sinter")"
entries=$(find "$XDG_CACHE_HOME/sinter" -type f)
[ -n "$entries" ] || die "nothing is cached"
for entry in $entries; do
  cp "$entry" kept
  size=$(stat -c %s "$entry")
  for at in 0 8 40 $((size / 2)) $((size - 1)); do
    cp kept "$entry"
    byte=$(od -An -tu1 -j"$at" -N1 "$entry")
    printf "\\x$(printf %02x $((byte ^ 255)))" | dd of="$entry" bs=1 seek="$at" conv=notrunc 2>/dev/null
    run again.npy
    cmp good.npy again.npy || die "a damaged entry of the cache is used (byte $at of $size)"
  done
  head -c $((size / 2)) kept >"$entry"
  run again.npy
  cmp good.npy again.npy || die "half an entry of the cache is used"
  rm "$entry" && cp kept elsewhere && ln -s "$scratch/elsewhere" "$entry"
  run again.npy
  cmp good.npy again.npy || die "a link in the cache is followed"
  if [ "$(id -u)" = 0 ]; then
    rm -f "$entry" && cp kept "$entry" && chown 12345 "$entry"
    run again.npy
    cmp good.npy again.npy || die "another user's entry of the cache is used"
  fi
  rm -f "$entry" && cp kept "$entry"
done
exit 0
