# Sourced by the tests of the command: SINTER, TREE, a scratch folder that goes away, and checks that stop the test.
set -uo pipefail
SINTER=$1
TREE=$2
export TREE
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$scratch/cache}

die() { echo "FAILED: $*" >&2; exit 1; }

# expect CODE COMMAND...: runs it, output in $scratch/stdout and $scratch/stderr
expect() {
  local wanted=$1 found=0
  shift
  "$@" >"$scratch/stdout" 2>"$scratch/stderr" </dev/null || found=$?
  [ "$found" = "$wanted" ] || die "exit code $found instead of $wanted: $*
$(tail -n 20 "$scratch/stderr")"
}

# says TEXT: the last expect wrote TEXT to stderr;  prints TEXT: to stdout
says() { grep -qF -- "$1" "$scratch/stderr" || die "stderr lacks \"$1\": $(cat "$scratch/stderr")"; }
prints() { grep -qF -- "$1" "$scratch/stdout" || die "stdout lacks \"$1\": $(head -c 2000 "$scratch/stdout")"; }

# grep -q that reads all of its input: what writes it must not end early under pipefail.
finds() { grep "$@" >/dev/null; }
skip_without_cpu() { "$SINTER" doctor | finds '^target cpu *yes' || { echo "skipped: this build has no code generator"; exit 77; }; }
# The best target of this build.
target() { if "$SINTER" doctor | finds '^target cpu *yes'; then echo cpu; else echo ref; fi; }
# The same where kernels are needed: the interpreter has none.
kernel_target() { if [ "$(target)" = cpu ]; then echo cpu; else echo template; fi; }

sanitized() { nm "$SINTER" 2>/dev/null | grep -c -E "__(asan|tsan)_init" >/dev/null; }
# What makes calls fail, in $shim, to be preloaded; it stands before the sanitizer where that is a library.
find_shim() {
  shim=$(dirname "$SINTER")/tests/libsn_fault.so
  [ -e "$shim" ] || { echo "skipped: this build's sanitizer bears no library before it"; exit 77; }
  ! sanitized || export ASAN_OPTIONS=verify_asan_link_order=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
}

# The planted mistakes of this build to file plants, those of passes PLANTS (all); code generation's need a generator.
planted() {
  "$SINTER" bisect --plants >listed 2>/dev/null || return 1
  local passes=${PLANTS:-'.*'}
  awk -F'\t' -v passes="^($passes)\$" -v cpu="$(target)" '$3 ~ passes && ($3 != "llvm" || cpu == "cpu")' listed >plants
}
enough_plants() { # COUNT
  local least=13
  [ -z "${PLANTS:-}" ] || least=1
  [ "$1" -ge $least ] || die "only $1 planted mistakes were tried"
}
