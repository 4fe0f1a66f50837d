/* Links an emitted object and its header: a training step, an evaluation before and after, prefill and decode. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* code 3, and a message that names all of `parts`; the call after it works */
static int refuses(tiny *m, int code, const char *what, const char *const parts[4]) {
  if (code != 3) return fprintf(stderr, "%s: code %d instead of 3\n", what, code), 1;
  for (int i = 0; i < 4; i++)
    if (!strstr(tiny_error(m), parts[i]))
      return fprintf(stderr, "%s: \"%s\" is not in: %s\n", what, parts[i], tiny_error(m)), 1;
  return 0;
}

/* ids outside of the vocabulary, positions outside of the context: never clamped */
static int wrong_ids(tiny *m) {
  static float logits[T * V];
  int32_t tokens[T] = {0}, targets[T] = {0}, start[1] = {0};
  float loss, lr = 0.01f;
  tokens[3] = V;
  if (refuses(m, tiny_prefill(m, 1, T, start, tokens, logits), "prefill",
              (const char *[]){"tokens", "0 to 16", "17 at element 3", "gpt.c:"}))
    return 1;
  tokens[3] = -1;
  if (refuses(m, tiny_eval(m, 1, T, targets, tokens, &loss), "eval",
              (const char *[]){"tokens", "0 to 16", "-1 at element 3", "gpt.c:"}))
    return 1;
  if (refuses(m, tiny_train(m, 1, T, NULL, NULL, &lr, NULL, NULL, targets, tokens, NULL, NULL, NULL, &loss), "train",
              (const char *[]){"tokens", "0 to 16", "-1 at element 3", "gpt.c:"}))
    return 1;
  tokens[3] = 0, targets[7] = 1000000;
  if (refuses(m, tiny_eval(m, 1, T, targets, tokens, &loss), "eval",
              (const char *[]){"targets", "0 to 16", "1000000 at element 7", "gpt.c:"}))
    return 1;
  start[0] = 1; /* 8 positions from 1 on, of 8 */
  if (refuses(m, tiny_prefill(m, 1, T, start, tokens, logits), "prefill",
              (const char *[]){"start", "0 to 0", "1 at element 0", "gpt.c:"}))
    return 1;
  start[0] = T;
  if (refuses(m, tiny_decode(m, 1, start, tokens, logits), "decode",
              (const char *[]){"start", "0 to 7", "8 at element 0", "gpt.c:"}))
    return 1;
  start[0] = -1;
  if (refuses(m, tiny_decode(m, 1, start, tokens, logits), "decode",
              (const char *[]){"start", "0 to 7", "-1 at element 0", "gpt.c:"}))
    return 1;
  start[0] = T - 1;
  CHECK(tiny_decode(m, 1, start, tokens, logits));
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
  if (serve(m, tokens) || wrong_ids(m)) return 1;
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
