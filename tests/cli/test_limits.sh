#!/usr/bin/env bash
# Limits of what a user or a file may ask for, at the limit and beyond it: settings, options, tensors. Beyond it there is
# a message that says what would do, soon and within little memory.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
target=$(target)
gpt=$TREE/models/gpt.c
seq 300 >text
limit="ulimit -t 60; ulimit -v 4194304;"
! sanitized || limit="ulimit -t 60;"
# asks CODE MESSAGE COMMAND...
asks() {
  local code=$1 message=$2 found=0
  shift 2
  timeout 900 bash -c "$limit"' exec "$@"' - "$@" >stdout 2>stderr </dev/null || found=$?
  [ "$found" = "$code" ] || die "exit code $found instead of $code: $* $(head -c 600 stderr)"
  [ "$code" = 0 ] || says "$message"
}

# ---- settings of a model: --set, and the settings of a run folder ------------------------------------------------------
set() { # CODE MESSAGE NAME=VALUE
  asks "$1" "$2" "$SINTER" dump "$gpt" --graph eval --set "$3"
  [ "$1" = 0 ] || says "$4"
}
set 0 "" layers=0
set 2 "a whole number, 0 to 4096" layers=-1 "does not take"
set 2 "a whole number, 0 to 4096" layers=4097 "does not take"
hashing() { asks "$1" "$2" "$SINTER" dump "$TREE/models/attention/lsh.c" --graph forward --set rounds="$3"; }
hashing 0 "" 8
hashing 2 "a whole number, 1 to 8" 9
hashing 2 "a whole number, 1 to 8" 0
shaped() { asks "$1" "$2" "$SINTER" dump "$TREE/models/$3.c" --graph "$4" --set width=12 --set "$5"; }
shaped 3 "found:    12, .heads = 5" bert encode heads=5
shaped 2 "1 to 16777216" bert encode heads=0
shaped 2 "a whole number, 0 to 2" bert encode padding=3
shaped 3 "found:    12, .heads = 8" decoder logits heads=8
shaped 3 "do not divide those of q" decoder logits kv_heads=3
shaped 3 "found:    32, .heads = 5" electra logits gen_heads=5
shaped 3 "divides ? c->layers / share : -1" decoder logits share=3
shaped 2 "a whole number, 1 to 4" decoder logits share=0
shaped 2 "0 LayerNorm, 1 RMSNorm" decoder logits norm=2
shaped 0 "" decoder logits share=2
set 2 "a whole number, 0 to 4096" layers=2147483648 "does not take"
set 2 "a whole number, 0 to 4096" layers=1e300 "does not take"
set 2 "a whole number, 0 to 4096" layers=nan "does not take"
set 2 "a whole number, 0 to 4096" layers= "does not take"
set 2 "a number" dropout=inf "does not take"
set 2 "true, false, 1 or 0" bias=2 "does not take"
set 2 "did you mean layers" layer=1 "no setting"
set 2 "a whole number, 1 to 16777216" vocab=0 "does not take"
set 2 "1 to 16777216" context=0 "does not take"
set 2 "1 to 16777216" width=-1 "does not take"
set 2 "heads: attention heads" heads=0 "does not take"
set 2 "1 to 16777216" heads=-4 "does not take"
set 3 "gpt.c:" heads=5000 "error"
set 3 "0 <= p < 1" dropout=1 "p = 1"
set 3 "0 <= p < 1" dropout=-0.5 "p = -0.5"
set 2 "1 to 16777216" context=2147483647 "does not take"

# ---- options -----------------------------------------------------------------------------------------------------------
option() { # CODE MESSAGE OPTION VALUE
  asks "$1" "$2" "$SINTER" train "$gpt" --data text --set layers=0 --set width=8 --out out --force "$3" "$4"
}
for bad in 0 -1 9223372036854775807 9223372036854775808 99999999999999999999 1.5 1x x "" 0x10; do
  option 2 "--batch takes a whole number from 1 to" --batch "$bad"
done
option 2 "--steps takes a whole number" --steps -1
option 2 "--steps takes a whole number" --steps 99999999999999999999
option 2 "--seed takes a whole number" --seed 18446744073709551616
for bad in nan inf 1e999 0x1p3 "1 2" ""; do
  option 2 "--lr takes a number" --lr "$bad"
done
option 2 "--val-fraction takes a number" --val-fraction 1.5
asks 2 "--dim B takes a whole number from 1 to" "$SINTER" explain "$TREE/models/mlp.sn" --target "$(kernel_target)" --dim B=1025
asks 2 "--dim B takes a whole number from 1 to" "$SINTER" explain "$TREE/models/mlp.sn" --target "$(kernel_target)" --dim B=99999999999999999999
asks 2 "--dim B takes a whole number from 1 to" "$SINTER" explain "$TREE/models/mlp.sn" --target "$(kernel_target)" --dim B=0
asks 2 "no dim of that name" "$SINTER" explain "$TREE/models/mlp.sn" --target "$(kernel_target)" --dim C=1

# ---- tensors of a file: names and their number -------------------------------------------------------------------------
# tensors FILE NAME COUNT: so many empty tensors, called NAME0, NAME1, ...
tensors() {
  awk -v name="$2" -v n="$3" 'BEGIN { for (i = 0; i < n; i++) printf "%s\"%s%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? "," : "{", name, i; print "}" }' >header
  local bytes
  bytes=$(stat -c %s header)
  { for shift in 0 8 16 24; do printf "\\x$(printf %02x $((bytes >> shift & 255)))"; done; printf '\0\0\0\0'; cat header; } >"$1"
}
name() { printf 'n%.0s' $(seq "$1"); }
tensors longest.safetensors "$(name 1023)" 1
asks 0 "" "$SINTER" inspect longest.safetensors
tensors longer.safetensors "$(name 1024)" 1
asks 3 "longer.safetensors" "$SINTER" inspect longer.safetensors
if ! sanitized; then
  tensors more.safetensors "" 1000001
  asks 4 "1000000 is the limit" "$SINTER" inspect more.safetensors
fi
exit 0
