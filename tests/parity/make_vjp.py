#!/usr/bin/env python3
"""Vector-Jacobian products of single ops from PyTorch (float64).

usage: make_vjp.py FOLDER      needs torch, numpy; the two files that it writes are in the tree.
vjp.sn holds a graph per case: y of inputs x0, x1, .., the products g0, g1, .. of its Jacobian with the input d.
vjp.safetensors holds the values: "case/x0", "case/d", "case/y", "case/g0", .. The formulas on the PyTorch side are
written out here on their own.
"""
import json
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

out = sys.argv[1]
rng = np.random.default_rng(11)
text, values = ["sinter 1"], {}
ELEM = {np.dtype("float64"): "f64", np.dtype("float32"): "f32", np.dtype("int32"): "i32", np.dtype("bool"): "bool"}


def typed(a):
    return f"{ELEM[a.dtype]}[{', '.join(map(str, a.shape))}]"


def case(name, node, fn, *inputs, more=""):
    """node: text of the op with operands {0}, {1}, ..; more: types of further results."""
    x = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in inputs]
    y = fn(*x)
    d = torch.tensor(rng.normal(0, 1, tuple(y.shape)), dtype=y.dtype)
    wrt = [i for i, a in enumerate(inputs) if a.dtype.kind == "f"]
    grads = torch.autograd.grad(y, [x[i] for i in wrt], d, allow_unused=True)
    y = y.detach().numpy()
    n = len(inputs)
    lines = [f'  %{i + 1} = input name "x{i}" : {typed(a)}' for i, a in enumerate(inputs)]
    t = typed(y)
    results = f"%{n + 1}" + (f", %{n + 2}" if more else "")
    lines.append(f"  {results} = {node.format(*[f'%{i + 1}' for i in range(n)])} : {t}{more}")
    at = n + 2 + (1 if more else 0)
    lines.append(f'  %{at} = input name "d" : {t}')
    lines.append(f"  %{at + 1} = mul %{n + 1}, %{at} : {t}")
    if y.ndim:
        lines.append(f"  %{at + 2} = sum %{at + 1} axes [{', '.join(map(str, range(y.ndim)))}] : {ELEM[y.dtype]}[]")
    loss = at + 2 if y.ndim else at + 1
    g = [loss + 1 + i for i in range(len(wrt))]
    lines.append(
        f"  {', '.join(f'%{i}' for i in g)} = grad %{loss}, {', '.join(f'%{i + 1}' for i in wrt)} : "
        + ", ".join(typed(inputs[i]) for i in wrt)
    )
    lines.append(f'  output "y" = %{n + 1}')
    lines += [f'  output "g{k}" = %{i}' for k, i in zip(wrt, g)]
    text.extend(["", f"graph @{name} {{"] + lines + ["}"])
    for i, a in enumerate(inputs):
        values[f"{name}/x{i}"] = a.astype(np.uint8) if a.dtype == bool else a
    values[f"{name}/d"], values[f"{name}/y"] = d.numpy(), y
    for k, i in enumerate(wrt):
        values[f"{name}/g{i}"] = np.zeros_like(inputs[i]) if grads[k] is None else grads[k].numpy()


def normal(*shape):
    return rng.normal(0, 1, shape)


def positive(*shape):
    return rng.uniform(0.2, 3, shape)


def ids(limit, *shape):
    return rng.integers(0, limit, shape).astype(np.int32)


for op, fn in {
    "neg": torch.neg, "abs": torch.abs, "exp": torch.exp, "exp2": torch.exp2, "expm1": torch.expm1, "sin": torch.sin,
    "cos": torch.cos, "tanh": torch.tanh, "erf": torch.erf, "square": torch.square, "reciprocal": torch.reciprocal,
    "sigmoid": torch.sigmoid, "logsigmoid": F.logsigmoid, "softplus": F.softplus, "relu": F.relu, "silu": F.silu,
    "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}.items():
    case(op, op + " {0}", fn, 1.5 * normal(2, 3))
for op, fn in {
    "log": torch.log, "log2": torch.log2, "log1p": torch.log1p, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt,
}.items():
    case(op, op + " {0}", fn, positive(2, 3))
case("leaky_relu", "leaky_relu {0} slope 0.25", lambda x: F.leaky_relu(x, 0.25), normal(2, 3))
case("elu", "elu {0} alpha 0.5", lambda x: F.elu(x, 0.5), normal(2, 3))
case("cast", "cast {0} to f64", lambda x: x.double(), normal(2, 3).astype(np.float32))
for op, fn in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "min": torch.minimum, "max": torch.maximum}.items():
    case(op, op + " {0}, {1}", fn, normal(2, 3), normal(2, 3))
case("div", "div {0}, {1}", torch.div, normal(2, 3), positive(2, 3))
case("pow", "pow {0}, {1}", torch.pow, positive(2, 3), normal(2, 3))
case("select", "select {0}, {1}, {2}", torch.where, normal(2, 3) > 0, normal(2, 3), normal(2, 3))

