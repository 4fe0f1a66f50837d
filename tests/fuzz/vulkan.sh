#!/usr/bin/env bash
# The campaign of the Vulkan backend: laws of ops and kernels on every tier of devices, random tile programs, random
# graphs, code for devices that are only described. usage: vulkan.sh SINTER STATE [SECONDS [JOBS]]
#   SINTER  a build with -DSN_INSPECT=ON: it verifies and validates every module that it makes, and counts them
#   STATE   a folder: what is done is kept there and not done again; what failed is. Without it, a campaign begins anew
#   SECONDS no new piece of work begins after so many, but for the first; 0 (the default): to the end
#   JOBS    pieces of work at a time (1)
# Writes STATE/summary.txt. Exit: 0 nothing failed, 1 something did, 2 SINTER does not count modules, 77 no device, 130 ended.
set -uo pipefail
sinter=$1 state=$2 seconds=${3:-0} jobs=${4:-1}
graphs=5000 programs=500 least_modules=20000
described="subgroup=32,shared=49152,threads=1024,f64,16,8,nan,f16=16x16x16,bf16=16x16x16,i8=16x16x32
subgroup=64,shared=65536,threads=1024,16,8,nan
shared=16384,threads=128"
tier_names="bare middle all"
without_of() {
  case $1 in
    bare) echo subgroup,matrix,float64,float16,int16,int8,storage16,storage8,preserve64,preserve32,preserve16,sync2,shared=16384,invocations=128 ;;
    middle) echo matrix,float64,int8,storage8,preserve32 ;;
  esac
}

mkdir -p "$state/failures"
export SN_SPIRV_MODULES=$state/modules XDG_CACHE_HOME=$state/cache
export GALLIVM_PERF=nopt # Mesa's driver for processors: kernels run once here, so that optimizing them costs more than it brings
"$sinter" doctor | grep '^target vulkan *device' >/dev/null || { echo "no Vulkan device here"; exit 77; }
touch "$state/modules" "$state/done"
"$sinter" conformance --target vulkan --isa shared=16384 --part kernels -n 1 >/dev/null
[ -s "$state/modules" ] || { echo "$sinter does not count modules: configure with -DSN_INSPECT=ON"; exit 2; }
length() { "$sinter" conformance --target vulkan --isa shared=16384 --part "$1" -n 1 --json | sed 's/.*"there": \([0-9]*\).*/\1/'; }

# Pieces of work, a line each: kind tier-or-device part first count. A round takes one of each kind.
pieces() { # KIND WHERE PART FROM TO SIZE
  local at=$4
  while [ "$at" -lt "$5" ]; do
    echo "$1 $2 $3 $at $(($5 - at < $6 ? $5 - at : $6))"
    at=$((at + $6))
  done
}
work() {
  local laws kernels where
  laws=$(length laws) kernels=$(length kernels)
  {
    for where in $described; do
      pieces made "$where" kernels 0 "$kernels" 36 | sed 's/^/1 /'
      pieces made "$where" programs 1 $((programs + 1)) 250 | sed 's/^/2 /'
      pieces made "$where" laws 0 "$laws" 300 | sed 's/^/3 /'
      pieces made "$where" graphs 5000 5100 10 | sed 's/^/4 /'
    done
    for where in $tier_names; do
      pieces run "$where" kernels 0 "$kernels" 36 | sed 's/^/1 /'
      pieces run "$where" programs 1 $((programs + 1)) 50 | sed 's/^/2 /'
      pieces run "$where" laws 0 "$laws" 100 | sed 's/^/3 /'
    done
    pieces run all random 0 $graphs 20 | sed 's/^/4 /'
  } | awk '{ key = $1 " " $2 " " $3; print n[key]++, $0 }' | sort -s -n -k1,1 | cut -d' ' -f3-
}

# figures JSON-FILE: what stands in it: compared, refused, failed
figures() {
  awk '{ while (match($0, /"(run|graphs|refused|failed)": [0-9]+/)) { split(substr($0, RSTART, RLENGTH), p, ": "); n[p[1]] += p[2]; $0 = substr($0, RSTART + RLENGTH) } }
       END { printf "%d %d %d\n", n["\"run\""] + n["\"graphs\""], n["\"refused\""], n["\"failed\""] }' "$1"
}

# one LOG KIND WHERE PART FROM COUNT: runs it and adds its line to `done`
one() {
  local log=$1 code=0 start=$SECONDS run refused failed
  shift
  if [ "$3" = random ]; then
    "$sinter" fuzz graph --target vulkan --brief --json --seed "$4" -n "$5" --failures "$state/failures" >"$log" 2>"$log.err" </dev/null || code=$?
  elif [ "$1" = made ]; then
    "$sinter" conformance --target vulkan --isa "$2" --part "$3" --seed "$4" -n "$5" --json >"$log" 2>"$log.err" </dev/null || code=$?
  else
    SN_VULKAN_WITHOUT=$(without_of "$2") "$sinter" conformance --target vulkan --part "$3" --seed "$4" -n "$5" --json >"$log" 2>"$log.err" </dev/null || code=$?
  fi
  case $code in 129 | 130 | 137 | 143) exit $code ;; esac # was ended: is not done
  read -r run refused failed < <(figures "$log")
  [ $code = 0 ] || [ "$failed" -gt 0 ] || failed=1
  [ "$failed" = 0 ] || cat "$log" "$log.err" >"$state/failures/$1.$3.$4.$(printf %s "$2" | tr -c 'a-z0-9=' _)"
  echo "$1 $2 $3 $4 $5 $run $refused $failed $((SECONDS - start)) $commit" >>"$state/done"
}

