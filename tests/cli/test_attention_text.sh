#!/usr/bin/env bash
# Attention written by hand in a .sn file: narrow integers in a score wrap, and attributes that make no sense are refused.
. "$(dirname "$0")/common.sh"
cd "$scratch"

cat > narrow.sn <<'SN'
sinter 1
dims { B: 1..2, T: 1..512 }
body @score {
  %1 = arg index 0 : f32[]
  %2 = arg index 1 : i32[]
  %3 = arg index 2 : i32[]
  %4 = arg index 3 : i32[]
  %5 = arg index 4 : i32[]
  %6 = arg index 5 : f32[1000]
  %7 = cast %4 to i8 : i8[]
  %8 = cast %7 to i32 : i32[]
  %9 = sub %8, %5 : i32[]
  %10 = const value 400 : i32[]
  %11 = add %9, %10 : i32[]
  %12 = index %6, %11 : f32[]
  %13 = add %1, %12 : f32[]
  return %13
}
graph @g {
  %1 = input name "q" : f32[B, T, 1, 4]
  %2 = input name "table" : f32[1000]
  %3, %4 = attention %1, %1, %1, %2 scale 0.5 score @score : f32[B, T, 1, 4], f32[B, 1, T]
  %5 = mul %3, %3 : f32[B, T, 1, 4]
  %6 = sum %5 axes [0, 1, 2, 3] : f32[]
  %7 = grad %6, %2 : f32[1000]
  output "y" = %3
  output "g" = %7
}
SN
expect 0 "$SINTER" bisect narrow.sn --graph g --target template --dim B=1 --dim T=135
prints "every stage agrees"

map() { # BLOCKS QUERIES
  cat > map.sn <<SN
sinter 1
dims { B: 1..2, S: 1..4096 }
body @m {
  %1 = arg index 0 : i32[]
  %2 = arg index 1 : i32[]
  %3 = arg index 2 : i32[]
  %4 = arg index 3 : i32[]
  %7 = le %4, %3 : bool[]
  return %7
}
graph @g {
  %1 = input name "q" : f32[B, $2, 2, 16]
  %2 = input name "k" : f32[B, S, 2, 16]
  %3 = input name "map" : i32[1, 1, 1, 1]
  %4, %5 = attention %1, %2, %2, %3 scale 0.25 mask @m blocks $1 : f32[B, $2, 2, 16], f32[B, 2, $2]
  output "y" = %4
}
SN
  expect 3 "$SINTER" explain map.sn --graph g --target template --dim B=1 --dim S=64
}
for blocks in "[4294967296, 4294967296]" "[0, 64]" "[64, -1]" "[64]" "[100000, 4096]"; do
  map "$blocks" 2
  says "two numbers up to 1024"
done
map "[1, 1024]" 1
says "a single query has no map"

sed -e 's/%7 = grad.*/%8, %9, %10 = attention_grad %1, %1, %1, %3, %4, %3 scale 0.5 score @score slopes @score sums [3] entries [100000000] : f32[B, T, 1, 4], f32[B, T, 1, 4], f32[B, T, 1, 4]/' \
  -e 's/%7$/%8/' narrow.sn > sums.sn
expect 3 "$SINTER" explain sums.sn --graph g --target template --dim B=1 --dim T=64
