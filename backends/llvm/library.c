/* Opens LLVM's library and fills the table through which this folder calls it: the build makes llvm_functions.h from
 * the calls in these files (cmake/llvm_functions.cmake), and every file sees it first. */
#include "backends/llvm/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

sn_llvm_functions sn_llvm; /* written once, before anything reads it */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char trouble[512]; /* why it is not there; empty: it is */

#define NAME(f) #f,
static const char *const names[] = {SN_LLVM_FUNCTIONS(NAME)};
enum { COUNT = sizeof names / sizeof *names };
_Static_assert(sizeof sn_llvm == COUNT * sizeof(void *), "the table has a pointer for each name");

static void *find_library(void) {
  void *library = dlopen(SN_LLVM_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
  return library ? library : dlopen(SN_LLVM_LIBRARY_PATH, RTLD_LAZY | RTLD_LOCAL);
}

static void open_library(void) {
  void *library = find_library();
  if (!library) {
    const char *why = dlerror();
    snprintf(trouble, sizeof trouble, "%s", why ? why : SN_LLVM_LIBRARY);
    return;
  }
  for (int i = 0; i < COUNT; i++) {
    void *at = dlsym(library, names[i]);
    if (!at) {
      snprintf(trouble, sizeof trouble, "%s has no %s", SN_LLVM_LIBRARY, names[i]);
      return;
    }
    memcpy((char *)&sn_llvm + (size_t)i * sizeof at, &at, sizeof at); /* ISO C has no cast to function pointers */
  }
}

sn_code ll_library_open(sn_diags *diags) {
  pthread_once(&once, open_library);
  if (!*trouble) return SN_OK;
  (void)sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "code generator: LLVM cannot be loaded: %s", trouble);
  sn_fail_expected(diags, "LLVM %s", SN_LLVM_VERSION_TEXT);
  return SN_ERR_DEVICE;
}

#if defined(__SANITIZE_ADDRESS__)
/* With gcc 12's runtime, a thread that opened a library with thread-local variables cannot be searched for leaks. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "intercept_tls_get_addr=0"; }
#endif
