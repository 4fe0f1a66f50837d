#!/usr/bin/env python3
"""Work of ./dev bench cpu in PyTorch, eager. For each empty line on stdin: the median of some runs in milliseconds, on stdout.

usage: peer_torch.py THREADS BUDGET_MS     each line JOB ARGUMENTS... on stdin is a new job, "ready" its answer
  gemm M N K f32|bf16              weights packed ahead of time by the oneDNN that is in it
  attention eager|sdpa fwd|fwdbwd T HEADS D      causal
  flex NAME T HEADS D [SIZE]       compiled flex_attention, forward; its map of blocks is made before. NAME: alibi, softcap, window, documents
  attention_decode T HEADS KV_HEADS D            one query, bf16
  rows OP N WIDTH
  adamw LAYERS WIDTH VOCAB         with a clipped norm; the fused kernel
  llama T LAYERS HEADS KV_HEADS WIDTH HIDDEN VOCAB CONTEXT f32|bf16     T tokens at once; 1: one after CONTEXT / 2

Run it with the variables that gpt_torch.py names, so that the heap is reused from run to run.
"""
import math
import sys

import torch

from torch_serve import serve

F = torch.nn.functional
THREADS, BUDGET = int(sys.argv[1]), float(sys.argv[2])
torch.set_num_threads(THREADS)
torch.manual_seed(1)
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def gemm(m, n, k, elem):
    m, n, k = int(m), int(n), int(k)
    x, w = torch.rand(m, k).to(TYPES[elem]), torch.rand(n, k).to(TYPES[elem])
    packed = torch.ops.mkldnn._reorder_linear_weight(w, m)
    return lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


def explicit(q, k, v):
    scores = (q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1])
    hidden = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -math.inf).softmax(-1) @ v


def attention(how, what, t, heads, d):
    t, heads, d = int(t), int(heads), int(d)
    x = torch.randn(1, t, 3, heads, d, requires_grad=what == "fwdbwd")
    dy = torch.randn(1, heads, t, d)

    def forward():
        q, k, v = x.permute(2, 0, 3, 1, 4)
        return explicit(q, k, v) if how == "eager" else F.scaled_dot_product_attention(q, k, v, is_causal=True)

    def both():
        x.grad = None
        forward().backward(dy)

    return both if what == "fwdbwd" else forward


def flex(name, t, heads, d, size=0):
    t, heads, d, size = int(t), int(heads), int(d), int(size)
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
    torch._dynamo.reset()  # each job is compiled for its shapes
    slope = torch.exp2(-8.0 * torch.arange(1, heads + 1) / heads)
    doc = torch.arange(t) // max(size, 1)
    score = {"alibi": lambda s, b, h, i, j: s - slope[h] * (i - j), "softcap": lambda s, b, h, i, j: 50 * torch.tanh(s / 50)}.get(name)
    mask = {"window": lambda b, h, i, j: (j <= i) & (i - j < size), "documents": lambda b, h, i, j: (j <= i) & (doc[i] == doc[j])}.get(
        name, lambda b, h, i, j: j <= i)
    q, k, v = (torch.randn(1, t, heads, d).transpose(1, 2) for _ in range(3))
    blocks, run = create_block_mask(mask, None, None, t, t, device="cpu"), torch.compile(flex_attention, dynamic=False)
    return lambda: run(q, k, v, score_mod=score, block_mask=blocks)


def attention_decode(t, heads, kv_heads, d):
    t, heads, kv_heads, d = int(t), int(heads), int(kv_heads), int(d)
    q = torch.rand(1, heads, 1, d).bfloat16()
    k, v = (torch.rand(1, kv_heads, t, d).bfloat16() for _ in range(2))
    return lambda: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)


def rows(op, n, width):
    x = torch.randn(int(n), int(width))
    targets = torch.randint(int(width), (int(n),))
    shape = (int(width),)
    return {"softmax": lambda: x.softmax(-1), "layernorm": lambda: F.layer_norm(x, shape), "rmsnorm": lambda: F.rms_norm(x, shape),
            "gelu": lambda: F.gelu(x), "cross_entropy": lambda: F.cross_entropy(x, targets, reduction="none")}[op]


def adamw(layers, width, vocab):
    layers, width, vocab = int(layers), int(width), int(vocab)
    shapes = [(vocab, width)] + layers * [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]
    p = [torch.nn.Parameter(torch.rand(s)) for s in shapes]
    for x in p:
        x.grad = torch.rand(x.shape)
    optimiser = torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1, fused=True)

    def run():
        torch.nn.utils.clip_grad_norm_(p, 1.0)
        optimiser.step()
    return run


def llama(t, layers, heads, kv_heads, width, hidden, vocab, context, elem):
    t, layers, heads, kv_heads, width, hidden, vocab, context = map(int, (t, layers, heads, kv_heads, width, hidden, vocab, context))
    d, kind, start = width // heads, TYPES[elem], context // 2 if t == 1 else 0
    matrix = lambda n, k: torch.full((n, k), 0.01, dtype=kind)
    blocks = [[matrix(width, width), matrix(kv_heads * d, width), matrix(kv_heads * d, width), matrix(width, width), matrix(hidden, width),
               matrix(hidden, width), matrix(width, hidden)] for _ in range(layers)]
    caches = [torch.zeros(2, 1, kv_heads, context, d, dtype=kind) for _ in range(layers)]
    head, table, gain = matrix(vocab, width), matrix(vocab, width), torch.ones(width, dtype=kind)
    angle = torch.outer(torch.arange(start, start + t).float(), 1e4 ** (-torch.arange(0, d, 2).float() / d))
    cos, sin = angle.cos().to(kind), angle.sin().to(kind)
    tokens = torch.randint(vocab, (1, t))

    def rope(x):
        a, b = x.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def split(x, n):
        return x.view(1, t, n, d).transpose(1, 2)

    def run():
        with torch.inference_mode():
            x = table[tokens]
            for (q, k, v, o, gate, up, down), cache in zip(blocks, caches):
                h = F.rms_norm(x, (width,), gain)
                cache[0, :, :, start:start + t], cache[1, :, :, start:start + t] = rope(split(F.linear(h, k), kv_heads)), split(F.linear(h, v), kv_heads)
                y = F.scaled_dot_product_attention(rope(split(F.linear(h, q), heads)), cache[0, :, :, :start + t], cache[1, :, :, :start + t],
                                                   is_causal=t > 1, enable_gqa=True)
                x = x + F.linear(y.transpose(1, 2).reshape(1, t, width), o)
                h = F.rms_norm(x, (width,), gain)
                x = x + F.linear(F.silu(F.linear(h, gate)) * F.linear(h, up), down)
            return F.linear(F.rms_norm(x, (width,), gain), head)
    return run


JOBS = {"gemm": gemm, "attention": attention, "flex": flex, "attention_decode": attention_decode, "rows": rows, "adamw": adamw, "llama": llama}
line = sys.stdin.readline()
while line:
    job, *arguments = line.split()
    run = JOBS[job](*arguments)
    if job in ("attention", "adamw"):
        line = serve(run, BUDGET)
    else:
        with torch.inference_mode():
            line = serve(run, BUDGET)
    del run