modules() { # "distinct, valid, unknown, absent, with matrices"
  sort -u "$state/modules" | awk '{ n[$3]++; m += NF > 3 } END { printf "%d %d %d %d %d\n", NR, n["valid"], n["unknown"], n["absent"], m }'
}

summary() {
  local distinct valid unknown absent matrices
  read -r distinct valid unknown absent matrices < <(modules)
  awk -v all="$total" -v graphs="$graphs" '
    { left[$3 == "random" ? "random" : $1]; key = $3 == "random" ? "random graphs" : $1 == "made" ? "made for described devices" : $3 " on " $2
      run[key] += $6; refused[key] += $7; failed[key] += $8; f += $8; if (!(key in at)) { at[key] = ++n; name[n] = key }
      commit[$10]; done++ }
    END { for (i = 1; i <= n; i++) printf "%-28s %7d run, %d refused, %d failed\n", name[i], run[name[i]], refused[name[i]], failed[name[i]]
          for (c in commit) commits = commits " " c
          printf "%d of %d pieces of work are done; %d failed; commits:%s\n", done, all, f, commits }' "$state/done"
  echo "$distinct distinct modules verified, $matrices with cooperative matrices; SPIRV-Tools: $valid valid, $unknown with capabilities that this version does not know$([ "$absent" = 0 ] || echo ", $absent without a validator: this build has none")"
}

commit=$(git -C "$(dirname "$0")" rev-parse --short HEAD 2>/dev/null || echo -)
work >"$state/work"
total=$(wc -l <"$state/work")
# What failed is done again, and what is no piece of work any more does not count.
awk 'NR == FNR { work[$0]; next } $8 == 0 && ($1 " " $2 " " $3 " " $4 " " $5) in work' "$state/work" "$state/done" >"$state/done.new"
mv "$state/done.new" "$state/done"
cut -d' ' -f1-5 "$state/done" | sort >"$state/before"
grep -v -x -F -f "$state/before" <(cut -d' ' -f1-5 "$state/work") >"$state/todo"
echo 0 >"$state/next"

# take: the next piece that is to do, while there is one and time is left; the first of a sitting in any case
take() {
  local n
  kill -0 $$ 2>/dev/null || return 1 # the campaign is gone
  exec 9>"$state/lock"
  flock 9
  n=$(($(<"$state/next") + 1))
  [ "$n" = 1 ] || [ "$seconds" = 0 ] || [ $SECONDS -lt "$seconds" ] || return 1
  echo "$n" >"$state/next"
  exec 9>&-
  read -r kind where part from count < <(sed -n "${n}p" "$state/todo")
}

# The rate of each sort of work tells when the rest will be done.
progress() {
  local distinct valid
  read -r distinct valid _ < <(modules)
  awk -v kind="$kind $part on $where" -v from="$from" -v modules="$distinct" -v valid="$valid" -v jobs="$jobs" '
    NR == FNR { s[$1 $3] += $9; n[$1 $3] += $5; all_s += $9; all_n += $5; failed += $8; done += $5; next }
    { want[$1 $3] += $5; units += $5 }
    END { for (k in want) left += (want[k] - n[k]) * (n[k] ? s[k] / n[k] : all_s / all_n)
          printf "%s from %d; failed so far %d; %d of %d units, %.2f a second; %d distinct modules, %d valid; %.1f h left\n", kind, from, failed, done, units, jobs * done / (all_s ? all_s : 1), modules, valid, left / jobs / 3600 }' "$state/done" "$state/work"
}

worker() { # LOG
  local kind where part from count
  while take; do
    one "$1" "$kind" "$where" "$part" "$from" "$count"
    progress
  done
}

set -m # workers are groups of processes: what they run ends with them
trap 'for p in $(jobs -p); do kill -- "-$p"; done; summary >"$state/summary.txt"; exit 130' INT TERM HUP
ended=0 workers=""
for ((i = 0; i < jobs; i++)); do
  worker "$state/running.$i" &
  workers="$workers $!"
done
for p in $workers; do wait "$p" || ended=1; done
summary | tee "$state/summary.txt"
[ $ended = 0 ] || { echo "something that was run was ended from outside: not all is done"; exit 130; }
read -r _ valid _ < <(modules)
if [ "$(wc -l <"$state/done")" = "$total" ] && [ "$valid" -lt $least_modules ]; then
  echo "fewer than $least_modules modules were validated"
  exit 1
fi
! grep -q -E '^([^ ]+ ){7}[1-9]' "$state/done"
