"""Makes the coefficients of passes/kernel/math_f64.c: minimax polynomials, printed as C tables, highest power first.

    python3 tests/passes/make_math.py      (needs mpmath)

Each polynomial p minimises the largest |weight(x) (f(x) - p(x))| on its interval (Remez exchange on a fine grid), then
its coefficients are rounded to f64; the bits that are printed are of what is left of that error after the rounding.
"""
from mpmath import mp, mpf, matrix, lu_solve, polyval, exp, log, sin, cos, erf, erfc, pi, sqrt, floor

mp.dps = 60
GRID = 600


def rounded(x):
    return mpf(float(x))  # to nearest f64


def extrema(error, count):
    """The largest error of each run of one sign; the outer ones dropped until `count` are left."""
    found = []
    for i, e in enumerate(error):
        if found and (error[found[-1]] > 0) == (e > 0):
            if abs(e) > abs(error[found[-1]]):
                found[-1] = i
        else:
            found.append(i)
    while len(found) > count:
        found.pop(0 if abs(error[found[0]]) < abs(error[found[-1]]) else -1)
    return found


def fit(x, y, w, count):
    """Coefficients, lowest power first."""
    at = [round((len(x) - 1) * (1 - cos(pi * mpf(i) / count)) / 2) for i in range(count + 1)]
    for _ in range(40):
        a, b = matrix(count + 1, count + 1), matrix(count + 1, 1)
        for r, i in enumerate(at):
            for c in range(count):
                a[r, c] = w[i] * x[i] ** c
            a[r, count] = (-1) ** r
            b[r] = w[i] * y[i]
        solution = list(lu_solve(a, b))[:count]
        error = [w[i] * (y[i] - polyval(solution[::-1], x[i])) for i in range(len(x))]
        following = extrema(error, count + 1)
        if len(following) <= count or following == at:
            break
        at = following
    return solution


def polynomial(name, f, weight, lo, hi, count):
    x = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * (2 * mpf(i) + 1) / (2 * GRID)) for i in range(GRID)]
    y, w = [f(t) for t in x], [abs(weight(t)) for t in x]
    c = [rounded(v) for v in fit(x, y, w, count)]
    error = max(w[i] * abs(y[i] - polyval(c[::-1], x[i])) for i in range(GRID))
    print("/* %s, %d: %.1f bits */" % (name, count, float(-log(error, 2))))
    words = [float(v).hex().replace("0000000000000p", "0p") for v in reversed(c)]
    print("static const double %s[] = {%s};" % (name, ", ".join(words)), flush=True)


def parts(name, x, bits):
    """x as a sum of numbers whose last bits stand for 2^-b, b in bits; the last one is what remains, rounded."""
    out = []
    for b in bits:
        out.append(floor(x * mpf(2) ** b) / mpf(2) ** b)
        x -= out[-1]
    out.append(rounded(x))
    print("/* %s: %s */" % (name, ", ".join(float(p).hex() for p in out)))


if __name__ == "__main__":
    ln2, half = log(mpf(2)), mpf("0.501")
    third = lambda s: (log((1 + s) / (1 - s)) - 2 * s) / s**3
    polynomial("exp2_q", lambda r: (2**r - 1) / r, lambda r: r / 2**r, -half, half, 11)
    polynomial("exp_q", lambda r: (exp(r) - 1 - r) / r**2, lambda r: r**2 / exp(r), -half * ln2, half * ln2, 10)
    polynomial("expm1_q", lambda r: (exp(r) - 1 - r) / r**2, lambda r: r**2 / (exp(r) - 1), -half * ln2, half * ln2, 11)
    polynomial("log_q", lambda z: third(sqrt(z)), lambda z: z / 2, mpf(0), mpf("0.1716") ** 2, 7)
    polynomial("sin_q", lambda u: (sin(sqrt(u)) / sqrt(u) - 1) / u, lambda u: u**1.5 / sin(sqrt(u)), mpf(0), mpf("0.7855") ** 2, 6)
    polynomial("cos_q", lambda u: (cos(sqrt(u)) - 1 + u / 2) / u**2, lambda u: u**2 / cos(sqrt(u)), mpf(0), mpf("0.7855") ** 2, 6)
    polynomial("erf_q", lambda u: erf(sqrt(u)) / sqrt(u) - 1, lambda u: sqrt(u) / erf(sqrt(u)), mpf(0), mpf(1), 13)
    for n in (14, 16, 18, 20):
        polynomial("erfc_q", lambda a: log(erfc(a)) / a, lambda a: a * erfc(a) / erf(a), mpf(1), mpf(6), n)
    parts("ln 2", ln2, [41])
    parts("pi / 2", pi / 2, [26, 53, 80])
    parts("1 / ln 2", 1 / ln2, [])
    print("/* 1 / ln 2 less its f64: %s */" % float(1 / ln2 - rounded(1 / ln2)).hex())
