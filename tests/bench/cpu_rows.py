"""The rows of ./dev bench cpu: what is run, what bounds it, who it is compared with, and what the aim is."""
import json
import os
import re
import shutil
import tempfile
import time

import cpu_attention
import cpu_graphs as graphs
from cpu_peers import Failed, run_once
from cpu_row import Ours, Row

GPT2 = {"layers": 12, "heads": 12, "width": 768, "vocab": 50257, "context": 1024}
LLAMA_1B = {"layers": 22, "heads": 32, "kv_heads": 4, "width": 2048, "hidden": 5632, "vocab": 32000, "context": 2048}
LLAMA_15M = {"layers": 6, "heads": 6, "kv_heads": 6, "width": 288, "hidden": 768, "vocab": 32000, "context": 256}
SMALL_GPT = {"layers": 2, "heads": 2, "width": 64, "vocab": 257, "context": 1024}
SMALL_LLAMA = {"layers": 2, "heads": 4, "kv_heads": 1, "width": 64, "hidden": 128, "vocab": 256, "context": 256}
# Every row of the table, also those that --quick makes smaller.
NAMES = ["gemm.f32", "gemm.f32.small", "gemm.bf16", "train.gpt2.f32", "train.gpt2.bf16", "attention.fwd", "attention.fwdbwd", "attention.decode",
         "attention.blocks", "attention.unfused", "attention.window", "attention.flex", "decode", "decode.small", "prefill", "rows.softmax", "rows.layernorm", "rows.rmsnorm", "rows.cross_entropy", "rows.gelu", "adamw",
         "compile.cold", "compile.warm"]


def parameters(c):
    """Of the matrices, and the elements of all of them that one token reads: the table of a Llama is only looked up in."""
    if "kv_heads" in c:
        kv = c["width"] * c["kv_heads"] // c["heads"]
        return c["layers"] * (2 * c["width"] ** 2 + 2 * c["width"] * kv + 3 * c["width"] * c["hidden"]) + c["vocab"] * c["width"]
    return c["layers"] * 12 * c["width"] ** 2 + c["vocab"] * c["width"]


