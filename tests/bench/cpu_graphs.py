"""Graphs of ./dev bench cpu, as text: what a row needs and no more."""


def gemm(elem, m, n, k):
    return f"""sinter 1
graph @run {{
  %1 = input name "x" : {elem}[{m}, {k}]
  %2 = param name "w" init "uniform" a 0.02 : {elem}[{k}, {n}]
  %3 = contract %1, %2 spec "mk,kn->mn" : {elem}[{m}, {n}]
  output "y" = %3
}}
"""


def attention(t, heads, d):
    """Causal; queries, keys and values are views of one product, as models have them."""
    x, y, one = f"f32[1, {t}, 3, {heads}, {d}]", f"f32[1, {t}, {heads}, {d}]", f"f32[1, 1, {t}, {heads}, {d}]"
    head = f"""  %1 = input name "x" : {x}
  %2 = transpose %1 perm [2, 0, 1, 3, 4] : f32[3, 1, {t}, {heads}, {d}]
""" + "".join(f"""  %{3 + 2 * i} = slice %2 start [{i}, 0, 0, 0, 0] shape [1, 1, {t}, {heads}, {d}] : {one}
  %{4 + 2 * i} = reshape %{3 + 2 * i} shape [1, {t}, {heads}, {d}] : {y}
""" for i in range(3)) + f"""  %9, %10 = attention %4, %6, %8 scale {d ** -0.5:.9g} mask @causal : {y}, f32[1, {heads}, {t}]
"""
    return f"""sinter 1
body @causal {{
  %1 = arg index 0 : i32[]
  %2 = arg index 1 : i32[]
  %3 = arg index 2 : i32[]
  %4 = arg index 3 : i32[]
  %5 = le %4, %3 : bool[]
  return %5
}}
graph @fwd {{
{head}  output "y" = %9
}}
graph @fwdbwd {{
{head}  %11 = input name "dy" : {y}
  %12 = mul %9, %11 : {y}
  %13 = sum %12 axes [0, 1, 2, 3] : f32[]
  %14 = grad %13, %1 : {x}
  output "y" = %9
  output "dx" = %14
}}
"""


def attention_decode(t, heads, kv_heads, d):
    """One query against a cache of bf16."""
    q, kv = f"bf16[1, 1, {heads}, {d}]", f"bf16[1, {t}, {kv_heads}, {d}]"
    return f"""sinter 1
graph @run {{
  %1 = input name "q" : {q}
  %2 = state name "k" init "uniform" a 1 : {kv}
  %3 = state name "v" init "uniform" a 1 : {kv}
  %4, %5 = attention %1, %2, %3 scale {d ** -0.5:.9g} : {q}, f32[1, {heads}, 1]
  output "y" = %4
}}
"""


def rows(op, n, width):
    """A row op on rows of f32; norms have no weights here, as their stream has none. No time depends on the values."""
    if op == "cross_entropy":
        return f"""sinter 1
graph @run {{
  %1 = input name "targets" : i32[{n}]
  %2 = state name "x" init "fill" a 0.5 : f32[{n}, {width}]
  %3 = cross_entropy %2, %1 : f32[{n}]
  output "y" = %3
}}
"""
    how = {"softmax": " axis 1", "layernorm": " eps 1e-5", "rmsnorm": " eps 1e-5", "gelu": ""}[op]
    return f"""sinter 1
graph @run {{
  %1 = state name "x" init "fill" a 0.5 : f32[{n}, {width}]
  %2 = {op} %1{how} : f32[{n}, {width}]
  output "y" = %2
}}
"""
