#!/usr/bin/env python3
"""./dev bench cpu: what generated code reaches on this machine, beside what the machine can do and what others reach.

Every row is measured in rounds: Sinter, then each peer, then the stream that bounds the row, and again; the ratio is the
median of the rounds' ratios. Limits are the best that was seen, figures are medians.
"""
import argparse
import datetime
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import cpu_report as report
from cpu_peers import TREE, Failed, Peers, Server, run_once
from cpu_rows import NAMES, Table


def options():
    p = argparse.ArgumentParser(prog="./dev bench cpu", description="The CPU's limits, and every row of the table with Sinter, peers and aims.",
                                epilog="Variables: PYTHON names a python3 with torch (else build/bench-venv, made here), SN_PEERS a folder with peers that are "
                                "not packaged; docs/performance.md says which files are looked for.")
    p.add_argument("build", help=argparse.SUPPRESS)
    p.add_argument("--only", metavar="PATTERN", default="", help="rows whose name and shape match (a regular expression)")
    p.add_argument("--list", action="store_true", help="print the rows and stop")
    p.add_argument("--seconds", type=float, metavar="N", default=90, help="each row stops after N seconds (90)")
    p.add_argument("--total", type=float, metavar="N", default=1380, help="rows that come after N seconds are left out, and named (1380)")
    p.add_argument("--threads", type=int, metavar="N", default=len(os.sched_getaffinity(0)), help="worker threads (all cores)")
    p.add_argument("--json", metavar="FILE", help="one object for each row and shape")
    p.add_argument("--svg", metavar="FILE", help="the roofline")
    p.add_argument("--markdown", metavar="FILE", help="the table for a page")
    p.add_argument("--quick", action="store_true", help="small sizes and few runs: to try whether everything works")
    p.add_argument("--no-install", action="store_true", help="PyTorch is not installed where it is not there")
    return p.parse_args()


FOR_EACH = 8  # seconds that are kept for each row that is still to come


def say(text):
    print(text, flush=True)


def available_gigabytes():
    with open("/proc/meminfo") as f:
        return int(re.search(r"MemAvailable: *(\d+)", f.read()).group(1)) / 1e6


class Round:
    """One row: all that is asked for times, in turn."""

    def __init__(self, row, program, seconds):
        self.row, self.seconds, self.deadline = row, seconds, time.monotonic() + seconds
        self.notes, self.servers, self.ms = [], {}, {"sinter": []}
        if row.limit and row.limit[0] == "stream":
            reads, writes, size, in_place, self.moved = row.limit[1:]
            self.scale = self.moved / size
            self.start("limit", lambda d: Server([program, "stream", str(reads), str(writes), str(int(size)), str(row.threads)] + ["in-place"] * in_place, d))

    def start(self, name, make):
        try:
            self.servers[name] = make(min(self.deadline, time.monotonic() + 0.5 * self.seconds))
            self.ms[name] = []
        except Failed as e:
            self.notes.append(f"{name}: {e}")

    def ask(self, name, who):
        try:
            self.ms[name].append(who(self.deadline))
            return True
        except Failed as e:
            self.notes.append(f"{name}: {e}")
            return False

    def start_peers(self):
        needed = self.row.gigabytes + self.row.peer_gigabytes
        for name, make in self.row.peers.items():
            if make and needed > available_gigabytes():
                self.notes.append(f"{name}: {needed:.1f} GB of memory are needed with it, {available_gigabytes():.1f} are free")
            elif make:
                self.start(name, make)

    def run(self):
        """Whether Sinter has a figure. Peers start after its first, and each may take a part of the time for that; one that fails drops out."""
        try:
            for i in range(self.row.rounds):
                if i and time.monotonic() > self.deadline or not self.ask("sinter", self.row.sinter):
                    break
                if not i:
                    self.start_peers()
                for name in list(self.servers):
                    if not self.ask(name, self.servers[name].ask) or self.servers[name].once:
                        self.servers.pop(name).close()
        finally:
            for s in self.servers.values():
                s.close()
        return bool(self.ms["sinter"])


def best_of(ms, names, i):
    found = [ms[n][i] for n in names if len(ms.get(n, [])) > i]
    return min(found) if found else None


def ratio(ms, names):
    """The median over the rounds of how many times faster Sinter was than the best of these."""
    found = [(best_of(ms, names, i), s) for i, s in enumerate(ms["sinter"])]
    found = [p / s for p, s in found if p]
    return round(statistics.median(found), 3) if found else None


def peak_ms(row, limits):
    """Milliseconds of a row that computes as fast as the machine can."""
    l = next(x for x in limits if x["threads"] == row.threads)
    peak = l["f32"] if row.limit[0] == "f32" else max(l["f32"], l.get("bf16_pairs", 0), l.get("bf16_tiles", 0))
    return row.limit[1] / peak * 1e-6


def limit_ms(row, limits, turn):
    if not row.limit:
        return None
    if row.limit[0] != "stream":
        return peak_ms(row, limits)
    return min(turn.ms["limit"]) * turn.scale if turn.ms.get("limit") else None


def look_again(program, row, limits):
    """Peaks that were measured while something else ran grow."""
    l = next(x for x in limits if x["threads"] == row.threads)
    for key, value in json.loads(run_once([program, "peak", str(row.threads)], time.monotonic() + 60))[0].items():
        l[key] = max(l[key], value)


