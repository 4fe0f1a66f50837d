"""What ./dev bench cpu says: lines, JSON, a roofline as SVG, Markdown."""
import html
import json
import math

LESS_IS_BETTER = ("ms", "ns/element", "x")


def short(x):
    return "-" if x is None else f"{x:.4g}" if abs(x) < 1e4 else f"{x:.0f}"


def mean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))


def share(r):
    """Of the limit: 1 is all of it."""
    if not r["limit"] or not r["sinter"]:
        return None
    return r["limit"] / r["sinter"] if r["unit"] in LESS_IS_BETTER else r["sinter"] / r["limit"]


def times_faster(r, peer):
    p = r["peers"].get(peer)
    if not p or not r["sinter"]:
        return None
    return p / r["sinter"] if r["unit"] in LESS_IS_BETTER else r["sinter"] / p


def aims(row, r):
    """Each aim of a row: text, and whether it is reached; None: there was nothing to compare with."""
    a, said = row.aim, []
    if "ratio" in a:
        said.append((f"{a['ratio']}x {'/'.join(row.named)}", None if r["ratio"] is None else r["ratio"] >= a["ratio"]))
    for peer, least in a.get("peer", {}).items():
        t = times_faster(r, peer)
        said.append((f"{least}x {peer}", None if t is None else t >= least))
    if "share" in a:
        s = share(r)
        said.append((f"{100 * a['share']:.0f} % of the limit", None if s is None else s >= a["share"]))
    if "most" in a:
        said.append((f"at most {a['most']} {row.unit}", None if r["sinter"] is None else r["sinter"] <= a["most"]))
    return said


def verdict(row, r):
    said = aims(row, r)
    text = ", ".join(t for t, _ in said)
    missed = [t for t, ok in said if ok is False]
    return text, "" if not said else "missed: " + ", ".join(missed) if missed else "reached" if all(ok for _, ok in said) else "no peer" if not any(
        ok for _, ok in said) else "reached where measured"


def line(row, r, notes):
    if r["sinter"] is None:
        return f"{row.name:<17} {row.shape:<26} {row.threads}T  -- {r['missing']}"
    s = share(r)
    peers = "  ".join(f"{k} {short(v)}" for k, v in r["peers"].items()) or "no peer"
    text, how = verdict(row, r)
    return (f"{row.name:<17} {row.shape:<26} {row.threads}T {short(r['sinter']):>8} {row.unit:<10} limit {short(r['limit']):>7} "
            f"{'' if s is None else f'{100 * s:.0f} %':>6}  ratio {short(r['ratio']):>5} best {short(r['ratio_best']):>5}  [{peers}]"
            + (f"  aim {text}: {how}" if text else "") + "".join(f"\n{'':<47}{n}" for n in notes))


def groups(done):
    """Geometric means of the rows of one name, and what two threads bring: lines."""
    by_name = {}
    for row, r in done:
        by_name.setdefault(row.name, []).append((row, r))
    for name, rows in by_name.items():
        ratios = [r["ratio"] for _, r in rows if r["ratio"]]
        aim = rows[0][0].aim.get("mean")
        if len(ratios) > 1:
            m = mean(ratios)
            how = "" if aim is None else f", aim {aim}: {'reached' if m >= aim else 'missed'}"
            yield f"{name}: geometric mean of {len(ratios)} ratios {m:.2f}, least {min(ratios):.2f}{how}"
        one = {row.shape: r["sinter"] for row, r in rows if row.threads == 1 and r["sinter"]}
        most = max(row.threads for row, _ in rows)
        speedups = [r["sinter"] / one[row.shape] for row, r in rows if row.threads == most > 1 and r["sinter"] and row.shape in one]
        if speedups:
            how = f", aim 1.9: {'reached' if min(speedups) >= 1.9 else 'missed'}" if name == "gemm.f32" and most == 2 else ""
            yield f"{name}: {most} threads against one: {mean(speedups):.2f} times, least {min(speedups):.2f}{how}"


def limit_lines(limits):
    for l in limits:
        yield f"{l['threads']} thread{'s' if l['threads'] > 1 else ''}: multiply-adds of f32 {l['f32']:.0f} GFLOP/s" + "".join(
            f", {name} {l[key]:.0f}" for key, name in (("bf16_pairs", "pairs of bf16"), ("bf16_tiles", "tiles of bf16"),
                                                       ("bf16_tiles_l2", "tiles of bf16 loaded from L2"), ("int8_tiles", "tiles of int8")) if key in l)
        for where in ("l2", "l3", "memory"):
            yield f"    {where:<7}({l[where]['bytes'] / 1e6:.0f} MB) GB/s: " + ", ".join(f"{k} {v:.1f}" for k, v in l[where].items() if k != "bytes")


def write_json(path, done):
    with open(path, "w") as f:
        f.write("[" + ",\n ".join(json.dumps(r) for _, r in done) + "]\n")


