/* Independent multiply-adds of f32 in registers: what one core does at most. Each function does n rounds and returns
 * the operations done; the caller takes the time. */
#ifndef SN_TESTS_BENCH_PEAK_H
#define SN_TESTS_BENCH_PEAK_H

#define PEAK_CLOBBERS                                                                                                 \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
      "xmm14", "xmm15"

static inline double peak_avx512(long n) {
  double flops = (double)n * 24 * 32;
  __asm__ volatile(
      "1:\n.irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23\n"
      "vfmadd231ps %%zmm30,%%zmm31,%%zmm\\r\n.endr\n dec %0\n jnz 1b"
      : "+r"(n)::PEAK_CLOBBERS);
  return flops;
}

static inline double peak_avx2(long n) {
  double flops = (double)n * 14 * 16;
  __asm__ volatile(
      "1:\n.irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13\n"
      "vfmadd231ps %%ymm14,%%ymm15,%%ymm\\r\n.endr\n dec %0\n jnz 1b"
      : "+r"(n)::PEAK_CLOBBERS);
  return flops;
}

static inline double peak_baseline(long n) {
  double flops = (double)n * 14 * 4;
  __asm__ volatile(
      "1:\n.irp r,0,1,2,3,4,5,6\nmulps %%xmm15,%%xmm\\r\n.endr\n.irp r,7,8,9,10,11,12,13\n"
      "addps %%xmm14,%%xmm\\r\n.endr\n dec %0\n jnz 1b"
      : "+r"(n)::PEAK_CLOBBERS);
  return flops;
}

#endif
