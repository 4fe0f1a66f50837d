/* Products of the vendor's library, for vulkan.sh on a machine with CUDA's compiler and no torch: lines "KEY TYPE M N
 * K" on stdin, lines "KEY TFLOP/s" on stdout. Medians by the device's clock.   nvcc matmul_cublas.c -lcublas */
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM = 3, RUNS = 15 };

static void must(int failed, const char *what) {
  if (!failed) return;
  fprintf(stderr, "%s: error %d\n", what, failed);
  exit(1);
}

/* Numbers of either sign between 1/2 and 1, by their bits. */
static void *operand(cudaDataType_t type, size_t count) {
  size_t size = type == CUDA_R_32F ? 4 : 2;
  char *host = (char *)malloc(count * size);
  void *device;
  uint32_t x = 12345;
  must(!host, "memory");
  for (size_t i = 0; i < count; i++) {
    x = x * 1664525u + 1013904223u;
    uint32_t f32 = (x & 0x80000000u) | 0x3f000000u | (x >> 8 & 0x7fffffu);
    uint16_t half = (uint16_t)((x >> 16 & 0x8000u) | 0x3800u | (x >> 8 & 0x3ffu)), bf16 = (uint16_t)(f32 >> 16);
    if (size == 4)
      memcpy(host + 4 * i, &f32, 4);
    else
      memcpy(host + 2 * i, type == CUDA_R_16F ? &half : &bf16, 2);
  }
  must(cudaMalloc(&device, count * size), "cudaMalloc");
  must(cudaMemcpy(device, host, count * size, cudaMemcpyHostToDevice), "cudaMemcpy");
  free(host);
  return device;
}

static int compare(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double measure(cublasHandle_t handle, cudaDataType_t type, int m, int n, int k) {
  void *a = operand(type, (size_t)m * (size_t)k), *b = operand(type, (size_t)k * (size_t)n);
  void *c = operand(type, (size_t)m * (size_t)n);
  float one = 1, zero = 0, ms[RUNS];
  cudaEvent_t start, end;
  must(cudaEventCreate(&start), "cudaEventCreate");
  must(cudaEventCreate(&end), "cudaEventCreate");
  for (int i = -WARM; i < RUNS; i++) { /* columns first: c' = b' a' */
    float took;
    must(cudaEventRecord(start, 0), "cudaEventRecord");
    must(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, n, m, k, &one, b, type, n, a, type, k, &zero, c, type, n,
                      CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
         "cublasGemmEx");
    must(cudaEventRecord(end, 0), "cudaEventRecord");
    must(cudaEventSynchronize(end), "cudaEventSynchronize");
    must(cudaEventElapsedTime(&took, start, end), "cudaEventElapsedTime");
    if (i >= 0) ms[i] = took;
  }
  qsort(ms, RUNS, sizeof *ms, compare);
  cudaFree(a), cudaFree(b), cudaFree(c);
  return 2. * m * n * k / (ms[RUNS / 2] * 1e9);
}

int main(void) {
  char key[64], type[8];
  int m, n, k;
  cublasHandle_t handle;
  must(cublasCreate(&handle), "cublasCreate");
  while (scanf("%63s %7s %d %d %d", key, type, &m, &n, &k) == 5) {
    cudaDataType_t t = !strcmp(type, "f32") ? CUDA_R_32F : !strcmp(type, "f16") ? CUDA_R_16F : CUDA_R_16BF;
    printf("%s %.4g\n", key, measure(handle, t, m, n, k));
    fflush(stdout);
  }
  return 0;
}
