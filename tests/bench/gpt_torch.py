#!/usr/bin/env python3
"""Time of one training step of the GPT of models/gpt.c in PyTorch eager mode: forward, backward, clip, AdamW.

usage: gpt_torch.py LAYERS HEADS WIDTH CONTEXT VOCAB BATCH THREADS REPEAT     prints the median in milliseconds
       gpt_torch.py ... BUDGET_MS serve|compile     asked for times as peer_torch.py is; compile: by torch.compile
Run it with MALLOC_TOP_PAD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_MMAP_MAX_=0
so that the heap is reused from step to step.
"""
import math
import sys
import time

import torch

from torch_serve import serve

LAYERS, HEADS, WIDTH, CONTEXT, VOCAB, BATCH, THREADS, REPEAT = map(int, sys.argv[1:9])
torch.set_num_threads(THREADS)
torch.manual_seed(1)
F = torch.nn.functional


class Norm(torch.nn.Module):  # LayerNorm without bias, which versions before 2.1 lack
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return F.layer_norm(x, (WIDTH,), self.weight)


def attention(q, k, v):
    if hasattr(F, "scaled_dot_product_attention"):  # since version 2.0
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = (q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1])
    hidden = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -math.inf).softmax(-1) @ v


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = Norm(), Norm()
        self.c_attn = torch.nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.c_proj = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.c_fc = torch.nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.c_out = torch.nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = self.c_attn(self.ln_1(x)).view(b, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        y = attention(q, k, v)
        x = x + self.c_proj(y.transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.c_out(F.gelu(self.c_fc(self.ln_2(x))))


class GPT(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(VOCAB, WIDTH), torch.nn.Embedding(CONTEXT, WIDTH)
        self.h = torch.nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = Norm()
        for p in self.parameters():
            if p.dim() > 1:
                torch.nn.init.normal_(p, 0, 0.02)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return F.cross_entropy((self.ln_f(x) @ self.wte.weight.T).view(-1, VOCAB), targets.view(-1))


model = GPT()
groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
          {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0}]
optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
tokens = torch.randint(VOCAB, (BATCH, CONTEXT))
targets = torch.randint(VOCAB, (BATCH, CONTEXT))
compute = torch.compile(model) if sys.argv[9:] == ["compile"] else model


def step():
    loss = compute(tokens, targets)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


if len(sys.argv) > 9:
    serve(step, REPEAT, warm=2)
    sys.exit()
times = []
for i in range(REPEAT + 2):
    start = time.perf_counter()
    step()
    if i >= 2:
        times.append(time.perf_counter() - start)
times.sort()
print(f"{times[len(times) // 2] * 1e3:.3f}")
