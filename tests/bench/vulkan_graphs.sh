# Sourced by vulkan.sh: graphs as text on stdout. What is measured lives on the device: operands and results are states,
# so that no run waits for a transfer.

# copy_graph TYPE ROWS COLUMNS: `copy` goes through a temporary, twice by the driver; `run` is there to have a kernel
copy_graph() {
  cat <<TEXT
sinter 1
graph @run {
  %1 = state name "s" init "fill" a 1 : f32[64]
  %2 = neg %1 : f32[64]
  update %1 = %2
}
graph @copy {
  %1 = state name "x" init "fill" a 0.5 : $1[$2, $3]
  %2 = state name "y" init "fill" a 0 : $1[$2, $3]
  update %2 = %1
}
TEXT
}

# map_graph neg|gelu|add TYPE ROWS COLUMNS
map_graph() {
  local t="$2[$3, $4]"
  echo "sinter 1
graph @run {
  %1 = state name \"x\" init \"fill\" a 0.5 : $t
  %2 = state name \"y\" init \"fill\" a 0 : $t"
  if [ "$1" = add ]; then
    echo "  %3 = state name \"z\" init \"fill\" a 0.25 : $t
  %4 = add %1, %3 : $t
  update %2 = %4"
  else
    echo "  %3 = $1 %1 : $t
  update %2 = %3"
  fi
  echo "}"
}

# rows_graph layernorm|rmsnorm|softmax TYPE ROWS COLUMNS; norms with weights, as layers have them
rows_graph() {
  local t="$2[$3, $4]" how="eps 1e-5"
  [ "$1" = softmax ] && how="axis 1"
  echo "sinter 1
graph @run {
  %1 = state name \"x\" init \"fill\" a 0.5 : $t
  %2 = state name \"y\" init \"fill\" a 0 : $t
  %3 = $1 %1 $how : $t"
  if [ "$1" = softmax ]; then
    echo "  update %2 = %3"
  else
    echo "  %4 = param name \"w\" init \"fill\" a 1 : $2[$4]
  %5 = broadcast %4 shape [$3, $4] axes [1] : $t
  %6 = mul %3, %5 : $t
  update %2 = %6"
  fi
  echo "}"
}

# loss_graph ROWS COLUMNS: cross entropy, and with its gradient
loss_graph() {
  cat <<TEXT
sinter 1
graph @loss {
  %1 = input name "targets" : i32[$1]
  %2 = state name "x" init "fill" a 0.5 : f32[$1, $2]
  %3 = cross_entropy %2, %1 : f32[$1]
  %4 = sum %3 axes [0] : f32[]
  output "loss" = %4
}
graph @gradient {
  %1 = input name "targets" : i32[$1]
  %2 = state name "x" init "fill" a 0.5 : f32[$1, $2]
  %3 = state name "dx" init "fill" a 0 : f32[$1, $2]
  %4 = cross_entropy %2, %1 : f32[$1]
  %5 = sum %4 axes [0] : f32[]
  %6 = grad %5, %2 : f32[$1, $2]
  output "loss" = %5
  update %3 = %6
}
TEXT
}

# vector_graph TYPE K N COUNT kn|nk: a row through COUNT matrices, from K to N elements and back
vector_graph() {
  local i k=$2 n=$3 swap x=%1
  echo "sinter 1
graph @run {
  %1 = state name \"x\" init \"fill\" a 0.5 : $1[1, $2]"
  for ((i = 1; i <= $4; i++)); do
    local w="$k, $n"
    [ "$5" = kn ] || w="$n, $k"
    echo "  %$((2 * i)) = param name \"w$i\" init \"fill\" a 0.0001 : $1[$w]
  %$((2 * i + 1)) = contract $x, %$((2 * i)) spec \"mk,$5->mn\" : $1[1, $n]"
    x=%$((2 * i + 1))
    swap=$k k=$n n=$swap
  done
  echo "  update %1 = $x
}"
}

# product_graph TYPE M N K SPEC
product_graph() {
  local a="$2, $4" b="$4, $3"
  case $5 in km,*) a="$4, $2" ;; esac
  case $5 in *,nk) b="$3, $4" ;; esac
  cat <<TEXT
sinter 1
graph @run {
  %1 = state name "x" init "uniform" a 1 : $1[$a]
  %2 = state name "w" init "uniform" a 1 : $1[$b]
  %3 = state name "y" init "fill" a 0 : $1[$2, $3]
  %4 = contract %1, %2 spec "$5->mn" : $1[$2, $3]
  update %3 = %4
}
TEXT
}

# attention_graph TYPE B T H D: queries, keys and values are views of one product, as models have them
attention_graph() {
  local x="$1[$2, $3, 3, $4, $5]" y="$1[$2, $3, $4, $5]" one="$1[1, $2, $3, $4, $5]" s="start" scale
  scale=$(awk "BEGIN { printf \"%.9g\", 1 / sqrt($5) }")
  local views="  %2 = state name \"x\" init \"uniform\" a 1 : $x
  %3 = transpose %2 perm [2, 0, 1, 3, 4] : $1[3, $2, $3, $4, $5]
  %4 = slice %3 $s [0, 0, 0, 0, 0] shape [1, $2, $3, $4, $5] : $one
  %5 = reshape %4 shape [$2, $3, $4, $5] : $y
  %6 = slice %3 $s [1, 0, 0, 0, 0] shape [1, $2, $3, $4, $5] : $one
  %7 = reshape %6 shape [$2, $3, $4, $5] : $y
  %8 = slice %3 $s [2, 0, 0, 0, 0] shape [1, $2, $3, $4, $5] : $one
  %9 = reshape %8 shape [$2, $3, $4, $5] : $y
  %10, %11 = attention %5, %7, %9 scale $scale mask @causal : $y, f32[$2, $4, $3]"
  cat <<TEXT
sinter 1
body @causal {
  %1 = arg index 0 : i32[]
  %2 = arg index 1 : i32[]
  %3 = arg index 2 : i32[]
  %4 = arg index 3 : i32[]
  %5 = le %4, %3 : bool[]
  return %5
}
graph @forward {
  %1 = state name "y" init "fill" a 0 : $y
$views
  update %1 = %10
}
graph @gradient {
  %1 = state name "dy" init "uniform" a 1 : $y
$views
  %12 = state name "dx" init "fill" a 0 : $x
  %13 = mul %10, %1 : $y
  %14 = cast %13 to f32 : f32[$2, $3, $4, $5]
  %15 = sum %14 axes [0, 1, 2, 3] : f32[]
  %16 = grad %15, %2 : $x
  update %12 = %16
  output "y" = %15
}
TEXT
}

# chain_graph COUNT
chain_graph() {
  local i
  echo "sinter 1
graph @run {
  %1 = state name \"x\" init \"fill\" a 0.5 : f32[64]"
  for ((i = 2; i <= $1 + 1; i++)); do echo "  %$i = $([ $((i % 2)) = 0 ] && echo sin || echo cos) %$((i - 1)) : f32[64]"; done
  echo "  update %1 = %$(($1 + 1))
}"
}
