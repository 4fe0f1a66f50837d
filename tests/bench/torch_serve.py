"""How scripts with PyTorch are asked for times: for each line on stdin, the median of some runs in milliseconds on stdout."""
import sys
import time


def serve(run, budget_ms, warm=1):
    for _ in range(warm):
        run()
    print("ready", flush=True)
    for _ in sys.stdin:
        times, start = [], time.perf_counter()
        while not times or (len(times) < 1000 and (time.perf_counter() - start) * 1e3 < budget_ms):
            begin = time.perf_counter()
            run()
            times.append((time.perf_counter() - begin) * 1e3)
        times.sort()
        print(f"{times[len(times) // 2]:.6f}", flush=True)
