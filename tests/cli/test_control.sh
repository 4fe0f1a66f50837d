#!/usr/bin/env bash
# Branches, loops and scans of a graph in an emitted object and in a plan file: the bytes of `sinter run`, both ways.
. "$(dirname "$0")/common.sh"
skip_without_cpu
cd "$scratch" || exit 1
cat > steps.c <<'C'
#include "sinter.h"
SN_SETTINGS(opts, (int, width, 8, "features"), (int, limit, 9, "rounds"));
typedef struct {
  sn_t w;
} weights;
static sn_t product(const sn_t x[], const void *opt) { return sn_tanh(sn_einsum("ti,io->to", x[0], ((const weights *)opt)->w)); }
static sn_t scaled(const sn_t x[], const void *opt) { return (void)opt, sn_mul(x[0], sn_exp(x[0])); }
static sn_t large(const sn_t x[], const void *opt) { return (void)opt, sn_gt(sn_sum(sn_square(x[0]), "ti->"), 1); }
static void halve(sn_t x[], const void *opt) { (void)opt, x[0] = sn_mul(.5, x[0]), x[1] = sn_add(x[1], 1); }
static sn_t decay(sn_t h[], const sn_t x[], const void *opt) { return (void)opt, h[0] = sn_add(sn_mul(h[0], .5), x[0]); }
static void net(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (6, c->width)), rounds = sn_sum(sn_zeros(m, SN_I32, (1)), "a->");
  sn_t state = sn_zeros(m, SN_REAL, (c->width)), g;
  weights p = {sn_param(m, "w", (c->width, c->width))};
  sn_t y = sn_cond(sn_eq(sn_input(m, "way", SN_I32, ()), 1), product, scaled, (x), &p);
  sn_t small = sn_mul(y, 1);
  sn_while(large, halve, (&small, &rounds), .limit = c->limit);
  sn_output(m, "small", small);
  sn_output(m, "rounds", rounds);
  sn_output(m, "walked", sn_scan(decay, "t", (&state), (y)));
  sn_grad(sn_sum(y, "ti->"), (p.w), (&g));
  sn_output(m, "slope", g);
}
SN_MODEL(steps, opts, net);
C
cat > use.c <<'C'
#include "steps.h"
#include <stdio.h>
#include <stdlib.h>
static void put(const char *name, const void *data, size_t bytes) {
  FILE *f = fopen(name, "wb");
  if (!f || fwrite(data, 1, bytes, f) != bytes || fclose(f)) exit(1);
}
int main(int argc, char **argv) {
  static float x[48], small[48], walked[48], slope[64];
  int32_t way = argc > 1 ? atoi(argv[1]) : 0, rounds = -1;
  steps *m;
  for (int i = 0; i < 48; i++) x[i] = (float)(i % 7 - 3) / 4;
  put("x.bin", x, sizeof x), put("way.bin", &way, sizeof way);
  if (steps_open(&m, NULL, 5, 2) || steps_net(m, &way, x, slope, small, &rounds, walked)) return 1;
  put("small.bin", small, sizeof small), put("rounds.bin", &rounds, sizeof rounds);
  put("walked.bin", walked, sizeof walked), put("slope.bin", slope, sizeof slope);
  steps_close(m);
  return 0;
}
C
npy() { # FILE DTYPE SHAPE: of FILE.bin
  local head="{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
  { printf '\x93NUMPY\x01\x00\x76\x00'; printf '%-117s\n' "$head"; cat "$1.bin"; } > "$1.npy"
}
same() { # every output of the last run has the bytes that the object wrote
  for o in small rounds walked slope; do
    tail -c "$(stat -c %s $o.bin)" $o.npy | cmp -s - $o.bin || die "$1: output $o differs from the object's, way $way"
  done
}
outs="--out small=small.npy --out rounds=rounds.npy --out walked=walked.npy --out slope=slope.npy"
expect 0 "$SINTER" dump steps.c --emit plan
for kind in choose while; do prints "$kind"; done
expect 0 "$SINTER" build steps.c --emit plan -o steps.plan
[ -e "$(dirname "$SINTER")/sinter-rt.o" ] || { echo "skipped: sanitized builds have no runtime object"; exit 77; }
expect 0 "$SINTER" build steps.c --emit obj -o steps
expect 0 ${CC:-cc} -std=c17 -Wall -Wextra -Werror -O1 -I. use.c steps.o -o use -lm -lgomp -lpthread
for way in 0 1; do
  expect 0 ./use $way
  npy x '<f4' '(6, 8)'
  npy way '<i4' '()'
  for program in "steps.c --threads 1" "steps.c --threads 2" steps.plan; do
    expect 0 "$SINTER" run $program --seed 5 --in x=x.npy --in way=way.npy $outs
    same "$program"
  done
  cp slope.bin slope$way.bin
  [ "$(od -An -td4 rounds.bin | tr -d ' ')" -gt 0 ] || die "the loop did not run"
done
cmp -s slope0.bin slope1.bin && die "both ways have one gradient"
exit 0
