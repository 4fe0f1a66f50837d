/* Attention of one query and row ops in ggml, for ./dev bench cpu.
 *
 *   peer_ggml THREADS BUDGET JOB ARGUMENTS...
 *     attention fused|plain T HEADS KV_HEADS D    one query, keys and values of bf16 that lie head by head
 *     rows OP N WIDTH                             OP: softmax, layernorm, rmsnorm, cross_entropy, gelu
 *
 * Cross entropy there takes whole rows of probabilities as targets and gives one number. */
#define _GNU_SOURCE
#include "peer.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>
#include <math.h>

static ggml_backend_t backend;
static struct ggml_context *ctx;
static struct ggml_cgraph *graph;

static void fail(const char *why) { fprintf(stderr, "%s\n", why), exit(1); }

static void run(void) {
  if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS) fail("the graph failed");
}

static struct ggml_tensor *tensor(enum ggml_type type, long a, long b, long c) {
  return ggml_new_tensor_3d(ctx, type, a, b, c);
}

/* Keys of a head are rows of d. The plain way sums over keys, which therefore are the rows of its values. */
static struct ggml_tensor *attention(char **argv) {
  const enum ggml_type type = GGML_TYPE_BF16;
  long t = atol(argv[1]), heads = atol(argv[2]), kv_heads = atol(argv[3]), d = atol(argv[4]);
  float scale = 1.f / sqrtf((float)d);
  struct ggml_tensor *q = tensor(GGML_TYPE_F32, d, 1, heads), *k = tensor(type, d, t, kv_heads);
  if (!strcmp(argv[0], "fused")) return ggml_flash_attn_ext(ctx, q, k, tensor(type, d, t, kv_heads), NULL, scale, 0, 0);
  struct ggml_tensor *scores = ggml_soft_max_ext(ctx, ggml_mul_mat(ctx, k, q), NULL, scale, 0);
  return ggml_mul_mat(ctx, tensor(type, t, d, kv_heads), scores);
}

static struct ggml_tensor *rows(char **argv) {
  const char *op = argv[0];
  long n = atol(argv[1]), width = atol(argv[2]);
  struct ggml_tensor *x = tensor(GGML_TYPE_F32, width, n, 1);
  if (!strcmp(op, "softmax")) return ggml_soft_max(ctx, x);
  if (!strcmp(op, "layernorm")) return ggml_norm(ctx, x, 1e-5f);
  if (!strcmp(op, "rmsnorm")) return ggml_rms_norm(ctx, x, 1e-5f);
  if (!strcmp(op, "gelu")) return ggml_gelu(ctx, x);
  if (!strcmp(op, "cross_entropy")) return ggml_cross_entropy_loss(ctx, x, tensor(GGML_TYPE_F32, width, n, 1));
  return NULL;
}

/* The processor's backend: linked in, or in a library of its own beside ggml's. */
static void begin(int threads) {
  ggml_backend_load_all();
  backend = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, NULL);
  if (!backend) fail("ggml has no backend for the processor");
  ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend));
  ggml_backend_set_n_threads_t set =
      (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(reg, "ggml_backend_set_n_threads");
  if (!set) fail("the number of threads cannot be set");
  set(backend, threads);
  ctx = ggml_init(
      (struct ggml_init_params){.mem_size = 64 * ggml_tensor_overhead() + ggml_graph_overhead(), .no_alloc = true});
  if (!ctx) fail("no memory");
}

/* Memory for all tensors, numbers in those that nothing computes. */
static void fill(struct ggml_tensor *result) {
  graph = ggml_new_graph(ctx);
  ggml_build_forward_expand(graph, result);
  if (!ggml_backend_alloc_ctx_tensors(ctx, backend)) fail("no memory");
  for (struct ggml_tensor *t = ggml_get_first_tensor(ctx); t; t = ggml_get_next_tensor(ctx, t)) {
    if (t->op != GGML_OP_NONE) continue;
    size_t bytes = ggml_type_size(t->type);
    char *numbers = malloc(ggml_nbytes(t));
    if (!numbers) fail("no memory");
    draw(numbers, ggml_nelements(t), (int)bytes);
    ggml_backend_tensor_set(t, numbers, 0, ggml_nbytes(t));
    free(numbers);
  }
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "version")) return printf("ggml %s\n", ggml_version()), 0;
  int is_rows = argc == 7 && !strcmp(argv[3], "rows"), is_attention = argc == 9 && !strcmp(argv[3], "attention");
  if (!is_rows && !is_attention) return 2;
  begin(atoi(argv[1]));
  struct ggml_tensor *result = is_rows ? rows(argv + 4) : attention(argv + 4);
  if (!result) return 2;
  fill(result);
  serve(run, atof(argv[2]));
  return 0;
}
