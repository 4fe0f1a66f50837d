/* Links an emitted object and its header: a training step, an evaluation before and after, prefill and decode. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tiny.h"

enum { B = 2, T = 8, V = 17 };

#define CHECK(call)                                                                         \
  do {                                                                                      \
    int code_ = (call);                                                                     \
    if (code_) return fprintf(stderr, "%s: code %d: %s\n", #call, code_, tiny_error(m)), 1; \
  } while (0)

static int serve(tiny *m, const int32_t *tokens) {
  static float whole[1 * T * V], last[1 * 1 * V];
  int32_t zero[1] = {0}, at[1] = {T - 1};
  CHECK(tiny_prefill(m, 1, T, zero, tokens, whole));
  CHECK(tiny_prefill(m, 1, T - 1, zero, tokens, NULL));
  CHECK(tiny_decode(m, 1, at, tokens + T - 1, last));
  for (int v = 0; v < V; v++)
    if (fabsf(last[v] - whole[(T - 1) * V + v]) > 1e-4f * (1 + fabsf(last[v])))
      return fprintf(stderr, "decode %g, prefill %g\n", last[v], whole[(T - 1) * V + v]), 1;
  return 0;
}

int main(int argc, char **argv) {
  tiny *m, *again;
  int32_t tokens[B * T], targets[B * T];
  float before, loss, after, lr = 0.01f;
  for (int i = 0; i < B * T; i++) tokens[i] = i * 5 % V, targets[i] = (i + 1) * 5 % V;
  CHECK(tiny_open(&m, NULL, 3, 2, 1));
  CHECK(tiny_eval(m, B, T, targets, tokens, &before));
  for (int step = 0; step < 20; step++)
    CHECK(tiny_train(m, B, T, NULL, NULL, &lr, NULL, NULL, targets, tokens, NULL, NULL, NULL, &loss));
  CHECK(tiny_eval(m, B, T, targets, tokens, &after));
  if (!(after < before)) return fprintf(stderr, "the loss did not fall: %g, then %g\n", before, after), 1;
  if (serve(m, tokens)) return 1;
  CHECK(tiny_save(m, argc > 1 ? argv[1] : "tiny.safetensors"));
  CHECK(tiny_open(&again, argc > 1 ? argv[1] : "tiny.safetensors", 0, 1, 1));
  CHECK(tiny_eval(again, B, T, targets, tokens, &loss));
  if (loss != after) return fprintf(stderr, "read back: %g instead of %g\n", loss, after), 1;
  if (!tiny_eval(m, 9999999, T, targets, tokens, &loss))
    return fprintf(stderr, "an extent out of bounds is accepted\n"), 1;
  tiny_close(m);
  tiny_close(again);
  return printf("%.6g -> %.6g\n", before, after) < 0;
}