class Table:
    """Makes rows for one machine and one set of sizes."""

    def __init__(self, sinter, tree, work, peers, threads, quick):
        self.sinter, self.tree, self.work, self.peers, self.threads, self.quick = sinter, tree, work, peers, threads, quick
        self.budget = 20 if quick else 200
        self.cache = {"XDG_CACHE_HOME": os.path.join(work, "cache")}

    # ---- Sinter ----------------------------------------------------------------------------------------------------

    def bench(self, path, *options, threads, first=3):
        """Milliseconds of a graph; as many runs as fit in the budget, `first` of them in the first round. `path`: a file, or what
        makes its text, once."""
        state = {"repeat": first}

        def run(deadline):
            file = path if isinstance(path, str) else path()
            command = [self.sinter, "bench", file, *options, "--threads", str(threads), "--repeat", str(state["repeat"]), "--whole", "--json"]
            text = run_once(command, deadline, self.cache)
            run.info = json.loads(text[:text.index("}\n") + 1])
            ms = run.info["median_ms"]
            state["repeat"] = max(1 if ms > 500 else 3, min(200, int(self.budget / max(ms, 1e-3))))
            return ms
        return run

    def text(self, name, make):
        """A function that gives the path of a graph, written when it is first asked for."""
        def path():
            out = os.path.join(self.work, name + ".sn")
            if not os.path.exists(out):
                with open(out, "w") as f:
                    f.write(make())
            return out
        return path

    def model(self, file, graph, settings, keep=lambda line: True, edit=lambda text: text, label=""):
        """The graph of a model file, with initial values that are drawn quickly: no time depends on them."""
        def make():
            sets = [x for k, v in settings.items() for x in ("--set", f"{k}={v}")]
            text = run_once([self.sinter, "dump", os.path.join(self.tree, file), *sets, "--graph", graph, "--pass", "none"],
                            time.monotonic() + 120, self.cache)
            lines = [re.sub('init "(normal|uniform)" a [0-9.e-]+', 'init "fill" a 0.01', l) for l in text.splitlines() if keep(l)]
            return edit("\n".join(lines) + "\n")
        name = f"{os.path.basename(file)[:-2]}.{graph}." + ".".join(f"{v}" for v in [*settings.values(), label])
        return self.text(name, make)

    # ---- rows ------------------------------------------------------------------------------------------------------

    def rows(self):
        yield from self.products()
        yield from self.training()
        yield from self.attention()
        yield from self.decoding()
        yield from self.row_ops()
        yield from self.optimiser()
        yield from self.compiling()

    def product(self, name, elem, m, n, k, threads, aim):
        p, flops = self.peers, 2.0 * m * n * k
        found = {"onednn": p.product("onednn", m, n, k, elem, threads, self.budget),
                 "openblas": p.product("openblas", m, n, k, elem, threads, self.budget),
                 "torch": p.torch_small(threads, self.budget, "gemm", m, n, k, elem)}
        named = ("onednn", "openblas") if elem == "f32" else ("onednn",)
        found = {k: v for k, v in found.items() if k != "openblas" or k in named}
        path = self.text(f"gemm-{elem}-{m}x{n}x{k}", lambda: graphs.gemm(elem, m, n, k))
        return Row(name, f"{m}x{n}x{k}", threads, "GFLOP/s", flops, self.bench(path, "--graph", "run", threads=threads, first=3 if flops < 1e10 else 1), (elem, flops), found,
                   named, aim)

    def products(self):
        shapes = [(768, 768), (3072, 768), (768, 3072), (4096, 4096), (50257, 768)]
        if self.quick:
            shapes = [(96, 64)]
        counts = sorted({1, self.threads})
        for threads in counts:
            for n, k in shapes:
                for m in [64] if self.quick else [64, 256, 1024]:
                    yield self.product("gemm.f32", "f32", m, n, k, threads, {"ratio": 0.95, "mean": 1.05, "share": 0.75})
        for threads in counts:
            for n, k in shapes:
                yield self.product("gemm.f32.small", "f32", 8, n, k, threads, {"mean": 1.2})
        for threads in counts:
            for n, k in shapes:
                for m in [64] if self.quick else [64, 256, 1024]:
                    yield self.product("gemm.bf16", "bf16", m, n, k, threads, {"ratio": 1.5 if n == k == 4096 else 1.1, "mean": 1.3})

    def training(self):
        c, p, n = SMALL_GPT if self.quick else GPT2, self.peers, self.threads
        path = self.model("models/gpt.c", "train", c)
        dims = lambda t: ("--graph", "train", "--dim", "B=4", "--dim", f"T={t}")
        for t, aim, llm in ((64, 2.5, 7), (256, 1.8, 10)):
            flops = 6.0 * parameters(c) * 4 * t
            found = {"torch": p.torch_gpt(n, self.budget, "serve", 4, t), "torch.compile": p.torch_gpt(n, self.budget, "compile", 4, t),
                     "llm.c": p.llm_c(n, t)}
            if self.quick:
                found = {}
            yield Row("train.gpt2.f32", f"B=4,T={t}", n, "ms", 1, self.bench(path, *dims(t), threads=n, first=1), ("f32", flops), found, ("torch",),
                      {"ratio": aim, "peer": {"torch.compile": 1.0, "llm.c": llm}}, rounds=3 if t < 256 else 2, gigabytes=0 if self.quick else 4,
                      peer_gigabytes=5, patience=2.5)
        for t in (64, 256):
            flops = 6.0 * parameters(c) * 4 * t
            ours = self.bench(path, *dims(t), threads=n, first=1)
            yield Row("train.gpt2.bf16", f"B=4,T={t}", n, "ms", 1, self.bench(path, *dims(t), "--precision", "bf16", threads=n, first=1), ("bf16", flops),
                      {"sinter.f32": lambda deadline, ours=ours: Ours(ours)}, ("sinter.f32",), {"ratio": 2.0}, rounds=3 if t < 256 else 2, gigabytes=0 if self.quick else 4, patience=2)

    def attention(self):
        p, n, heads, d = self.peers, self.threads, 12, 64
        for what, products, aim in (("fwd", 2, 4.0), ("fwdbwd", 7, 3.0)):
            for t in [128] if self.quick else [512, 1024, 2048, 4096]:
                path = self.text(f"attention-{t}", lambda t=t: graphs.attention(t, heads, d))
                flops = products * 2.0 * heads * t * (t + 1) / 2 * d
                found = {"torch": p.torch(n, self.budget, "attention", "eager", what, t, heads, d) if t in (128, 1024, 4096) else None,
                         "torch.sdpa": p.torch(n, self.budget, "attention", "sdpa", what, t, heads, d)}
                yield Row(f"attention.{what}", f"B=1,H={heads},D={d},T={t}", n, "ms", 1, self.bench(path, "--graph", what, threads=n), ("f32", flops),
                          found, ("torch",), {"ratio": aim, "peer": {"torch.sdpa": 1.0}}, gigabytes=0.5, peer_gigabytes=5 if t > 1024 else 1)
        for t in [256] if self.quick else [4096, 8192, 16384]:
            size = 2.0 * t * 8 * 128 * 2
            path = self.text(f"attention-decode-{t}", lambda t=t: graphs.attention_decode(t, 32, 8, 128))
            found = {"torch": p.torch_small(n, self.budget, "attention_decode", t, 32, 8, 128),
                     "ggml": p.ggml(n, self.budget, "attention", "plain", t, 32, 8, 128), "ggml.flash": p.ggml(n, self.budget, "attention", "fused", t, 32, 8, 128)}
            yield Row("attention.decode", f"B=1,H=32,KV=8,D=128,T={t}", n, "GB/s", size, self.bench(path, "--graph", "run", threads=n),
                      ("stream", 1, 0, size, False, size), found, ("ggml", "ggml.flash"), {"share": 0.8, "ratio": 8.0})
        yield from cpu_attention.rows(self)

    def decoding(self):
        c, p, n = SMALL_LLAMA if self.quick else LLAMA_1B, self.peers, self.threads
        label = "small" if self.quick else "1.1B"
        memory = lambda size: {"gigabytes": 0, "peer_gigabytes": 0} if self.quick else {"gigabytes": 5 + 1.1 * size, "peer_gigabytes": 1 + 1.1 * size}
        llama = lambda t, elem, c: p.torch(n, self.budget, "llama", t, *c.values(), elem)
        for elem, size in (("f32", 4), ("bf16", 2)):
            moved = parameters(c) * size
            path = self.model("models/llama.c", "decode", c)
            yield Row("decode", f"{label},{elem}", n, "GB/s", moved, self.bench(path, "--graph", "decode", "--dim", "B=1", "--precision", elem, threads=n, first=1),
                      ("stream", 1, 0, min(moved, 1 << 30), False, moved),
                      {"llama.cpp": p.llama_cpp(n, f"llama-1.1b-{elem}.gguf", 0, 32), "torch": llama(1, elem, c)}, ("llama.cpp",),
                      {"share": 0.9}, rounds=2, patience=1.5, **memory(size))
        small = SMALL_LLAMA if self.quick else LLAMA_15M
        path = self.model("models/llama.c", "decode", small)
        moved = parameters(small) * 4
        label15 = "small" if self.quick else "15M"
        yield Row("decode.small", f"{label15},B=1", n, "tok/s", 1, self.bench(path, "--graph", "decode", "--dim", "B=1", threads=n),
                  ("stream", 1, 0, moved, False, moved),
                  {"llama2.c": p.llama2_c(n), "llama.cpp": p.llama_cpp(n, "stories15M.gguf", 0, 128), "torch": llama(1, "f32", small)},
                  ("llama2.c", "llama.cpp"), {"ratio": 1.2})
        yield Row("decode.small", f"{label15},first token", n, "ms", 1, self.first_token(small), aim={"most": 50}, patience=2)
        tokens = 64 if self.quick else 512
        for elem, size, aim in (("f32", 4, 1.8), ("bf16", 2, 8.0)):
            path = self.model("models/llama.c", "prefill", c)
            yield Row("prefill", f"{label},T={tokens},{elem}", n, "tok/s", tokens,
                      self.bench(path, "--graph", "prefill", "--dim", "B=1", "--dim", f"T={tokens}", "--precision", elem, threads=n, first=1),
                      (elem, 2.0 * parameters(c) * tokens), {"llama.cpp": p.llama_cpp(n, f"llama-1.1b-{elem}.gguf", 512, 0), "torch": llama(tokens, elem, c)},
                      ("llama.cpp",), {"ratio": aim}, rounds=2, patience=1.5, **memory(size))

    def first_token(self, c):
        """A program with its weights inside, from its start to its end after one token."""
        program = os.path.join(self.work, "first-token")

        def make(deadline):
            run, text = os.path.join(self.work, "first-run"), os.path.join(self.work, "first.txt")
            with open(text, "w") as f:
                f.write("the quick brown fox jumps over the lazy dog\n" * 300)
            sets = [x for k, v in c.items() for x in ("--set", f"{k}={v}")]
            run_once([self.sinter, "train", os.path.join(self.tree, "models/llama.c"), *sets, "--data", text, "--tokenizer", "byte", "--batch", "1",
                      "--steps", "1", "--eval-batches", "1", "--out", run], deadline, self.cache)
            run_once([self.sinter, "build", run, "-o", program], deadline, self.cache)
            shutil.rmtree(run)

        def measure(deadline):
            if not os.path.exists(program):
                make(deadline)
            return wall([program, "--prompt", "a", "--tokens", "1"], deadline, self.cache, 1 if self.quick else 5)
        return measure

    def row_ops(self):
        p, n = self.peers, self.threads
        width = 1024
        for op in ("softmax", "layernorm", "rmsnorm", "cross_entropy", "gelu"):
            loss = op == "cross_entropy"
            w = (1000 if self.quick else 50257) if loss else width
            count = (64 if self.quick else 2048) if loss else (256 if self.quick else 65536)
            path = self.text(f"rows-{op}", lambda op=op, count=count, w=w: graphs.rows(op, count, w))
            moved = count * w * 4.0 * (1 if loss else 2)
            yield Row("rows." + op, f"{count}x{w}", n, "GB/s", moved, self.bench(path, "--graph", "run", threads=n),
                      ("stream", 1, 0 if loss else 1, moved, False, moved),
                      {"torch": p.torch(n, self.budget, "rows", op, count, w), "ggml": p.ggml(n, self.budget, "rows", op, count, w)},
                      ("ggml",), {"share": 0.85}, gigabytes=1.5, peer_gigabytes=2)
        path = self.text("rows-l2", lambda: graphs.rows("layernorm", 128, 768))
        yield Row("rows.layernorm", "128x768 in L2", 1, "ns/element", 128 * 768, self.bench(path, "--graph", "run", threads=1),
                  ("stream", 1, 1, 8 * 128 * 768, False, 8 * 128 * 768), {"torch": p.torch_small(1, self.budget, "rows", "layernorm", 128, 768)}, (), {"most": 0.12})

    def optimiser(self):
        c, p, n = {"layers": 1, "width": 64, "vocab": 256} if self.quick else {"layers": 12, "width": 768, "vocab": 50257}, self.peers, self.threads
        count = c["layers"] * 12 * c["width"] ** 2 + c["vocab"] * c["width"]
        moved = 32.0 * count  # gradients for the norm; then gradients, both moments and parameters, of which three are written
        path = self.model("tests/bench/adamw.c", "step", c, lambda line: not line.startswith(('  output "', "  guard ")))
        yield Row("adamw", f"{count / 1e6:.0f}M", n, "ms", 1, self.bench(path, "--graph", "step", threads=n),
                  ("stream", 5, 3, min(moved, 1 << 30), True, moved), {"torch": p.torch(n, self.budget, "adamw", *c.values())}, ("torch",),
                  {"share": 0.85, "ratio": 2.0}, gigabytes=0 if self.quick else 3, peer_gigabytes=0 if self.quick else 3)

    def compiling(self):
        c, n = SMALL_GPT if self.quick else GPT2, self.threads
        layers = c["layers"]
        path, more = self.model("models/gpt.c", "train", c), self.model("models/gpt.c", "train", {**c, "layers": 2 * layers})

        def compile(file, cache, deadline):
            return wall([self.sinter, "build", file, "--graph", "train", "--threads", str(n), "--emit", "plan", "-o", os.path.join(self.work, "plan")],
                        deadline, {"XDG_CACHE_HOME": cache}, 1)

        def cold(file, deadline):
            with tempfile.TemporaryDirectory(dir=self.work) as cache:
                return compile(file, cache, deadline)

        def warm(deadline):
            cache = os.path.join(self.work, "warm")
            if not os.path.exists(cache):
                compile(path(), cache, deadline)
            return compile(path(), cache, deadline)

        def layer(deadline):
            """What each of as many layers again costs."""
            ms = [min(cold(f(), deadline) for _ in range(1 if self.quick else 3)) for f in (path, more)]
            if ms[1] <= ms[0]:
                raise Failed(f"within the noise: {ms[0]:.0f} ms for {layers} layers, {ms[1]:.0f} ms for {2 * layers}")
            return (ms[1] - ms[0]) / layers
        yield Row("compile.cold", f"{layers} layers", n, "ms", 1, lambda d: cold(path(), d), aim={"most": 1500})
        yield Row("compile.cold", "a further layer", n, "ms", 1, layer, aim={"most": 5}, rounds=1)
        yield Row("compile.warm", f"{layers} layers", n, "ms", 1, warm, aim={"most": 50})


def wall(command, deadline, env, times):
    """Milliseconds of a command from start to end: the median."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run_once(command, deadline, env)
        found.append((time.perf_counter() - start) * 1e3)
    return sorted(found)[len(found) // 2]