case("reshape", "reshape {0} shape [3, 2]", lambda x: x.reshape(3, 2), normal(2, 3))
case("transpose", "transpose {0} perm [2, 0, 1]", lambda x: x.permute(2, 0, 1), normal(2, 3, 2))
case("broadcast", "broadcast {0} shape [2, 3, 4] axes [0, 2]", lambda x: x[:, None, :].expand(2, 3, 4), normal(2, 1))
case("slice", "slice {0} start [1, 0] shape [2, 2]", lambda x: x[1:3, 0:2], normal(4, 3))
case("concat", "concat {0}, {1} axis 1", lambda x, y: torch.cat([x, y], 1), normal(2, 2), normal(2, 3))
case("pad", "pad {0} before [1, 0] after [0, 2] value 0.5", lambda x: F.pad(x, (0, 2, 1, 0), value=0.5), normal(2, 2))
case("flip", "flip {0} axis 1", lambda x: torch.flip(x, [1]), normal(2, 3))

tied = np.array([[1.0, 2.0, 2.0], [3.0, -1.0, -1.0]])
case("sum", "sum {0} axes [0]", lambda x: x.sum(0), normal(3, 2))
case("amax", "amax {0} axes [1]", lambda x: x.amax(1), tied)
case("amin", "amin {0} axes [1]", lambda x: x.amin(1), tied)
case("prod", "prod {0} axes [1]", lambda x: x.prod(1), np.array([[1.5, 2.0, -3.0], [2.0, 0.0, 4.0]]))
case("contract", 'contract {0}, {1} spec "bij,bjk->bik"', torch.bmm, normal(2, 2, 3), normal(2, 3, 2))

case("gather", "gather {0}, {1}", lambda x, i: x[i.long()], normal(4, 2), ids(4, 3))
case("scatter_add", "scatter_add {0}, {1} rows 3",
     lambda i, u: torch.zeros(3, 2, dtype=u.dtype).index_add(0, i.long(), u), ids(3, 4), normal(4, 2))
case("index", "index {0}, {1}, {2}", lambda x, i, j: x[i.long(), j.long()], normal(3, 4), ids(3, 5), ids(4, 5))
case("index_add", "index_add {0}, {1}, {2} shape [3, 2]",
     lambda u, i, j: torch.zeros(3, 2, dtype=u.dtype).index_put((i.long(), j.long()), u, accumulate=True),
     normal(5), ids(3, 5), ids(2, 5))
start = np.array(1, np.int32)
case("dynamic_slice", "dynamic_slice {0}, {1} axis 0 count 2", lambda x, s: x[1:3], normal(4, 2), start)
case("dynamic_write", "dynamic_write {0}, {1}, {2} axis 0", lambda x, u, s: torch.cat([x[:1], u, x[3:]]),
     normal(4, 2), normal(2, 2), start)


def attention(q, k, v):
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, scale=0.5, enable_gqa=True).transpose(1, 2)


case("attention", "attention {0}, {1}, {2} scale 0.5", attention, normal(1, 3, 2, 2), normal(1, 4, 1, 2),
     normal(1, 4, 1, 3), more=", f64[1, 2, 3]")

case("softmax", "softmax {0} axis 1", lambda x: F.softmax(x, 1), normal(2, 4))
case("log_softmax", "log_softmax {0} axis 0", lambda x: F.log_softmax(x, 0), normal(3, 2))
case("logsumexp", "logsumexp {0} axis 1", lambda x: torch.logsumexp(x, 1), normal(2, 4))
case("pick", "pick {0}, {1}", lambda x, i: x.gather(1, i.long()[:, None])[:, 0], normal(3, 4), ids(4, 3))
case("layernorm", "layernorm {0} eps 0.01", lambda x: F.layer_norm(x, (4,), eps=0.01), normal(2, 4))
case("rmsnorm", "rmsnorm {0} eps 0.01", lambda x: F.rms_norm(x, (4,), eps=0.01), normal(2, 4))
case("group_norm", "group_norm {0} groups 2 eps 0.01", lambda x: F.group_norm(x, 2, eps=0.01), normal(2, 6))
case("l2_norm", "l2_norm {0} eps 0.01", lambda x: x / (x.square().sum(-1, keepdim=True) + 0.01).sqrt(), normal(2, 4))
case("cross_entropy", "cross_entropy {0}, {1} smooth 0.25",
     lambda x, i: F.cross_entropy(x, i.long(), reduction="none", label_smoothing=0.25), normal(3, 4), ids(4, 3))

with open(out + "/vjp.sn", "w") as f:
    f.write("\n".join(text) + "\n")
NAME = {"float64": "F64", "float32": "F32", "int32": "I32", "uint8": "U8"}
header, data = {}, b""
for key, v in values.items():
    raw = np.ascontiguousarray(v).tobytes()
    header[key] = {"dtype": NAME[str(v.dtype)], "shape": list(v.shape), "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
head = json.dumps(header, separators=(",", ":")).encode()
head += b" " * (-len(head) % 8)
with open(out + "/vjp.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(head)) + head + data)
print(sum(t.startswith("graph") for t in text), "cases")
