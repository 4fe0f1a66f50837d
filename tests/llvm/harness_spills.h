/* Spills in generated code. */
#ifndef SN_TESTS_LLVM_HARNESS_SPILLS_H
#define SN_TESTS_LLVM_HARNESS_SPILLS_H

/* Accesses of the stack by vector registers inside functions called micro*, each printed; *functions counts those. */
int hx_microkernel_spills(const char *assembly, int *functions);

#endif