def rounded(row, ms):
    return float(f"{row.figure(ms):.5g}")


def no_figure(row, why=None):
    """The object of a row, without figures."""
    r = {"row": row.name, "shape": row.shape, "threads": row.threads, "unit": row.unit, "sinter": None, "limit": None, "peers": {}, "ratio": None,
         "ratio_best": None}
    return {**r, "missing": why} if why else r


def measure(row, limits, program, seconds):
    if row.gigabytes > available_gigabytes():
        return no_figure(row, f"{row.gigabytes:.1f} GB of memory are needed, {available_gigabytes():.1f} are free"), []
    turn = Round(row, program, seconds)
    if not turn.run():
        return no_figure(row, next((n for n in turn.notes if n.startswith("sinter: ")), "sinter: no figure")), []
    r = no_figure(row)
    if row.limit and row.limit[0] != "stream":
        look_again(program, row, limits)
    r["sinter"] = rounded(row, statistics.median(turn.ms["sinter"]))
    most = limit_ms(row, limits, turn)
    r["limit"] = rounded(row, most) if most else None
    found = [n for n in row.peers if turn.ms.get(n)]
    r["peers"] = {n: rounded(row, statistics.median(turn.ms[n])) for n in found}
    r["ratio"], r["ratio_best"] = ratio(turn.ms, row.named), ratio(turn.ms, found)
    notes = turn.notes + ([f"{len(turn.ms['sinter'])} rounds of {row.rounds} fitted in {seconds:.0f} s"] if len(turn.ms["sinter"]) < row.rounds else [])
    return r, notes


def find_limits(program, threads, quick):
    return json.loads(run_once([program, *["quick"] * quick, *map(str, sorted({1, threads}))], time.monotonic() + 300))


def heading(peers, sinter):
    model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown processor")
    commit = subprocess.run(["git", "-C", TREE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "unknown"
    busy = os.getloadavg()[0]
    return [f"{model}, {len(os.sched_getaffinity(0))} cores; commit {commit}; {datetime.date.today()}; load before: {busy:.1f}",
            "Peers: " + ("; ".join(f"{v}" for v in peers.version.values()) or "none found")]


def main():
    o = options()
    sinter, start = os.path.join(os.path.abspath(o.build), "sinter"), time.monotonic()
    if o.threads < 1:
        sys.exit("--threads: at least 1")
    try:
        wanted = re.compile(o.only)
    except re.error as e:
        sys.exit(f"--only: {e}")
    peers = Peers(os.path.abspath(o.build), say)
    with tempfile.TemporaryDirectory() as work:
        chosen = lambda row: wanted.search(f"{row.name} {row.shape}")
        if o.list:
            for row in Table(sinter, TREE, work, peers, o.threads, o.quick).rows():
                if chosen(row):
                    say(f"{row.name} {row.shape} {row.threads}T")
            return 0
        program = peers.compile("limits", "limits.c")
        if not program:
            sys.exit("limits.c: " + peers.absent["limits"])
        peers.find_products()
        peers.find_ggml()
        peers.find_torch(install=not o.no_install)
        table = Table(sinter, TREE, work, peers, o.threads, o.quick)
        rows = [row for row in table.rows() if chosen(row)]
        return show(o, rows, peers, program, start, heading(peers, sinter))


def show(o, rows, peers, program, start, head):
    say("\n".join(head))
    for name, why in sorted(peers.absent.items()):
        say(f"absent: {name} ({why})")
    limits, done = find_limits(program, o.threads, o.quick), []
    say("\nLimits\n" + "\n".join(report.limit_lines(limits)) + "\n")
    spent = {}
    try:
        for i, row in enumerate(rows):
            begin = time.monotonic()
            left = o.total - (begin - start)
            most = max(left - FOR_EACH * (len(rows) - 1 - i), min(left, FOR_EACH))
            r, notes = measure(row, limits, program, min(o.seconds * row.patience, most)) if left > 5 else (
                no_figure(row, f"left out: {o.total:.0f} s were over (--total)"), [])
            done.append((row, r))
            spent[row.name] = spent.get(row.name, 0) + time.monotonic() - begin
            say(report.line(row, r, notes))
    except KeyboardInterrupt:
        say(f"interrupted after {len(done)} of {len(rows)} rows")
    peers.leave()
    for row, r in done:  # peaks as they were found at last
        if r["limit"] and row.limit[0] != "stream":
            r["limit"] = rounded(row, peak_ms(row, limits))
    say("\n" + "\n".join(report.groups(done)))
    say("seconds: " + ", ".join(f"{name} {s:.0f}" for name, s in spent.items()))
    missing = [r for _, r in done if r["sinter"] is None]
    say(f"{len(done) - len(missing)} rows have figures, {len(missing)} have none; {time.monotonic() - start:.0f} s in all")
    if o.json:
        report.write_json(o.json, done)
    if o.svg:
        report.write_svg(o.svg, head[0], limits, done)
    if o.markdown:
        report.write_markdown(o.markdown, head, limits, peers.absent, done)
    return 1 if missing or len(done) < len(rows) or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
