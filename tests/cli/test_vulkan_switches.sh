#!/usr/bin/env bash
# Everything that a Vulkan device may lack can be taken away, and what remains computes the same: equal bits where the
# order of sums does not depend on it, right results within the interpreter's bounds everywhere. And code is made for
# devices of any size of subgroups, without one at hand.
. "$(dirname "$0")/common.sh"
"$SINTER" doctor | finds '^target vulkan *device' || { echo "skipped: no Vulkan device here"; exit 77; }
cd "$scratch" || exit 1
graph=$TREE/tests/cli/switches.sn
outs="p n c s m u g h l i"
run() { # FOLDER: all results as files
  local o options=()
  mkdir -p "$1"
  for o in $outs; do options+=(--out "$o=$1/$o.npy"); done
  expect 0 "$SINTER" run "$graph" --seed 3 --target vulkan "${options[@]}"
}
same() { # FOLDER WHY
  local o
  for o in $outs; do cmp -s "plain/$o.npy" "$1/$o.npy" || die "$2: output $o has other bits"; done
}
facts() { "$SINTER" doctor | sed -n 's/^vulkan 0 facts *//p'; }
check() { expect 0 "$SINTER" run --check "$graph" --seed 3 --target vulkan && prints "agrees with the interpreter"; }

# each fact goes, and a plan that needs it is refused
all=" $(facts) "
for fact in $all; do
  case $fact in
    subgroup=* | *\( | *\) | to) continue ;;
    *=*) taken=${fact%=*}=$((${fact#*=} / 2)) ;;
    *) taken=$fact ;;
  esac
  left=" $(SN_VULKAN_WITHOUT=$taken facts) "
  case $left in *" $fact "*) die "$taken is not taken away: $left" ;; esac
done
case " $(SN_VULKAN_WITHOUT=subgroup facts) " in *subgroup=0*) ;; *) die "subgroups are not taken away" ;; esac
SN_VULKAN_WITHOUT=matrix expect 0 "$SINTER" doctor
prints "vulkan 0 matrices      none"

# no subgroups, no narrow access, no f16, no matrices, less shared memory: the same bits
run plain
check
for without in subgroup size_control storage16,storage8 float16,matrix shared=16384 shuffle,full_subgroups \
  mapped,sync2,timestamps subgroup,storage16,storage8,shared=16384; do
  SN_VULKAN_WITHOUT=$without run less
  same less "without $without"
done
# smaller workgroups sum in another order
for without in invocations=128 invocations=128,preserve32,subgroup,storage16; do SN_VULKAN_WITHOUT=$without check; done

# subgroups of other sizes: Mesa's driver for processors takes them from the environment
name=$("$SINTER" doctor | sed -n 's/^vulkan 0  *//p')
case $name in
  llvmpipe*)
    sizes=" "
    for bits in 64 128 256 512; do
      export LP_NATIVE_VECTOR_WIDTH=$bits
      size=$(facts | grep -o '^subgroup=[0-9]*')
      sizes="$sizes$size "
      run "at$bits"
      same "at$bits" "$size"
      unset LP_NATIVE_VECTOR_WIDTH
    done
    [ "$(echo $sizes | tr ' ' '\n' | sort -u | wc -l)" -ge 3 ] || echo "this driver has no other sizes:$sizes"
    ;;
esac
# and a limit where a kernel may choose
for most in 1 4 16; do
  SN_VULKAN_WITHOUT=subgroup=$most run limited
  same limited "subgroups of at most $most"
done

# code for devices that are not here
dump() { "$SINTER" dump "$graph" --emit spirv --target vulkan --isa "$1"; }
for size in 0 1 2 4 8 16 32 64 128; do
  expect 0 dump "subgroup=$size,shared=32768,threads=256,16,8,nan"
  found=$(grep -c GroupNonUniformShuffle stdout)
  [ $((size > 1)) = $((found > 0)) ] || die "subgroups of $size: $found lines of shuffles"
  [ "$(grep -c 'OpEntryPoint' stdout)" -ge 5 ] || die "subgroups of $size: no kernels"
done
expect 5 dump subgroup=24,shared=32768,threads=256
says "powers of two"
expect 0 dump subgroup=32,shared=16384,threads=128
grep -q 'StorageBuffer8BitAccess\|StorageBuffer16BitAccess\|OpCapability Float16' stdout && die "narrow access that the device lacks"
for type in f16 bf16; do
  cat >product.sn <<SN
sinter 1
graph @g {
  %a = param name "a" init "normal" a 1 : $type[64, 64]
  %b = param name "b" init "normal" a 1 : $type[64, 64]
  %x = contract %a, %b spec "ij,jk->ik" : $type[64, 64]
  output "x" = %x
}
SN
  graph=product.sn
  expect 0 dump subgroup=32,shared=49152,threads=1024,16,8,nan
  grep -q CooperativeMatrix stdout && die "matrices of $type that the device lacks"
  expect 0 dump subgroup=32,shared=49152,threads=1024,16,8,nan,$type=16x16x16
  prints "OpCooperativeMatrixMulAddKHR"
done
exit 0