def write_markdown(path, heading, limits, absent, done):
    def cell(text):
        return str(text).replace("|", "\\|")
    with open(path, "w") as f:
        f.write("\n".join(heading) + "\n\n```text\n" + "\n".join(limit_lines(limits)) + "\n```\n\n")
        f.write("| row | shape | threads | Sinter | limit | share | peers | ratio | best | aim | |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
        for row, r in done:
            if r["sinter"] is None:
                f.write(f"| {row.name} | {cell(row.shape)} | {row.threads} | no figure: {cell(r['missing'])} | | | | | | | |\n")
                continue
            s, (aim, how) = share(r), verdict(row, r)
            peers = ", ".join(f"{k} {short(v)}" for k, v in r["peers"].items())
            f.write(f"| {row.name} | {cell(row.shape)} | {row.threads} | {short(r['sinter'])} {row.unit} | {short(r['limit'])} | "
                    f"{'' if s is None else f'{100 * s:.0f} %'} | {cell(peers)} | {short(r['ratio'])} | {short(r['ratio_best'])} | {cell(aim)} | {how} |\n")
        f.write("\n" + "".join(f"- {g}\n" for g in groups(done)))
        f.write("".join(f"- absent: {k} ({cell(v)})\n" for k, v in sorted(absent.items())))


# ---- roofline -----------------------------------------------------------------------------------------------------------

COLOURS = {"gemm": "#1f77b4", "train": "#d62728", "attention": "#2ca02c", "decode": "#9467bd", "prefill": "#8c564b", "rows": "#ff7f0e", "adamw": "#17becf"}


def write_svg(path, title, limits, done):
    """Operations a second over operations a byte of memory that the plan counts, under the roofs of all threads."""
    top = limits[-1]
    points = []
    for row, r in done:
        info = getattr(row.sinter, "info", None)
        if r["sinter"] and info and info["flops"] > 0 and info["bytes"] > 0 and row.threads == top["threads"]:
            # A plan counts all of a block of attention; the row counts what the mask leaves.
            done_flops = row.limit[1] if row.limit and row.limit[0] != "stream" else info["flops"]
            points.append((done_flops / info["bytes"], done_flops / info["median_ms"] * 1e-6, row, r))
    roofs = [(k, n) for k, n in (("bf16_tiles", "tiles of bf16"), ("bf16_pairs", "pairs of bf16"), ("f32", "multiply-adds of f32"))
             if top.get(k, 0) >= top["f32"]]
    xs = [p[0] for p in points] + [0.1, 1000]
    ys = [p[1] for p in points] + [1, top[roofs[0][0]] * 1.5]
    x0, x1, y0, y1 = (f(math.log10(v)) for f, v in ((math.floor, min(xs)), (math.ceil, max(xs)), (math.floor, min(ys)), (math.ceil, max(ys))))
    w, h, left, bottom = 900, 560, 70, 60

    def px(x):
        return left + (math.log10(x) - x0) / (x1 - x0) * (w - left - 20)

    def py(y):
        return h - bottom - (math.log10(y) - y0) / (y1 - y0) * (h - bottom - 50)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h + 20 * ((len(COLOURS) + 6) // 7)}" font-family="sans-serif" font-size="12">',
           f'<rect width="100%" height="100%" fill="white"/><text x="{left}" y="24" font-size="15">{html.escape(title)}</text>']
    for e in range(x0, x1 + 1):
        x = px(10.0 ** e)
        out.append(f'<path d="M{x:.1f} {py(10.0 ** y0):.1f}V{py(10.0 ** y1):.1f}" stroke="#ddd"/><text x="{x:.1f}" y="{h - bottom + 18}" text-anchor="middle">{10.0 ** e:g}</text>')
    for e in range(y0, y1 + 1):
        y = py(10.0 ** e)
        out.append(f'<path d="M{px(10.0 ** x0):.1f} {y:.1f}H{px(10.0 ** x1):.1f}" stroke="#ddd"/><text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0 ** e:g}</text>')
    out.append(f'<text x="{w / 2}" y="{h - 14}" text-anchor="middle">operations per byte of memory, as planned</text>'
               f'<text x="16" y="{h / 2}" text-anchor="middle" transform="rotate(-90 16 {h / 2})">GFLOP/s</text>')
    peak = top[roofs[0][0]]
    for where, name, below in (("memory", "memory", 18), ("l3", "L3", -6), ("l2", "L2", -6)):
        rate = top[where]["1r0w"]
        a, b = max(10.0 ** x0, 10.0 ** y0 / rate), min(peak / rate, 10.0 ** x1)
        out.append(f'<path d="M{px(a):.1f} {py(a * rate):.1f}L{px(b):.1f} {py(b * rate):.1f}" stroke="black" fill="none"/>'
                   f'<text x="{px(a) + 30:.1f}" y="{py(a * rate * 1.3) + below:.1f}">{name} {rate:.0f} GB/s</text>')
    for key, name in roofs:
        a = top[key] / top["l2"]["1r0w"]
        out.append(f'<path d="M{px(max(a, 10.0 ** x0)):.1f} {py(top[key]):.1f}H{px(10.0 ** x1):.1f}" stroke="black"/>'
                   f'<text x="{w - 24}" y="{py(top[key]) - 5:.1f}" text-anchor="end">{name} {top[key]:.0f} GFLOP/s</text>')
    for x, y, row, r in points:
        colour = COLOURS.get(row.name.split(".")[0], "#555")
        text = html.escape(f"{row.name} {row.shape}: {short(y)} GFLOP/s, {short(r['sinter'])} {row.unit}")
        out.append(f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="4" fill="{colour}"><title>{text}</title></circle>')
    for i, (name, colour) in enumerate(COLOURS.items()):
        out.append(f'<circle cx="{left + 8 + i * 110}" cy="{h + 6}" r="4" fill="{colour}"/><text x="{left + 18 + i * 110}" y="{h + 10}">{name}</text>')
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n</svg>\n")
