/* The small library: loads a saved program and weights, and evaluates. usage: run NAME -> NAME.plan, NAME.safetensors
 */
#include <stdio.h>

#include "sinter_host.h"

enum { B = 2, T = 8, V = 17 };

static sn_code run(sn_ctx *ctx, const char *name, float *loss) {
  sn_program *p;
  sn_store *s;
  char file[512];
  int32_t tokens[B * T], next[B * T];
  for (int i = 0; i < B * T; i++) tokens[i] = i * 5 % V, next[i] = (i + 1) * 5 % V;
  snprintf(file, sizeof file, "%s.plan", name);
  sn_code code = sn_program_load(ctx, file, &p);
  if (!code) code = sn_store_create_for(p, 1, "B=2 T=8", &s);
  snprintf(file, sizeof file, "%s.safetensors", name);
  if (!code) code = sn_store_load(s, file);
  if (code) return code;
  return sn_run(p, "eval", s, {"tokens", tokens, {B, T}}, {"targets", next, {B, T}}, {"loss", loss, {0}});
}

int main(int argc, char **argv) {
  sn_ctx *ctx;
  float loss;
  if (argc != 2 || sn_ctx_create(NULL, &ctx)) return 2;
  sn_code code = run(ctx, argv[1], &loss);
  if (code) fprintf(stderr, "%s\n", sn_ctx_error(ctx));
  sn_ctx_destroy(ctx);
  return code ? (int)code : printf("%.9g\n", loss) < 0;
}
