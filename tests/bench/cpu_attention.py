"""Rows of ./dev bench cpu: variants of attention, files of models/attention, against their live blocks, their own graph without
fusion, other lengths of themselves, and flex_attention of PyTorch."""
import re

from cpu_row import Ours, Row

HEADS, HEAD = 12, 64
BLOCK = 64  # rows of queries and keys, of which blocks are counted here
WINDOW, DOCUMENTS = 256, 4  # what flex_attention is compared on


def documents(size):
    """The input `doc` of a dumped model becomes the position by the size of a document. An input decides it, which is never
    negative: nothing is known before the graph runs."""
    def edit(text):
        return re.sub(r'  %(\d+) = input name "doc" : (\S+ \S+)', lambda m: f"""  %9001 = input name "late" : i32[]
  %9002 = const value 0 : i32[]
  %9003 = min %9001, %9002 : i32[]
  %9004 = broadcast %9003 axes [] shape [B, T] : {m[2]}
  %9005 = iota axis 1 : {m[2]}
  %9006 = add %9004, %9005 : {m[2]}
  %9007 = const value {size} : {m[2]}
  %{m[1]} = div %9006, %9007 : {m[2]}""", text)
    return edit


def live_share(t, first, last):
    """Of all blocks, those in which some query sees a key. first, last: the keys of a query."""
    count = t // BLOCK
    seen = sum(min(last((i + 1) * BLOCK - 1), t - 1) // BLOCK - max(first(i * BLOCK), 0) // BLOCK + 1 for i in range(count))
    return seen / count ** 2


class Variants:
    def __init__(self, table):
        self.table = table

    def bench(self, name, what, t, heads=HEADS, size=None, fuse="all", first=3, **settings):
        """Milliseconds of a variant; what: fwd, fwdbwd. size: of a document."""
        graph = {"fwd": "forward", "fwdbwd": "gradients"}[what]
        edit = documents(size) if size else lambda text: text
        path = self.table.model(f"models/attention/{name}.c", graph, {"heads": heads, "head": HEAD, "context": t, **settings}, edit=edit, label=size or "")
        return self.table.bench(path, "--graph", graph, "--dim", "B=1", "--dim", f"T={t}", "--fuse", fuse, threads=self.table.threads, first=first)

    def row(self, name, shape, sinter, **more):
        return Row(name, shape, self.table.threads, "ms", 1, sinter, **more)

    def blocks(self):
        """Time against live blocks, and the time when all of them are live: within 15 %."""
        t, heads = (512, 1) if self.table.quick else (8192, 2)
        masks = [("window", live_share(t, lambda i, w=w: i - w, lambda i, w=w: i + w), {"window": 2 * w, "both": 1})
                 for w in (int(t * x) for x in (0.293, 0.134, 0.0513))]
        masks += [("documents", live_share(t, lambda i, s=s: i // s * s, lambda i: i), {"size": s}) for s in (t, t // 2, t * 13 // 64)]
        for what in ("fwd", "fwdbwd"):
            everything = self.bench("window", what, t, heads, window=2 * t, both=1, first=1)
            for name, live, settings in masks:
                found = {"all live": lambda deadline, run=everything: Ours(run)}
                yield self.row("attention.blocks", f"{what} {name},H={heads},T={t}: {100 * live:.1f} % live", self.bench(name, what, t, heads, first=1, **settings),
                               peers=found, named=("all live",), aim={"ratio": round(1 / live / 1.15, 2)}, gigabytes=0.5,
                               rounds=3 if what == "fwd" else 2)

    def unfused(self):
        for t, least in [(128, 1)] if self.table.quick else [(1024, 2.5), (4096, 4)]:
            for name in ("causal", "alibi", "softcap", "window"):
                slow = self.bench(name, "fwdbwd", t, fuse="none", first=1)
                yield self.row("attention.unfused", f"{name},H={HEADS},T={t}", self.bench(name, "fwdbwd", t, first=1),
                               peers={"unfused": lambda deadline, run=slow: Ours(run)}, named=("unfused",), aim={"ratio": least},
                               rounds=3 if t < 4096 else 2, gigabytes=1 + 30e-9 * HEADS * t * t)

    def window(self):
        """What four times the length costs with the same window."""
        t, w = (512, 64) if self.table.quick else (8192, 512)
        for what in ("fwd", "fwdbwd"):
            long, short = (self.bench("window", what, n, window=w) for n in (t, t // 4))
            times = f"{t} over {t // 4}"
            yield Row("attention.window", f"{what} W={w}: time {times}", self.table.threads, "x", 1, lambda d, a=long, b=short: a(d) / b(d),
                      aim={"most": 4.6})

        def memory(deadline):
            bytes = [run(deadline) and run.info["peak_bytes"] for run in (long, short)]
            return bytes[0] / bytes[1]
        yield Row("attention.window", f"{what} W={w}: memory {times}", self.table.threads, "x", 1, memory, aim={"most": 4.6}, rounds=1)

    def flex(self):
        p, budget = self.table.peers, self.table.budget
        for t in [512] if self.table.quick else [512, 1024, 4096]:
            for name, settings in (("alibi", {}), ("softcap", {}), ("window", {"window": WINDOW}), ("documents", {"size": t // DOCUMENTS})):
                found = {"torch.flex": p.torch_small(self.table.threads, budget, "flex", name, t, HEADS, HEAD, *settings.values())}
                yield self.row("attention.flex", f"{name},H={HEADS},T={t}", self.bench(name, "fwd", t, **settings), peers=found, named=("torch.flex",),
                               aim={"ratio": 1.3}, gigabytes=0.5, peer_gigabytes=2)


def rows(table):
    v = Variants(table)
    yield from v.blocks()
    yield from v.unfused()
    yield from v.window()
    yield from v.flex()
