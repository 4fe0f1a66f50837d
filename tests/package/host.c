/* The C interface with installed headers only: trains a linked-in model for a few steps, decodes, saves, and is told of
 * mistakes. usage: host TARGET MODEL.c BROKEN.c [BACKEND.so] */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinter_host.h"

enum { B = 2, T = 8, V = 17, STEPS = 20 };
#define SMALL "layers=1 heads=2 width=16 context=8 vocab=17"

extern const sn_model sn_model_gpt; /* models/gpt.c, linked in */

/* ---- checks ------------------------------------------------------------------------------------------------------ */

#define CHECK(ctx, call)                                                                             \
  do {                                                                                               \
    sn_code code_ = (call);                                                                          \
    if (code_) return fprintf(stderr, "%s: code %d: %s\n", #call, (int)code_, sn_ctx_error(ctx)), 1; \
  } while (0)
#define EXPECT(x)                                                                       \
  do {                                                                                  \
    if (!(x)) return fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x), 1; \
  } while (0)

/* ---- callbacks --------------------------------------------------------------------------------------------------- */

typedef struct ledger {
  atomic_llong bytes, calls, fail_after; /* fail_after: calls that succeed; 0: all */
} ledger;

static void *ledger_alloc(void *user, size_t bytes, size_t align) {
  ledger *l = user;
  long long n = ++l->calls, limit = l->fail_after;
  if (limit && n > limit) return NULL;
  l->bytes += (long long)bytes;
  return aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void ledger_free(void *user, void *at, size_t bytes) {
  ((ledger *)user)->bytes -= (long long)bytes;
  free(at);
}

typedef struct journal {
  int errors, infos;
  char last[512];
} journal;

static void journal_log(void *user, sn_log_level level, const char *text) {
  journal *j = user;
  if (level == SN_LOG_ERROR)
    j->errors++;
  else
    j->infos++;
  snprintf(j->last, sizeof j->last, "%s", text);
}

/* ---- training and serving ---------------------------------------------------------------------------------------- */

static void text(int32_t *tokens, int32_t *next) {
  for (int i = 0; i < B * T; i++) tokens[i] = i * 5 % V, next[i] = (i + 1) * 5 % V;
}

static int eval(sn_ctx *ctx, sn_program *p, sn_store *s, float *loss) {
  int32_t tokens[B * T], next[B * T];
  text(tokens, next);
  CHECK(ctx, sn_run(p, "eval", s, {"tokens", tokens, {B, T}, sizeof tokens}, {"targets", next, {B, T}},
                    {"loss", loss, {0}}));
  return 0;
}

static int train(sn_ctx *ctx, sn_program *p, sn_store *s, float *out) {
  int32_t tokens[B * T], next[B * T];
  float lr = 0.01f, before, after, loss = 0;
  text(tokens, next);
  if (eval(ctx, p, s, &before)) return 1;
  for (int i = 0; i < STEPS; i++)
    CHECK(ctx, sn_run(p, "train", s, {"tokens", tokens, {B, T}}, {"targets", next, {B, T}}, {"lr", &lr, {0}},
                      {"loss", &loss, {0}}));
  if (eval(ctx, p, s, &after)) return 1;
  EXPECT(after < before && isfinite(loss));
  *out = after;
  return 0;
}

/* What decode says of the last token is what prefill says of it. */
static int serve(sn_ctx *ctx, sn_program *p, sn_store *s) {
  static float whole[T * V], last[V];
  int32_t tokens[B * T], next[B * T], zero = 0, at = T - 1;
  text(tokens, next);
  CHECK(ctx, sn_run(p, "prefill", s, {"tokens", tokens, {1, T}}, {"start", &zero, {1}}, {"logits", whole, {1, T, V}}));
  sn_store_reset(s, "*");
  CHECK(ctx, sn_run(p, "prefill", s, {"tokens", tokens, {1, T - 1}}, {"start", &zero, {1}}));
  CHECK(ctx,
        sn_run(p, "decode", s, {"tokens", tokens + T - 1, {1, 1}}, {"start", &at, {1}}, {"logits", last, {1, 1, V}}));
  for (int v = 0; v < V; v++) EXPECT(fabsf(last[v] - whole[(T - 1) * V + v]) <= 1e-4f * (1 + fabsf(last[v])));
  return 0;
}

static int ports(sn_program *p) {
  sn_port port;
  int inputs = 0, outputs = 0, graphs = 0;
  while (sn_program_graph(p, graphs)) graphs++;
  EXPECT(graphs >= 4);
  for (int i = 0; sn_program_port(p, "eval", i, &port); i++) {
    if (!strcmp(port.name, "tokens")) EXPECT(!strcmp(port.type, "i32[B, T]") && port.rank == 2 && !port.is_output);
    if (!strcmp(port.name, "loss")) EXPECT(!strcmp(port.type, "f32[]") && port.is_output);
    inputs += !port.is_output, outputs += port.is_output;
  }
  EXPECT(inputs == 2 && outputs == 1);
  EXPECT(!sn_program_port(p, "nothing", 0, &port));
  /* words, places, norms of block and end, qkv, projection, feed-forward */
  EXPECT(sn_program_parameter_count(p) == V * 16 + 8 * 16 + 3 * 16 + 16 * 48 + 16 * 16 + 2 * 16 * 64);
  EXPECT(sn_program_parameter(p, 0) && !sn_program_parameter(p, 1000) && !sn_program_parameter(p, -1));
  return 0;
}

/* A step of training does three times the work of an evaluation, and decoding writes one row of the caches. */
static int reports(sn_ctx *ctx, sn_program *p, const char *target) {
  sn_report train, eval, twice, decode, none;
  double work[3] = {0};
  CHECK(ctx, sn_program_report(p, "train", "B=2 T=8", &train));
  CHECK(ctx, sn_program_report(p, "eval", "B=2 T=8", &eval));
  CHECK(ctx, sn_program_report(p, "eval", "B=4, T=8", &twice));
  CHECK(ctx, sn_program_report(p, "decode", "B=2", &decode));
  EXPECT(sn_program_report(p, "nothing", "", &none) == SN_ERR_USAGE);
  EXPECT(sn_program_report(p, "eval", "C=2", &none) == SN_ERR_USAGE && strstr(sn_ctx_error(ctx), "C"));
  if (!strcmp(target, "ref")) return 0; /* no kernels */
  for (int i = 0; i < train.step_count; i++) work[0] += train.step[i].flops;
  for (int i = 0; i < eval.step_count; i++) work[1] += eval.step[i].flops;
  for (int i = 0; i < twice.step_count; i++) work[2] += twice.step[i].flops;
  EXPECT(work[1] > 0 && work[0] > 2.5 * work[1] && fabs(work[2] - 2 * work[1]) < .01 * work[2]);
  EXPECT(eval.buffer_count && eval.peak_bytes > 0 && eval.buffer[0].elements && strstr(eval.buffer[0].type, "["));
  for (int i = 0; i < decode.step_count; i++)
    if (strstr(decode.step[i].ops, "dynamic_write")) EXPECT(decode.step[i].bytes_written == 2 * 16 * 4);
  return 0;
}

/* Derivatives are those of differences, in f64 and, less exactly, in f32. */
static int derivatives(sn_ctx *ctx, const char *target) {
  sn_program *p;
  sn_store *s;
  sn_tensor_view w;
  double loss, up, grad[V * 16];
  float narrow[V * 16];
  int32_t tokens[B * T], next[B * T];
  sn_compile_opt o = {.graphs = "eval", .set = SMALL, .target = "ref", .real = "f64", .grad = "loss"};
  text(tokens, next);
  CHECK(ctx, sn_compile(ctx, &sn_model_gpt, &o, &p));
  CHECK(ctx, sn_store_create(p, 42, &s));
  CHECK(ctx, sn_run(p, "eval", s, {"tokens", tokens, {B, T}}, {"targets", next, {B, T}}, {"loss", &loss, {0}},
                    {"grad.wte.weight", grad, {V, 16}, sizeof grad}));
  CHECK(ctx, sn_store_tensor(s, "wte.weight", &w));
  EXPECT(!strcmp(w.dtype, "f64"));
  ((double *)w.data)[5 * 16] += 1e-6;
  sn_store_changed(s);
  CHECK(ctx, sn_run(p, "eval", s, {"tokens", tokens, {B, T}}, {"targets", next, {B, T}}, {"loss", &up, {0}}));
  EXPECT(grad[5 * 16] != 0 && fabs((up - loss) / 1e-6 - grad[5 * 16]) < 1e-3 * fabs(grad[5 * 16]));
  o.real = NULL, o.target = target;
  CHECK(ctx, sn_compile(ctx, &sn_model_gpt, &o, &p));
  CHECK(ctx, sn_store_create(p, 42, &s));
  CHECK(ctx, sn_run(p, "eval", s, {"tokens", tokens, {B, T}}, {"targets", next, {B, T}},
                    {"grad.wte.weight", narrow, {V, 16}, sizeof narrow}));
  for (int i = 0; i < V * 16; i++) EXPECT(fabs((double)narrow[i] - grad[i]) < 1e-5);
  EXPECT(sn_compile(ctx, &sn_model_gpt, &(sn_compile_opt){.real = "f8"}, &p) == SN_ERR_USAGE);
  EXPECT(sn_compile(ctx, &sn_model_gpt, &(sn_compile_opt){.grad = "los"}, &p) == SN_ERR_USAGE);
  return 0;
}

/* Weights are read and written in place. */
static int weights(sn_ctx *ctx, sn_program *p, sn_store *s) {
  sn_tensor_view w;
  float loss, other;
  CHECK(ctx, sn_store_tensor(s, "wte.weight", &w));
  EXPECT(w.rank == 2 && w.extent[0] == V && w.extent[1] == 16 && w.bytes == V * 16 * 4 && !strcmp(w.dtype, "f32"));
  if (eval(ctx, p, s, &loss)) return 1;
  float *data = w.data, kept = data[5 * 16];
  data[5 * 16] += 1; /* of token 5, which the text has */
  sn_store_changed(s);
  if (eval(ctx, p, s, &other)) return 1;
  EXPECT(loss != other);
  data[5 * 16] = kept;
  sn_store_changed(s);
  if (eval(ctx, p, s, &other)) return 1;
  EXPECT(loss == other);
  EXPECT(sn_store_tensor(s, "wte.wait", &w) == SN_ERR_USAGE && strstr(sn_ctx_error(ctx), "wte.wait"));
  return 0;
}

/* ---- mistakes ---------------------------------------------------------------------------------------------------- */

static int mistakes(sn_ctx *ctx, sn_program *p, sn_store *s, const char *broken, journal *j) {
  sn_problem problem;
  sn_program *q;
  const sn_model *m;
  int32_t tokens[B * T] = {0}, longer[B * (T + 1)] = {0};
  float loss;
  EXPECT(sn_run(p, "eval", s, {"tokens", longer, {B, T + 1}}, {"targets", longer, {B, T + 1}}, {"loss", &loss, {0}}) ==
         SN_ERR_INPUT);                                                     /* there are T learned positions */
  EXPECT(sn_run(p, "eval", s, {"tokens", tokens, {B, T}}) == SN_ERR_USAGE); /* targets are missing */
  EXPECT(strstr(sn_ctx_error(ctx), "targets"));
  EXPECT(sn_run(p, "eval", s, {"tokens", tokens, {B, T}, 3}, {"targets", tokens, {B, T}}) == SN_ERR_USAGE);
  EXPECT(sn_run(p, "eval", s, {"tokens", tokens, {B, T + 1}}, {"targets", tokens, {B, T}}, {"loss", &loss, {0}}) ==
         SN_ERR_INPUT);
  EXPECT(sn_ctx_problem(ctx, 0, &problem) && problem.code == SN_ERR_INPUT && problem.message);
  EXPECT(sn_compile(ctx, &sn_model_gpt, &(sn_compile_opt){.set = "layer=4"}, &q) == SN_ERR_INPUT ||
         strstr(sn_ctx_error(ctx), "layers"));
  EXPECT(sn_compile(ctx, &sn_model_gpt, &(sn_compile_opt){.set = SMALL, .target = "moon"}, &q) != SN_OK);
  EXPECT(sn_program_load(ctx, broken, &q) == SN_ERR_INPUT); /* no plan */
  EXPECT(sn_model_load(ctx, "missing.c", &m) == SN_ERR_INPUT);
  CHECK(ctx, sn_model_load(ctx, broken, &m));
  int before = j->errors;
  EXPECT(sn_compile(ctx, m, NULL, &q) == SN_ERR_INPUT);
  EXPECT(sn_ctx_problem(ctx, 0, &problem) && problem.line == 4 && problem.expected && problem.found);
  EXPECT(j->errors > before && strstr(j->last, "broken.c:4"));
  if (eval(ctx, p, s, &loss)) return 1; /* nothing is left of them */
  EXPECT(!*sn_ctx_error(ctx) && !sn_ctx_problem(ctx, 0, &problem));
  return 0;
}

/* An option that only a newer header has is refused when it is set, and taken when it is not. */
static int options(void) {
  struct {
    sn_ctx_opt known;
    int unknown;
  } newer = {.unknown = 1};
  sn_ctx *ctx;
  EXPECT(SN_API(ctx_create)(sizeof newer, &newer.known, &ctx) == SN_ERR_USAGE);
  newer.unknown = 0;
  EXPECT(!SN_API(ctx_create)(sizeof newer, &newer.known, &ctx));
  sn_ctx_destroy(ctx);
  EXPECT(!SN_API(ctx_create)(sizeof(int), &newer.known, &ctx)); /* an older one */
  sn_ctx_destroy(ctx);
  EXPECT(sn_version() == SN_API_VERSION && *sn_version_text());
  return 0;
}

/* ---- several contexts, and memory that ends ---------------------------------------------------------------------- */

typedef struct worker {
  const char *target;
  float loss;
  int failed;
} worker;

static void *work(void *arg) {
  worker *w = arg;
  sn_ctx *ctx;
  sn_program *p;
  sn_store *s;
  w->failed = 1;
  if (sn_ctx_create(&(sn_ctx_opt){.threads = 1, .cache_dir = ""}, &ctx)) return NULL;
  if (!sn_compile(ctx, &sn_model_gpt, &(sn_compile_opt){.set = SMALL, .target = w->target, .graphs = "train|eval"},
                  &p) &&
      !sn_store_create_for(p, 42, "B=2 T=8", &s))
    w->failed = train(ctx, p, s, &w->loss);
  else
    fprintf(stderr, "%s\n", sn_ctx_error(ctx));
  sn_ctx_destroy(ctx);
  return NULL;
}

static int contexts_do_not_meet(const char *target, float loss) {
  pthread_t thread[2];
  worker w[2] = {{.target = target}, {.target = target}};
  for (int i = 0; i < 2; i++) EXPECT(!pthread_create(&thread[i], NULL, work, &w[i]));
  for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
  for (int i = 0; i < 2; i++) EXPECT(!w[i].failed && w[i].loss == loss);
  return 0;
}

/* One attempt in which only so many allocations succeed. -> 0: done, 1: a code and a message said why not */
static int attempt(const char *target, ledger *l) {
  sn_allocator allocator = {ledger_alloc, ledger_free, l};
  sn_ctx *ctx;
  sn_program *p;
  sn_store *s;
  float loss;
  int32_t tokens[B * T], next[B * T];
  text(tokens, next);
  if (sn_ctx_create(&(sn_ctx_opt){.threads = 1, .cache_dir = "", .allocator = &allocator}, &ctx)) return 1;
  sn_code code =
      sn_compile(ctx, &sn_model_gpt, &(sn_compile_opt){.set = SMALL, .target = target, .graphs = "eval"}, &p);
  if (!code) code = sn_store_create_for(p, 1, "B=2 T=8", &s);
  if (!code) code = sn_run(p, "eval", s, {"tokens", tokens, {B, T}}, {"targets", next, {B, T}}, {"loss", &loss, {0}});
  if (code && !*sn_ctx_error(ctx)) fprintf(stderr, "a failure without a message\n"), abort();
  sn_ctx_destroy(ctx);
  return code != SN_OK;
}

static int memory_may_end_anywhere(const char *target) {
  ledger l = {0};
  EXPECT(!attempt(target, &l) && !l.bytes && l.calls > 20);
  long long all = l.calls;
  for (long long n = 1; n < all; n += 1 + all / 24) {
    ledger few = {.fail_after = n};
    EXPECT(attempt(target, &few));
    EXPECT(!few.bytes);
  }
  return 0;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static int with_backend(sn_ctx *ctx, const char *file, float expected) {
  sn_program *p;
  sn_store *s;
  float loss;
  CHECK(ctx, sn_compile(ctx, &sn_model_gpt, &(sn_compile_opt){.set = SMALL, .backend = file, .graphs = "eval"}, &p));
  CHECK(ctx, sn_store_create(p, 42, &s));
  CHECK(ctx, sn_store_load(s, "tiny.safetensors"));
  if (eval(ctx, p, s, &loss)) return 1;
  EXPECT(fabsf(loss - expected) < 1e-4f);
  sn_program_destroy(p);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 4) return fprintf(stderr, "usage: host TARGET MODEL.c BROKEN.c [BACKEND.so]\n"), 2;
  ledger l = {0};
  journal j = {0};
  sn_allocator allocator = {ledger_alloc, ledger_free, &l};
  sn_ctx *ctx;
  sn_program *p, *q;
  sn_store *s, *again;
  const sn_model *m;
  float loss, read;
  if (sn_ctx_create(&(sn_ctx_opt){.threads = 2, .log = journal_log, .user = &j, .allocator = &allocator}, &ctx))
    return 1;
  CHECK(ctx, sn_compile(ctx, &sn_model_gpt, &(sn_compile_opt){.set = SMALL, .target = argv[1]}, &p));
  EXPECT(j.infos > 0);
  CHECK(ctx, sn_store_create_for(p, 42, "B=2", &s));
  if (train(ctx, p, s, &loss) || serve(ctx, p, s) || ports(p) || weights(ctx, p, s)) return 1;
  if (reports(ctx, p, argv[1]) || derivatives(ctx, argv[1])) return 1;
  CHECK(ctx, sn_store_save(s, "tiny.safetensors"));
  CHECK(ctx, sn_store_create(p, 7, &again));
  CHECK(ctx, sn_store_load(again, "tiny.safetensors"));
  if (eval(ctx, p, again, &read)) return 1;
  EXPECT(read == loss);
  if (getenv("WITHOUT_OBJECT")) /* sanitized builds have no object to ship */
    (void)!sn_program_save(p, "tiny");
  else if (!strcmp(argv[1], "cpu"))
    CHECK(ctx, sn_program_save(p, "tiny"));
  else
    EXPECT(sn_program_save(p, "tiny") == SN_ERR_DEVICE);
  CHECK(ctx, sn_model_load(ctx, argv[2], &m)); /* the same as a file: the same numbers */
  CHECK(ctx, sn_compile(ctx, m, &(sn_compile_opt){.set = SMALL, .target = argv[1], .graphs = "eval"}, &q));
  CHECK(ctx, sn_store_create(q, 1, &again));
  CHECK(ctx, sn_store_load(again, "tiny.safetensors"));
  if (eval(ctx, q, again, &read)) return 1;
  EXPECT(read == loss);
  if (mistakes(ctx, p, s, argv[3], &j) || options()) return 1;
  if (argc > 4 && with_backend(ctx, argv[4], loss)) return 1;
  EXPECT(l.bytes > 0);
  sn_ctx_destroy(ctx);
  EXPECT(l.bytes == 0);
  if (!getenv("SHORT") && (contexts_do_not_meet(argv[1], loss) || memory_may_end_anywhere(argv[1]))) return 1;
  return printf("%.9g\n", loss) < 0;
}
