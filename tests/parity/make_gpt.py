#!/usr/bin/env python3
"""Reference values of models/gpt.c from PyTorch (float64): weights, logits, loss, gradients, ten AdamW steps.

usage: make_gpt.py FOLDER      needs torch, numpy, safetensors; the files it writes are in the tree.
The model is written out here on its own: pre-norm GPT, tied head, no biases, exact GELU, learned positions.
Weights are stored as f32 and read back before anything is computed, so both sides start from equal bits.
"""
import math
import sys

import numpy as np
import torch
from safetensors.numpy import save_file

LAYERS, HEADS, WIDTH, CONTEXT, VOCAB, BATCH, LENGTH = 2, 2, 16, 8, 17, 3, 7
LR, MIN_LR, WARMUP, STEPS, CLIP, DECAY, BETA1, BETA2, EPS = 1e-2, 1e-3, 3, 10, 0.5, 0.1, 0.9, 0.99, 1e-8

out = sys.argv[1]
rng = np.random.default_rng(5)


def weights():
    w = {"wte.weight": rng.normal(0, 0.2, (VOCAB, WIDTH)), "wpe.weight": rng.normal(0, 0.2, (CONTEXT, WIDTH))}
    for i in range(LAYERS):
        w[f"h.{i}.ln_1.weight"] = rng.normal(1, 0.1, WIDTH)
        w[f"h.{i}.attn.c_attn.weight"] = rng.normal(0, 0.2, (WIDTH, 3 * WIDTH))
        w[f"h.{i}.attn.c_proj.weight"] = rng.normal(0, 0.2, (WIDTH, WIDTH))
        w[f"h.{i}.ln_2.weight"] = rng.normal(1, 0.1, WIDTH)
        w[f"h.{i}.mlp.c_fc.weight"] = rng.normal(0, 0.2, (WIDTH, 4 * WIDTH))
        w[f"h.{i}.mlp.c_proj.weight"] = rng.normal(0, 0.2, (4 * WIDTH, WIDTH))
    w["ln_f.weight"] = rng.normal(1, 0.1, WIDTH)
    return {k: v.astype(np.float32) for k, v in w.items()}


def norm(x, weight):
    mean = x.mean(-1, keepdim=True)
    var = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(var + 1e-5) * weight


def attention(x, w, p):
    b, t, _ = x.shape
    q, k, v = (x @ w[p + "c_attn.weight"]).view(b, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
    s = q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
    s = s.masked_fill(~torch.tril(torch.ones(t, t, dtype=torch.bool)), -math.inf)
    y = torch.softmax(s, -1) @ v
    return y.transpose(1, 2).reshape(b, t, WIDTH) @ w[p + "c_proj.weight"]


def logits_of(w, tokens):
    x = w["wte.weight"][tokens] + w["wpe.weight"][: tokens.shape[1]]
    for i in range(LAYERS):
        p = f"h.{i}."
        x = x + attention(norm(x, w[p + "ln_1.weight"]), w, p + "attn.")
        h = norm(x, w[p + "ln_2.weight"]) @ w[p + "mlp.c_fc.weight"]
        h = h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))
        x = x + h @ w[p + "mlp.c_proj.weight"]
    return norm(x, w["ln_f.weight"]) @ w["wte.weight"].T


def loss_of(w, tokens, targets):
    return torch.nn.functional.cross_entropy(logits_of(w, tokens).view(-1, VOCAB), targets.view(-1))


def rate(step):
    """Linear warm-up, then cosine to MIN_LR at STEPS; step counts from 1."""
    if step < WARMUP:
        return LR * step / WARMUP
    done = min(max((step - WARMUP) / (STEPS - WARMUP), 0), 1)
    return MIN_LR + 0.5 * (LR - MIN_LR) * (1 + math.cos(math.pi * done))


def train(w, tokens, targets):
    m = {k: torch.zeros_like(v) for k, v in w.items()}
    v2 = {k: torch.zeros_like(v) for k, v in w.items()}
    losses = []
    for step in range(1, STEPS + 1):
        for p in w.values():
            p.grad = None
        loss = loss_of(w, tokens, targets)
        loss.backward()
        losses.append(loss.item())
        total = torch.sqrt(sum((p.grad**2).sum() for p in w.values()))
        scale = min(1.0, CLIP / total.item())
        with torch.no_grad():
            for k, p in w.items():
                g = p.grad * scale
                m[k] = BETA1 * m[k] + (1 - BETA1) * g
                v2[k] = BETA2 * v2[k] + (1 - BETA2) * g * g
                update = (m[k] / (1 - BETA1**step)) / (torch.sqrt(v2[k] / (1 - BETA2**step)) + EPS)
                if p.dim() > 1:
                    update = update + DECAY * p
                p -= rate(step) * update
    return losses


start = weights()
tokens = torch.tensor(rng.integers(0, VOCAB, (BATCH, LENGTH)))
targets = torch.tensor(rng.integers(0, VOCAB, (BATCH, LENGTH)))
w = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in start.items()}
logits = logits_of(w, tokens)
loss = loss_of(w, tokens, targets)
loss.backward()
grads = {k: v.grad.numpy().copy() for k, v in w.items()}
losses = train(w, tokens, targets)

save_file(start, f"{out}/gpt_weights.safetensors")
save_file({k: g.astype(np.float32) for k, g in grads.items()}, f"{out}/gpt_grads.safetensors")
save_file({k: v.detach().numpy().astype(np.float32) for k, v in w.items()}, f"{out}/gpt_after.safetensors")
np.save(f"{out}/gpt_tokens.npy", tokens.numpy().astype(np.int32))
np.save(f"{out}/gpt_targets.npy", targets.numpy().astype(np.int32))
np.save(f"{out}/gpt_logits.npy", logits.detach().numpy().astype(np.float32))
np.save(f"{out}/gpt_losses.npy", np.array([loss.item()] + losses, dtype=np.float64))
