#!/usr/bin/env bash
# A model that breaks a rule: exit 3, at the user's line, with expected and found.
. "$(dirname "$0")/common.sh"
model() { # BODY: lines of the graph function, from line 4 on
  cat > "$scratch/m.c" <<C
#include "sinter.h"
SN_SETTINGS(opts, (int, width, 64, "features"));
static void train(sn_scope m, const opts *c) {
$1
  (void)c;
}
SN_MODEL(m, opts, train);
C
}
refused() { # BODY LINE MESSAGE EXPECTED FOUND
  model "$1"
  expect 3 "$SINTER" dump "$scratch/m.c" --graph train
  says "m.c:$2"
  says "$3"
  says "expected:"
  says "$4"
  says "$5"
}
x='  sn_t x = sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), c->width));'
refused "$x
  sn_output(m, \"y\", sn_add(x, sn_param(m, \"b\", (65))));" 5 "sn_add" "64" "65"
refused "$x
  sn_t w = sn_param(m, \"w\", (32, 8));
  sn_output(m, \"y\", sn_einsum(\"bi,io->bo\", x, w));" 6 "sn_einsum" "64" "32"
refused "$x
  sn_output(m, \"y\", sn_and(x, x));" 5 "sn_and" "bool" "f32"
refused "$x
  sn_t t = sn_input(m, \"t\", SN_I32, (sn_sym(m, \"B\")));
  sn_t loss = sn_mean(sn_cast(sn_cast(sn_mean(x, \"bi->b\"), SN_I32), SN_REAL), \"b->\");
  sn_minimize(m, loss, NULL, NULL); (void)t;" 7 "" "" ""
refused '  sn_dim B = sn_sym(m, "B"), T = sn_sym(m, "T");
  sn_t logits = sn_input(m, "x", SN_REAL, (B, T, c->width));
  sn_output(m, "loss", sn_cross_entropy(logits, sn_input(m, "y", SN_I32, (B, T))));' 6 "exceed the range of i32" ".max" "up to 4294967296"
refused "$x
  sn_output(m, \"x\", sn_exp(x));" 5 "is taken" "inputs and outputs of different names" "an input"
model "$x
  sn_output(m, \"y\", sn_gelo(x));"
expect 3 "$SINTER" dump "$scratch/m.c" --graph train
says "m.c:5"
says "sn_gelo"
echo 'int main(void) { return 0; }' > "$scratch/none.c"
expect 3 "$SINTER" dump "$scratch/none.c"
says "SN_MODEL"

# graph texts
printf 'sinter 1\ngraph @g {\n  %%1 = input name "x" : f32[4]\n  %%2 = gelo %%1 : f32[4]\n  output "y" = %%2\n}\n' > "$scratch/g.sn"
expect 3 "$SINTER" opt "$scratch/g.sn"
says "g.sn:4:"
says "gelo"
printf 'sinter 1\ngraph @g {\n  %%1 = input name "x" : f32[4]\n  %%2 = exp %%1 : f32[5]\n  output "y" = %%2\n}\n' > "$scratch/g.sn"
expect 3 "$SINTER" opt "$scratch/g.sn"
says "g.sn:4"
head -c 3000 /dev/urandom > "$scratch/noise.sn"
expect 3 "$SINTER" opt "$scratch/noise.sn"
: > "$scratch/empty.sn"
expect 3 "$SINTER" opt "$scratch/empty.sn"
