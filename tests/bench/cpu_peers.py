"""What ./dev bench cpu compares with: found, built or installed, started, asked for times."""
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
import zlib

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(TREE, "tests", "bench")
TORCH = "torch==2.13.0"
# The heap is reused from step to step; without, PyTorch gives memory back and gets it again, page by page.
HEAP = {"PYTHONDONTWRITEBYTECODE": "1", "MALLOC_TOP_PAD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824", "MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_MMAP_MAX_": "0"}


class Failed(Exception):
    """No figure; the text says why."""


def last_line(text):
    lines = [l for l in text.strip().splitlines() if l.strip()]
    return lines[-1][:160] if lines else "nothing was said"


def run_once(command, deadline, env=None):
    """What a command prints; it fails by its exit code, and at the deadline."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise Failed("not done in its time")
    try:
        r = subprocess.run(command, capture_output=True, text=True, timeout=left, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Failed("not done in its time") from None
    except OSError as e:
        raise Failed(str(e)) from None
    if r.returncode:
        raise Failed(last_line(r.stderr) if r.stderr.strip() else f"exit code {r.returncode}")
    return r.stdout + "\n" + r.stderr


class Server:
    """A program that says "ready", and then a number of milliseconds for each line that it is given."""
    once = False  # only in the first round

    def __init__(self, command, deadline, env=None, job=None):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env={**os.environ, **(env or {})})
        self.rest = b""
        try:
            self.begin(deadline, job)
        except Failed:
            self.close()
            raise

    def begin(self, deadline, job=None):
        """job: a line that says what to do, for those that do several things."""
        if job:
            self.say(job + "\n")
        if self.line(deadline) != "ready":
            raise Failed("does not begin with ready")

    def say(self, text):
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except OSError:
            raise Failed("it is no longer there") from None

    def line(self, deadline):
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed("not done in its time")
            part = os.read(self.process.stdout.fileno(), 4096)
            if not part:
                self.process.wait()
                self.errors.seek(0)
                raise Failed(last_line(self.errors.read()))
            self.rest += part
        text, self.rest = self.rest.split(b"\n", 1)
        return text.decode().strip()

    def ask(self, deadline):
        self.say("\n")
        try:
            return float(self.line(deadline))
        except ValueError as e:
            raise Failed(f"no number: {e}") from None

    def close(self):
        self.process.kill()
        self.process.wait()
        try:
            self.process.stdin.close()
        except OSError:
            pass
        self.process.stdout.close()
        self.errors.close()


class Turn:
    """One job of a Server that stays for the next: its start costs more than the job."""
    once = False

    def __init__(self, kept, key):
        self.kept, self.key = kept, key

    def ask(self, deadline):
        try:
            return self.kept[self.key].ask(deadline)
        except Failed:
            self.kept.pop(self.key).close()
            raise

    def close(self):
        pass


class Once:
    """A program that is started for each figure; `read` finds milliseconds in what it prints."""

    def __init__(self, command, read, env=None, once=False):
        self.command, self.read, self.env, self.once = command, read, env, once

    def ask(self, deadline):
        return self.read(run_once(self.command, deadline, self.env))

    def close(self):
        pass


class Until:
    """A program that goes on for long, for one figure: it is ended when it has said `enough` numbers, or `most` seconds are over."""
    once = True

    def __init__(self, command, pattern, enough, most, env=None, cwd=None):
        self.command, self.pattern, self.enough, self.most, self.env, self.cwd = command, pattern, enough, most, env, cwd

    def ask(self, deadline):
        deadline, said = min(deadline, time.monotonic() + self.most), b""
        try:
            p = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                 env={**os.environ, **(self.env or {})}, cwd=self.cwd)
        except OSError as e:
            raise Failed(str(e)) from None
        with p:
            while len(re.findall(self.pattern, said.decode(errors="replace"))) < self.enough:
                left = deadline - time.monotonic()
                part = os.read(p.stdout.fileno(), 4096) if left > 0 and select.select([p.stdout], [], [], left)[0] else b""
                if not part:
                    break
                said += part
            p.kill()
        return number(self.pattern)(said.decode(errors="replace"))

    def close(self):
        pass


def number(pattern):
    """Reads the median of all numbers that match."""
    def read(text):
        found = sorted(float(x) for x in re.findall(pattern, text))
        if not found:
            raise Failed("what it prints has no " + pattern)
        return found[(len(found) - 1) // 2]
    return read


def threads_env(n):
    return {"OMP_NUM_THREADS": str(n), "OPENBLAS_NUM_THREADS": str(n), "MKL_NUM_THREADS": str(n)}


# ---- what is packaged -------------------------------------------------------------------------------------------------

class Peers:
    def __init__(self, build, say):
        self.folder = os.path.join(build, "bench")
        self.build, self.say, self.absent, self.version = build, say, {}, {}
        self.python, self.kept = None, {}
        self.elsewhere = os.environ.get("SN_PEERS", "")
        os.makedirs(self.folder, exist_ok=True)

    def compile(self, name, source, *options):
        """The path of a program made of one C file; None: it cannot be built, self.absent says why."""
        out, cc = os.path.join(self.folder, name), os.environ.get("CC", "cc").split()
        text = os.path.join(HERE, source)
        needs = [os.path.getmtime(os.path.join(HERE, f)) for f in (source, "peak.h", "peer.h", "cpu_peers.py")]
        if os.path.exists(out) and os.path.getmtime(out) > max(needs):
            return out
        try:
            run_once([*cc, "-O2", "-pthread", "-o", out, text, *options], time.monotonic() + 120)
        except Failed as e:
            self.absent[name] = str(e)
            return None
        return out

    def find_products(self):
        flags = []
        if shutil.which("pkg-config"):
            r = subprocess.run(["pkg-config", "--cflags", "--libs", "openblas"], capture_output=True, text=True)
            flags = r.stdout.split() if r.returncode == 0 else []
        for name, options in (("onednn", ["-DONEDNN", "-ldnnl"]), ("openblas", flags or ["-lopenblas"])):
            if self.compile(name, "peer_gemm.c", *options):
                self.version[name] = run_once([os.path.join(self.folder, name), "version"], time.monotonic() + 20).strip()
            else:
                package = {"onednn": "libdnnl-dev", "openblas": "libopenblas-dev"}[name]
                self.absent[name] = f"no header or library (package {package})"

    def find_ggml(self):
        """A library in include and lib of SN_PEERS, or one of the system."""
        inside = [os.path.join(self.elsewhere, d) for d in ("include", "lib")]
        if self.elsewhere and all(os.path.exists(d) for d in inside):
            flags = ["-I" + inside[0], "-L" + inside[1], "-Wl,--disable-new-dtags,-rpath," + inside[1]]
        else:
            flags = []
        name = f"ggml-{zlib.crc32(' '.join(flags).encode()):08x}"  # another folder, another program
        self.ggml_program = self.compile(name, "peer_ggml.c", *flags, "-lggml", "-lggml-base", "-lm")
        self.absent.pop(name, None)
        if self.ggml_program:
            try:
                self.version["ggml"] = run_once([self.ggml_program, "version"], time.monotonic() + 20).strip()
            except Failed as e:
                self.absent["ggml"] = str(e)
        else:
            self.absent["ggml"] = "no header or library (package libggml-dev, or include and lib in SN_PEERS)"

    def find_torch(self, install):
        venv = os.path.join(self.build, "bench-venv")
        inside = os.path.join(venv, "bin", "python3")
        named = os.environ.get("PYTHON")
        candidates = [named] if named else [inside, "python3"]
        for p in candidates:
            if self.has_torch(p):
                return
        if named or not install:
            self.absent["torch"] = f"{named or 'python3'} has no torch"
            return
        self.say(f"installing {TORCH} into {os.path.relpath(venv)}")
        try:
            run_once(["python3", "-m", "venv", venv], time.monotonic() + 120)
            run_once([inside, "-m", "pip", "install", "-q", TORCH], time.monotonic() + 600)
        except Failed as e:
            self.absent["torch"] = str(e)
            return
        if not self.has_torch(inside):
            self.absent["torch"] = "installed, but it cannot be imported"

    def has_torch(self, python):
        try:
            text = run_once([python, "-c", "import torch; print('torch', torch.__version__)"], time.monotonic() + 120)
        except Failed:
            return False
        self.python, self.version["torch"] = python, re.search(r"torch (\S+)", text).group(0)
        return True

    def torch(self, threads, budget, *job):
        """A job of peer_torch.py, in a process of its own: its heap stays as large as it ever was."""
        if not self.python:
            return None
        command, line = [self.python, os.path.join(HERE, "peer_torch.py"), str(threads), str(budget)], " ".join(map(str, job))
        return lambda deadline: Server(command, deadline, {**HEAP, **threads_env(threads)}, line)

    def torch_small(self, threads, budget, *job):
        """The same in a process that all of them have: for what takes little memory."""
        start = self.torch(threads, budget, *job)
        if not start:
            return None

        def make(deadline):
            if threads not in self.kept:
                self.kept[threads] = start(deadline)
                return Turn(self.kept, threads)
            try:
                self.kept[threads].begin(deadline, " ".join(map(str, job)))
            except Failed:
                self.kept.pop(threads).close()
                raise
            return Turn(self.kept, threads)
        return make

    def leave(self):
        """Ends what was kept."""
        while self.kept:
            self.kept.popitem()[1].close()

    def torch_gpt(self, threads, budget, how, batch, length):
        if not self.python:
            return None
        size = [12, 12, 768, length, 50257, batch, threads, budget]
        return lambda deadline: Server([self.python, os.path.join(HERE, "gpt_torch.py"), *map(str, size), how], deadline,
                                       {**HEAP, **threads_env(threads)})

    def product(self, name, m, n, k, elem, threads, budget):
        if name in self.absent or (name == "openblas" and elem != "f32"):
            return None
        return lambda deadline: Server([os.path.join(self.folder, name), *map(str, (m, n, k)), elem, str(budget)], deadline, threads_env(threads))

    def ggml(self, threads, budget, *job):
        if "ggml" not in self.version:
            return None
        return lambda deadline: Server([self.ggml_program, str(threads), str(budget), *map(str, job)], deadline, threads_env(threads))

    # ---- what is not: named files of the folder SN_PEERS -------------------------------------------------------------

    def look(self, peer, *files):
        """Paths of files of SN_PEERS, or None: self.absent says what lacks."""
        paths = [os.path.join(self.elsewhere, f) for f in files]
        lacking = [f for f, p in zip(files, paths) if not self.elsewhere or not os.path.exists(p)]
        if lacking:
            why = f"not in {self.elsewhere}" if self.elsewhere else "SN_PEERS is not set"
            self.absent.setdefault(peer, f"{lacking[0]}: {why}")
            return None
        return paths

    def llama_cpp(self, threads, model, prompt, tokens):
        """llama-bench of llama.cpp: milliseconds of one token, or of the whole prompt."""
        paths = self.look("llama.cpp", "llama-bench", model)
        if not paths:
            return None

        def read(text):
            rate = json.loads(text[text.index("["):text.rindex("]") + 1])[0]["avg_ts"]
            return 1e3 / rate * (prompt or 1)
        command = [paths[0], "-m", paths[1], "-t", str(threads), "-p", str(prompt), "-n", str(tokens), "-r", "1" if prompt else "2", "-o", "json"]
        return lambda deadline: Once(command, read, once=bool(prompt))

    def llama2_c(self, threads):
        """run of llama2.c: milliseconds of one token."""
        paths = self.look("llama2.c", "run", "stories15M.bin", "tokenizer.bin")
        if not paths:
            return None
        rate = number(r"achieved tok/s: ([0-9.]+)")
        return lambda deadline: Once([paths[0], paths[1], "-t", "0", "-n", "256", "-z", paths[2]], lambda text: 1e3 / rate(text), threads_env(threads))

    def llm_c(self, threads, length):
        """train_gpt2 of llm.c, built for this length; it runs in the folder, where its model and data are."""
        paths = self.look("llm.c", f"train_gpt2_T{length}")
        if not paths:
            return None
        command = ["stdbuf", "-oL", paths[0]]
        return lambda deadline: Until(command, r"\(took ([0-9.]+) ms\)", 2, 80, threads_env(threads), self.elsewhere)
