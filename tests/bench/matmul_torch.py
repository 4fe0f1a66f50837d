"""Products of the vendor's library: lines "KEY TYPE M N K" on stdin, lines "KEY TFLOP/s" on stdout. Medians by the device's clock."""
import statistics
import sys

import torch

torch.backends.cuda.matmul.allow_tf32 = False
types = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def measure(dtype, m, n, k, repeats=15):
    a = torch.rand(m, k, device="cuda", dtype=dtype) * 2 - 1
    b = torch.rand(k, n, device="cuda", dtype=dtype) * 2 - 1
    times = []
    for i in range(repeats + 3):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        torch.matmul(a, b)
        end.record()
        torch.cuda.synchronize()
        if i >= 3:
            times.append(start.elapsed_time(end))
    return 2.0 * m * n * k / (statistics.median(times) * 1e9)


for line in sys.stdin:
    key, dtype, m, n, k = line.split()
    print(key, "%.4g" % measure(types[dtype], int(m), int(n), int(k)), flush=True)
