/* Kernels in SPIR-V for the tests of the Vulkan device, and plans that run them. */
#ifndef SN_TESTS_RUNTIME_HARNESS_VULKAN_H
#define SN_TESTS_RUNTIME_HARNESS_VULKAN_H

#include "tests/runtime/support.h"

/* Of f32 arrays, element i of instance i, but for those that say otherwise. */
enum {
  VK_ADD,  /* (x, y, write z): z = x + y */
  VK_MARK, /* (write x, size n): x = i * n + n */
  VK_MANY, /* (19 times x, write y): y = sum of (k + 1) x[k] */
  VK_WORK, /* (x, write y): y = 3 x + 1, by way of the workspace */
  VK_LESS, /* (x, y, write flag): flag = x[0] < y[0], one instance */
  VK_KERNELS
};

/* The device's facts are there; else tells why not: then the test is skipped. */
bool vk_there(void);
/* A world whose code is those kernels. */
world vk_world(int graphs);
/* A launch; args: slots (and for VK_MARK a symbol as the second), the last written (VK_MARK: the first). */
void vk_launch(world *w, int graph, int kernel, int count, const int *args, const sn_dimx *instances);

#define VK_LAUNCH(w, graph, kernel, instances, ...) \
  vk_launch(w, graph, kernel, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]){__VA_ARGS__}, instances)

#endif
