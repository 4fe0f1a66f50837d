#!/usr/bin/env bash
# The campaign of the processor's feature levels: laws of all ops, kernels, random tile programs and random graphs on
# each level, forced. Code for levels that the machine lacks is made and not run. usage: levels.sh SINTER STATE [SECONDS] [LEVEL...]
#   STATE   a folder: what is done is kept there and not done again; what failed is. Without it, a campaign begins anew
#   SECONDS no new piece of work begins after so many, but for the first; 0 (the default): to the end
#   LEVEL   baseline, avx2, avx512, avx512bf16, amx; without: all of them
# Writes STATE/summary.txt. Exit: 0 nothing failed, 1 something did, 2 SINTER has no code generator.
set -uo pipefail
sinter=$1 state=$2 seconds=0
shift 2
case ${1-} in '') ;; *[!0-9]*) ;; *) seconds=$1 && shift ;; esac
levels=${*:-baseline avx2 avx512 avx512bf16 amx}
graphs=${SN_LEVEL_GRAPHS:-2000} programs=1000 made=200
mkdir -p "$state/failures"
export XDG_CACHE_HOME=$state/cache
best=$("$sinter" doctor | sed -n 's/^feature level  *//p')
[ -n "$best" ] || { echo "no code generator here"; exit 2; }

above() { # LEVEL: the features that make a processor one of this level when they are taken away
  case $1 in
    baseline) echo avx2 ;;
    avx2) echo avx512 ;;
    avx512) echo avx512bf16,amx ;;
    avx512bf16) echo amx ;;
  esac
}
rank() { case $1 in baseline) echo 0 ;; avx2) echo 1 ;; avx512) echo 2 ;; avx512bf16) echo 3 ;; *) echo 4 ;; esac; }
runs() { [ "$(rank "$1")" -le "$(rank "$best")" ]; }
length() { "$sinter" conformance --isa baseline --part "$1" -n 1 --json | sed 's/.*"there": \([0-9]*\).*/\1/'; }

# Pieces of work, a line each: level part first count. A round takes one of each sort.
pieces() { # LEVEL PART FROM TO SIZE
  local at
  for ((at = $3; at < $4; at += $5)); do echo "$1 $2 $at $(($4 - at < $5 ? $4 - at : $5))"; done
}
work() {
  local laws kernels level
  laws=$(length laws) kernels=$(length kernels)
  for level in $levels; do
    pieces "$level" kernels 0 "$kernels" 62
    pieces "$level" programs 1 $((programs + 1)) 125
    pieces "$level" laws 0 "$laws" 2100
    if runs "$level"; then pieces "$level" random 0 "$graphs" 25; else pieces "$level" graphs 1 $((made + 1)) 25; fi
  done | awk '{ print n[$1 $2]++, $0 }' | sort -s -n -k1,1 | cut -d' ' -f2-
}

# one LEVEL PART FROM COUNT: runs it and adds its line to `done`
one() {
  local log=$state/running code=0 start=$SECONDS run refused failed
  if [ "$2" = random ]; then
    SN_CPU_WITHOUT=$(above "$1") "$sinter" fuzz graph --brief --json --seed "$3" -n "$4" --failures "$state/failures" >"$log" 2>"$log.err" </dev/null || code=$?
  else
    "$sinter" conformance --isa "$1" --part "$2" --seed "$3" -n "$4" --json >"$log" 2>"$log.err" </dev/null || code=$?
  fi
  case $code in 129 | 130 | 137 | 143) exit $code ;; esac # was ended: is not done
  read -r run refused failed < <(awk '
    { while (match($0, /"(run|graphs|refused|failed)": [0-9]+/)) { split(substr($0, RSTART, RLENGTH), p, ": "); n[p[1]] += p[2]; $0 = substr($0, RSTART + RLENGTH) } }
    END { printf "%d %d %d\n", n["\"run\""] + n["\"graphs\""], n["\"refused\""], n["\"failed\""] }' "$log")
  [ $code = 0 ] || [ "$failed" -gt 0 ] || failed=1
  [ "$failed" = 0 ] || cat "$log" "$log.err" >"$state/failures/$1.$2.$3"
  echo "$1 $2 $3 $4 $run $refused $failed $((SECONDS - start)) $commit $(runs "$1" && echo run || echo made)" >>"$state/done"
}

summary() {
  awk -v total="$total" '
    { key = $1 " " $2; if (!(key in at)) { at[key] = ++n; name[n] = key } run[key] += $5; refused[key] += $6; failed[key] += $7; f += $7; how[key] = $10; commit[$9] }
    END { for (i = 1; i <= n; i++) { k = name[i]; split(k, p, " ")
            printf "%-11s %-8s %6d %s, %d refused, %d failed\n", p[1], p[2] == "random" ? "graphs" : p[2], run[k], how[k], refused[k], failed[k] }
          for (c in commit) commits = commits " " c
          printf "%d of %d pieces of work are done; %d failed; commits:%s\n", NR, total, f, commits }' <(sort -s -k1,1 "$state/done")
}

commit=$(git -C "$(dirname "$0")" rev-parse --short HEAD 2>/dev/null || echo -)
work >"$state/work"
total=$(wc -l <"$state/work")
touch "$state/done"
# What failed is done again, and what is no piece of work any more does not count.
awk 'NR == FNR { work[$0]; next } $7 == 0 && ($1 " " $2 " " $3 " " $4) in work' "$state/work" "$state/done" >"$state/done.new"
mv "$state/done.new" "$state/done"
cut -d' ' -f1-4 "$state/done" >"$state/before"
grep -v -x -F -f "$state/before" "$state/work" >"$state/todo"
first=1
while read -r level part from count; do
  [ $first = 1 ] || [ "$seconds" = 0 ] || [ $SECONDS -lt "$seconds" ] || break
  first=0
  one "$level" "$part" "$from" "$count"
done <"$state/todo"
summary | tee "$state/summary.txt"
! grep -q -E '^([^ ]+ ){6}[1-9]' "$state/done"
