#!/usr/bin/env bash
# Kernels at extents that random graphs do not draw, against the interpreter.
. "$(dirname "$0")/common.sh"
skip_without_cpu # the schedules of the CPU are meant
cd "$scratch" || exit 1

agrees() { expect 0 "$SINTER" run --check "$@" && prints "agrees with the interpreter"; }

# rows in tiles that are tall and no multiple of 16
for tall in avx512:150 avx2:100 baseline:90; do
  cat >rows.sn <<EOF
sinter 1
dims { B: 1..64, K: 1..64 }
graph @net {
  %x = input name "x" : f32[B, ${tall#*:}, K]
  %y = input name "y" : f32[K, 40]
  %z = contract %x, %y spec "btk,kn->btn" : f32[B, ${tall#*:}, 40]
  output "z" = %z
}
EOF
  agrees rows.sn --dim B=2 --dim K=3 --isa "${tall%:*}"
done

# tall tiles that share their rows; none at all
cat >shared.sn <<'EOF'
sinter 1
dims { T: 1..2000, K: 1..64 }
graph @net {
  %x = input name "x" : f32[T, K]
  %a = slice %x start [0, 0] shape [T - 1, K] : f32[T - 1, K]
  %y = input name "y" : f32[K, 40]
  %z = contract %a, %y spec "tk,kn->tn" : f32[T - 1, 40]
  output "z" = %z
}
EOF
for rows in 1 2 17 193 194 258 386 769; do agrees shared.sn --dim T=$rows --dim K=3; done

# a head that sees nothing, and scores so small that they vanish beside what is masked
cat >hidden.sn <<'EOF'
sinter 1
dims { S: 1..64 }
body @mask {
  %1 = arg index 0 : i32[]
  %2 = arg index 1 : i32[]
  %3 = arg index 2 : i32[]
  %4 = arg index 3 : i32[]
  %5 = const value 1 : i32[]
  %6 = eq %2, %5 : bool[]
  return %6
}
graph @net {
  %1 = input name "q" : f32[1, 3, 2, 16]
  %2 = input name "k" : f32[1, S, 2, 16]
  %3 = input name "v" : f32[1, S, 2, 16]
  %4, %5 = attention %1, %2, %3 scale SCALE mask @mask : f32[1, 3, 2, 16], f32[1, 2, 3]
  output "y" = %4
  output "l" = %5
}
EOF
for scale in 0.7e-9 1.3e-9 2.2e-9 0.25; do
  sed "s/SCALE/$scale/" hidden.sn >one.sn
  agrees one.sn --dim S=40
done
# an element that an index picks: of numbers that no column has, none; of columns that wrap, each of those
while read -r elem index; do
  cat >pick.sn <<EOF
sinter 1
graph @net {
  %1 = input name "x" : f32[8, 20000]
  %2 = $index : $elem[8]
  %3 = iota axis 1 : $elem[8, 20000]
  %4 = broadcast %2 shape [8, 20000] axes [0] : $elem[8, 20000]
  %5 = eq %3, %4 : bool[8, 20000]
  %6 = const value 0 : f32[8, 20000]
  %7 = select %5, %1, %6 : f32[8, 20000]
  %8 = sum %7 axes [1] : f32[8]
  output "y" = %8
}
EOF
  agrees pick.sn
done <<'LIST'
f32 const value 2.5
f32 const value 7
i32 const value 9
i32 const value -1
i8 input name "t"
bf16 const value 300
LIST

# an instance's number divided by an extent that is no constant
cat >divided.sn <<'EOF'
sinter 1
dims { T: 1..130 }
body @step {
  %1 = arg index 0 : f32[T]
  %2 = arg index 1 : f32[T]
  %3 = arg index 2 : f32[T, T]
  %4 = contract %1, %3 spec "i,ij->j" : f32[T]
  %5 = add %4, %2 : f32[T]
  %6 = tanh %5 : f32[T]
  %7 = sum %2 axes [0] : f32[]
  %8 = broadcast %7 shape [T] axes [] : f32[T]
  %9 = mul %6, %8 : f32[T]
  return %6, %9
}
graph @g {
  %1 = const value 0.5 : f32[2, T, T]
  %2 = const value 0.5 : f32[2, 1, T, T]
  %3 = const value 0.5 : f32[T, T]
  %4, %5 = scan %1, %2, %3 axes "bth" states 1 inputs 1 step @step : f32[2, T, T], f32[2, 1, T, T]
  output "y" = %4
}
EOF
for t in 1 15; do agrees divided.sn --dim T=$t --fuse map,rows; done
exit 0
