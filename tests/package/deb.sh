#!/usr/bin/env bash
# The Debian package: what is in it and what it asks for; unpacked anywhere, it trains, generates and builds.
# usage: deb.sh BUILD TREE
. "$(dirname "$0")/../cli/common.sh" "$1/sinter" "$2"
if grep -q '^CMAKE_C_COMPILER:.*clang' "$1/CMakeCache.txt"; then
  echo "skipped: built by clang, whose OpenMP library the cc of a user may not know"
  exit 77
fi
for tool in cpack dpkg-deb dpkg-shlibdeps; do
  command -v $tool >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
BUILD=$1
cd "$scratch" || exit 1
expect 0 cpack --config "$BUILD/CPackConfig.cmake" -G DEB -B "$scratch/made"
deb=$(ls made/*.deb)
dpkg-deb -c "$deb" >contents
for file in bin/sinter libexec/sinter/sinter-run libexec/sinter/sinter-rt.o include/sinter/sinter.h include/sinter/sinter_host.h \
  include/sinter/backends/backend.h share/sinter/models/gpt.c share/man/man1/sinter.1 share/bash-completion/completions/sinter \
  share/zsh/vendor-completions/_sinter share/fish/vendor_completions.d/sinter.fish; do
  grep -q " ./usr/$file$" contents || die "the package lacks $file"
done
grep -q 'root/root' contents || die "files do not belong to root"
dpkg-deb -f "$deb" Depends >depends
for package in libc6 libgomp1 libjansson4 c-compiler; do
  grep -q "$package" depends || die "the package does not ask for $package: $(cat depends)"
done
T=$("$SINTER" doctor | grep '^target cpu *yes' >/dev/null && echo cpu || echo ref)
[ $T = ref ] || grep -q libllvm depends || die "the package does not ask for LLVM: $(cat depends)"

dpkg-deb -x "$deb" root
P=$scratch/root/usr
LC_ALL=C grep -rl "$BUILD\|$TREE" "$P" && die "files of the package name the build"
expect 0 "$P/bin/sinter" doctor
cp "$P/share/sinter/models/gpt.c" my.c
small="--set layers=1 --set heads=2 --set width=16 --set context=16"
[ $T = cpu ] || exit 0
expect 0 "$P/bin/sinter" train my.c $small --data my.c --steps 4 --batch 2 --eval-batches 1 --out run
expect 0 "$P/bin/sinter" generate run --prompt int --tokens 4 --temperature 0
cp stdout said
expect 0 "$P/bin/sinter" build run -o native
expect 0 ./native --prompt int --tokens 4 --temperature 0
cmp -s stdout said || die "the executable says something else"
expect 0 "$P/bin/sinter" build my.c $small --emit obj -o mine
exit 0
