/* Products of oneDNN (-DONEDNN -ldnnl) or OpenBLAS (-lopenblas), for ./dev bench cpu.
 *
 *   peer_gemm M N K f32|bf16 BUDGET    y [M, N] = x [M, K] w [K, N]. oneDNN chooses how weights lie, and they are
 * brought there ahead of time. */
#define _GNU_SOURCE
#include "peer.h"

static void *operand(long count, int bytes) {
  char *p = aligned_alloc(4096, ((size_t)count * (size_t)bytes + 8191) / 4096 * 4096);
  if (!p) fprintf(stderr, "no memory\n"), exit(1);
  draw(p, count, bytes);
  return p;
}

static long M, N, K;

#ifdef ONEDNN
#include <dnnl.h>

static dnnl_engine_t engine;
static dnnl_stream_t stream;
static dnnl_primitive_t product;
static dnnl_exec_arg_t args[3];

static void must(dnnl_status_t s) {
  if (s != dnnl_success) fprintf(stderr, "oneDNN: status %d\n", (int)s), exit(1);
}

/* The interface of descriptors changed with version 3. */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t desc;
typedef const_dnnl_memory_desc_t found;
static desc describe(long rows, long columns, dnnl_data_type_t type, dnnl_format_tag_t tag) {
  desc d;
  must(dnnl_memory_desc_create_with_tag(&d, 2, (dnnl_dims_t){rows, columns}, type, tag));
  return d;
}
static dnnl_primitive_desc_t describe_product(desc x, desc w, desc y) {
  dnnl_primitive_desc_t pd;
  must(dnnl_matmul_primitive_desc_create(&pd, engine, x, w, NULL, y, NULL));
  return pd;
}
#define SEEN(d) (d)
#else
typedef dnnl_memory_desc_t desc;
typedef const dnnl_memory_desc_t *found;
static desc describe(long rows, long columns, dnnl_data_type_t type, dnnl_format_tag_t tag) {
  desc d;
  must(dnnl_memory_desc_init_by_tag(&d, 2, (dnnl_dims_t){rows, columns}, type, tag));
  return d;
}
static dnnl_primitive_desc_t describe_product(desc x, desc w, desc y) {
  dnnl_matmul_desc_t d;
  dnnl_primitive_desc_t pd;
  must(dnnl_matmul_desc_init(&d, &x, &w, NULL, &y));
  must(dnnl_primitive_desc_create(&pd, &d, NULL, engine, NULL));
  return pd;
}
#define SEEN(d) (&(d))
#endif

static dnnl_memory_t memory(found d, void *data) {
  dnnl_memory_t m;
  must(dnnl_memory_create(&m, d, engine, data));
  return m;
}

static dnnl_memory_t reordered(found from, found to, void *data) {
  dnnl_primitive_desc_t pd;
  dnnl_primitive_t p;
  dnnl_memory_t source = memory(from, data), target = memory(to, DNNL_MEMORY_ALLOCATE);
  must(dnnl_reorder_primitive_desc_create(&pd, from, engine, to, engine, NULL));
  must(dnnl_primitive_create(&p, pd));
  must(dnnl_primitive_execute(p, stream, 2, (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}}));
  must(dnnl_stream_wait(stream));
  return target;
}

static int setup(const char *type) {
  dnnl_data_type_t t = strcmp(type, "bf16") ? dnnl_f32 : dnnl_bf16;
  int bytes = t == dnnl_f32 ? 4 : 2;
  must(dnnl_engine_create(&engine, dnnl_cpu, 0));
  must(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
  desc x = describe(M, K, t, dnnl_ab), w = describe(K, N, t, dnnl_ab), y = describe(M, N, t, dnnl_ab);
  dnnl_primitive_desc_t pd = describe_product(x, describe(K, N, t, dnnl_format_tag_any), y);
  must(dnnl_primitive_create(&product, pd));
  found packed = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
  args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, memory(SEEN(x), operand(M * K, bytes))};
  args[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, reordered(SEEN(w), packed, operand(K * N, bytes))};
  args[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, memory(SEEN(y), operand(M * N, bytes))};
  return 0;
}

static void run(void) {
  must(dnnl_primitive_execute(product, stream, 3, args));
  must(dnnl_stream_wait(stream));
}

static void version(void) {
  const dnnl_version_t *v = dnnl_version();
  printf("oneDNN %d.%d.%d\n", v->major, v->minor, v->patch);
}
#else
#include <cblas.h>

static float *x, *w, *y;

static int setup(const char *type) {
  if (strcmp(type, "f32")) {
    fprintf(stderr, "f32 only\n");
    return 1;
  }
  x = operand(M * K, 4), w = operand(K * N, 4), y = operand(M * N, 4);
  return 0;
}

static void run(void) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)M, (int)N, (int)K, 1, x, (int)K, w, (int)N, 0, y, (int)N);
}

static void version(void) { printf("%s, %s\n", openblas_get_config(), openblas_get_corename()); }
#endif

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "version")) return version(), 0;
  if (argc != 6) return 2;
  M = atol(argv[1]), N = atol(argv[2]), K = atol(argv[3]);
  if (M < 1 || N < 1 || K < 1 || setup(argv[4])) return 1;
  serve(run, atof(argv[5]));
  return 0;
}
