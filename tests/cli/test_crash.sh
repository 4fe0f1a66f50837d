#!/usr/bin/env bash
# Model files are programs: what they do to themselves is told with their name, exit 3, and nothing is left behind.
. "$(dirname "$0")/common.sh"
model() { # STATEMENTS of the graph decode, DEFINITIONS before
  cat > "$scratch/m.c" <<C
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include "sinter.h"
SN_SETTINGS(opts, (int, width, 8, "features"));
${2:-}
static void train(sn_scope m, const opts *c) {
  sn_dim B = sn_sym(m, "B"), T = sn_sym(m, "T", .max = 8);
  sn_t tokens = sn_input(m, "tokens", SN_I32, (B, T)), targets = sn_input(m, "targets", SN_I32, (B, T));
  sn_t x = sn_gather(sn_param(m, "e", (256, c->width)), tokens);
  sn_t loss = sn_cross_entropy(sn_linear(m, "o", x, 256), targets);
  sn_output(m, "loss", loss);
}
static void decode(sn_scope m, const opts *c) {
  volatile int zero = c->width - 8;
  sn_t x = sn_input(m, "x", SN_REAL, (4));
  (void)zero;
  $1
  sn_output(m, "y", x);
}
SN_MODEL(m, opts, train, decode);
C
}
ends() { # FOUND STATEMENTS DEFINITIONS
  model "$2" "${3:-}"
  expect 3 "$SINTER" dump "$scratch/m.c"
  says "m.c: error: code of the model ends the program"
  says "$1"
}
ends "a function calls itself without end" "x = deep(m, x);" "
static sn_t deep(sn_scope m, sn_t x) { return sn_add(deep(m, sn_exp(x)), x); }"
ends "a function calls itself without end" "x = sn_mul(x, deep(8));" "
static int deep(int n) { volatile char room[4096]; room[n] = 1; return deep(n + room[n]) + room[n + 1]; }
"
ends "SIGSEGV" "*(volatile int *)(intptr_t)(zero + 8) = 1;"
ends "SIGFPE" "x = sn_mul(x, 7 / zero);"
ends "SIGABRT" "assert(zero);"
ends "a call of exit" "exit(0);"
ends "SIGSEGV" "" "
__attribute__((constructor)) static void early(void) { raise(SIGSEGV); }"

# where other graphs are well and the run has begun: no folder is left
model "*(volatile int *)(intptr_t)(zero + 8) = 1;"
yes "some text to train on" 2>/dev/null | head -c 20000 > "$scratch/text"
expect 3 "$SINTER" train "$scratch/m.c" --data "$scratch/text" --steps 2 --val-fraction 0 --out "$scratch/run" --target ref --batch 1
says "code of the model ends the program"
[ ! -e "$scratch/run" ] || die "a failed start leaves a folder"

# what runs without end is left by a signal
model "while (!zero) x = x;"
timeout -s INT 3 "$SINTER" dump "$scratch/m.c" >/dev/null 2>&1
[ $? = 124 ] || die "a signal does not end a model that runs without end"
