"""A row of ./dev bench cpu, and Sinter as a peer of itself."""
from dataclasses import dataclass, field


@dataclass
class Row:
    name: str
    shape: str
    threads: int
    unit: str  # GFLOP/s, GB/s, tok/s: more is better; ms, ns/element, x (times another time): less
    work: float  # of one run: operations, bytes, tokens, elements; of ms 1
    sinter: object  # (deadline) -> milliseconds
    limit: tuple = None  # ("f32" or "bf16", operations); ("stream", reads, writes, bytes, in place, bytes moved)
    peers: dict = field(default_factory=dict)  # name -> (deadline) -> Server or Once; None: absent
    named: tuple = ()  # those that the ratio is against: the best of them
    aim: dict = field(default_factory=dict)  # ratio, mean, share, most, peer
    rounds: int = 3
    patience: float = 1  # times the seconds that a row may take
    gigabytes: float = 0  # of memory
    peer_gigabytes: float = 0  # and what all peers need besides

    def figure(self, ms):
        if self.unit in ("GFLOP/s", "GB/s"):
            return self.work / ms * 1e-6
        if self.unit == "tok/s":
            return self.work / ms * 1e3
        return ms * 1e6 / self.work if self.unit == "ns/element" else ms


class Ours:
    """Another way to run Sinter, asked for times as a peer is."""
    once = False

    def __init__(self, run):
        self.ask = run

    def close(self):
        pass
