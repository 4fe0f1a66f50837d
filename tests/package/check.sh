#!/usr/bin/env bash
# Installs into an empty prefix, moves it, and uses it as others do: pkg-config, CMake, the command, a backend of one's
# own.   usage: check.sh BUILD TREE
. "$(dirname "$0")/../cli/common.sh" "$1/sinter" "$2"
if grep -q '^CMAKE_C_COMPILER:.*clang' "$1/CMakeCache.txt"; then
  echo "skipped: built by clang, whose OpenMP library the cc of a user may not know"
  exit 77
fi
BUILD=$1
cc=${CC:-cc}
cmake --install "$BUILD" --prefix "$scratch/first" >"$scratch/log" 2>&1 || die "install: $(tail "$scratch/log")"
mv "$scratch/first" "$scratch/there" # nothing may remember where it was
P=$scratch/there
cd "$scratch" || exit 1
grep -rIl "$BUILD\|$TREE\|$scratch/first" "$P/include" "$P/lib/cmake" "$P/lib/pkgconfig" "$P/lib/"*/cmake "$P/lib/"*/pkgconfig "$P/share" 2>/dev/null && die "installed files name the build"

# what is exported begins with sn_
for lib in $(find "$P" -name 'libsinter*.so'); do
  nm -D --defined-only "$lib" | awk '{ print $3 }' | grep -v '^sn_' && die "$lib exports other names"
  nm -D --defined-only "$lib" | grep ' sn_v1_run' >/dev/null || die "$lib lacks sn_v1_run"
done
for lib in $(find "$P" -name 'libsinter*.a'); do
  nm -g --defined-only "$lib" | awk 'NF == 3 { print $3 }' | grep -v '^sn_' && die "$lib exports other names"
done

# every installed header compiles alone, as C and with the warnings of others
(cd "$P/include/sinter" && find . -name '*.h') | while read -r h; do
  printf '#include "%s"\n' "$h" | $cc -std=c17 -Wall -Wextra -Werror -fsyntax-only -I"$P/include/sinter" -x c - || exit 1
done || die "a header does not compile alone"

T=$("$P/bin/sinter" doctor | grep '^target cpu *yes' >/dev/null && echo cpu || echo ref)
backend=$P/share/sinter/backends/template/template.c

export SHORT=1 # the test `host` takes its time

# pkg-config
export PKG_CONFIG_PATH=$(dirname "$(find "$P" -name sinter.pc)")
if command -v pkg-config >/dev/null; then
  expect 0 $cc -std=c17 "$TREE/tests/package/host.c" "$P/share/sinter/models/gpt.c" -o host-pc $(pkg-config --cflags --libs sinter) -lm -lpthread
  expect 0 $cc -std=c17 "$TREE/tests/package/run.c" -o run-pc $(pkg-config --cflags --libs sinter-rt)
  expect 0 pkg-config --exists 'sinter >= 0.1'
  libdir=$(pkg-config --variable=libdir sinter)
  export LD_LIBRARY_PATH=$libdir
  expect 0 ./host-pc "$T" "$P/share/sinter/models/gpt.c" "$TREE/tests/package/broken.c"
  cp stdout loss
  [ "$T" = ref ] || { expect 0 ./run-pc tiny && cmp -s stdout loss || die "the saved program gives $(cat stdout), not $(cat loss)"; }
  unset LD_LIBRARY_PATH
fi

# find_package
expect 0 cmake -G Ninja -S "$TREE/tests/package" -B uses -DCMAKE_PREFIX_PATH="$P" -DMODELS="$P/share/sinter/models" -DBACKEND="$backend" -DCMAKE_BUILD_TYPE=Release
expect 0 cmake --build uses -j2

for host in uses/host uses/host_static; do
  [ -e $host ] || continue
  [ $host = uses/host ] || export SINTER_PREFIX=$P # the code is inside of the program, which lies elsewhere
  expect 0 $host "$T" "$P/share/sinter/models/gpt.c" "$TREE/tests/package/broken.c" uses/own_backend.so
  cp stdout loss
done
unset SINTER_PREFIX
for run in uses/run uses/run_static; do
  [ -e $run ] && [ "$T" = cpu ] || continue
  expect 0 $run tiny
  cmp -s stdout loss || die "$run gives $(cat stdout), not $(cat loss)"
done
[ "$T" = ref ] || ! ldd uses/run | grep -i llvm || die "the runtime needs LLVM"

# what was saved links without anything of ours
if [ -e tiny.o ]; then
  printf '#include "tiny.h"\nint main(void) { tiny *m; int c = tiny_open(&m, "tiny.safetensors", 1, 1, 1); tiny_close(m); return c; }\n' >use.c
  expect 0 $cc -std=c17 use.c tiny.o -o use -lm -lgomp -lpthread
  expect 0 ./use
fi

# the command of the moved tree
cp "$P/share/sinter/models/gpt.c" my.c
small="--set layers=1 --set heads=2 --set width=16 --set context=16"
if [ "$T" = cpu ]; then
  expect 0 "$P/bin/sinter" train my.c $small --data my.c --steps 4 --batch 2 --eval-batches 1 --out run
  expect 0 "$P/bin/sinter" generate run --prompt int --tokens 4
  expect 0 "$P/bin/sinter" build run -o native
  expect 0 ./native --prompt int --tokens 4
  expect 0 "$P/bin/sinter" build my.c $small --emit obj -o mine
fi

# a backend of one's own
eval_it() { "$P/bin/sinter" explain my.c $small --graph eval "$@"; }
expect 0 eval_it --backend uses/own_backend.so
expect 0 "$P/bin/sinter" conformance --backend uses/own_backend.so -n 20
prints "conforms"
expect 5 eval_it --backend uses/old_backend.so
says "interface 0"
expect 3 eval_it --backend uses/none.so
expect 3 eval_it --backend my.c
expect 3 eval_it --backend "$(find "$P" -name libsinter-rt.so)"
says "there is no backend in the file"
expect 2 eval_it --backend uses/own_backend.so --target ref
says "one of them decides"
tiny="--set layers=1 --set heads=1 --set width=4 --set context=4"
expect 0 "$P/bin/sinter" train my.c $tiny --steps 4 --checkpoint-every 2 --data my.c --batch 1 --eval-batches 1 --eval-every 4 --out own --backend uses/own_backend.so
expect 2 "$P/bin/sinter" train my.c --steps 6 --out own --resume # code is not loaded because a file says so
says "give it again"
expect 0 "$P/bin/sinter" train my.c --steps 6 --out own --resume --backend uses/own_backend.so
expect 0 "$P/bin/sinter" generate own --prompt in --tokens 2 --backend uses/own_backend.so
exit 0
