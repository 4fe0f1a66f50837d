/* Every kind of kernel at extents around the tiles of schedules, forward and backward. Extents are symbols: the code of
 * one graph is made once for all of them. */
#include <string.h>

#include "backends/conform/conform.h"

static const int64_t extents[][2] = {/* T, N */
                                     {33, 31}, {1, 1}, {65, 3}, {2, 63}, {31, 129}, {7, 65}, {127, 17}, {64, 32}};
enum { EXTENTS = sizeof extents / sizeof extents[0] };

typedef struct shape {
  const char *name, *body; /* of graph g; FLOAT stands for the type of "x" */
  bool narrow;             /* also for bf16 and f16 */
} shape;

/* clang-format off */
static const shape shapes[] = {
  {"product", "%1 = input name \"x\" : FLOAT[T, N]\n%2 = input name \"w\" : FLOAT[N, 37]\n"
              "%3 = contract %1, %2 spec \"tn,nv->tv\" TO: f32[T, 37]\n"
              "%4 = input name \"s\" : f32[T, 37]\n%5 = mul %3, %4 : f32[T, 37]\n%6 = sum %5 axes [0, 1] : f32[]\n"
              "%7, %8 = grad %6, %1, %2 : FLOAT[T, N], FLOAT[N, 37]\n"
              "output \"y\" = %3\noutput \"dx\" = %7\noutput \"dw\" = %8\n", true},
  {"product of whole tiles", "%1 = input name \"x\" : FLOAT[T, N]\n%2 = input name \"w\" : FLOAT[N, 64]\n"
              "%3 = contract %1, %2 spec \"tn,nv->tv\" TO: f32[T, 64]\n"
              "%4 = input name \"s\" : f32[T, 64]\n%5 = mul %3, %4 : f32[T, 64]\n%6 = sum %5 axes [0, 1] : f32[]\n"
              "%7, %8 = grad %6, %1, %2 : FLOAT[T, N], FLOAT[N, 64]\n"
              "output \"y\" = %3\noutput \"dx\" = %7\noutput \"dw\" = %8\n", true},
  {"products of heads", "%1 = input name \"x\" : FLOAT[2, T, 3, N]\n%2 = input name \"w\" : FLOAT[2, 19, 3, N]\n"
              "%3 = contract %1, %2 spec \"bthn,bshn->bhts\" TO: f32[2, 3, T, 19]\n"
              "%4 = input name \"s\" : f32[2, 3, T, 19]\n%5 = mul %3, %4 : f32[2, 3, T, 19]\n"
              "%6 = sum %5 axes [0, 1, 2, 3] : f32[]\n"
              "%7, %8 = grad %6, %1, %2 : FLOAT[2, T, 3, N], FLOAT[2, 19, 3, N]\n"
              "output \"y\" = %3\noutput \"dx\" = %7\noutput \"dw\" = %8\n", true},
  {"product by a vector", "%1 = input name \"x\" : FLOAT[1, N]\n%2 = input name \"w\" : FLOAT[T, N]\n"
              "%3 = contract %1, %2 spec \"bn,tn->bt\" TO: f32[1, T]\noutput \"y\" = %3\n", true},
  {"bias and activation", "%1 = input name \"x\" : FLOAT[T, N]\n%2 = input name \"w\" : FLOAT[N, 33]\n"
              "%3 = contract %1, %2 spec \"tn,nv->tv\" TO: f32[T, 33]\n%4 = input name \"b\" : f32[33]\n"
              "%5 = broadcast %4 shape [T, 33] axes [1] : f32[T, 33]\n%6 = add %3, %5 : f32[T, 33]\n"
              "%7 = tanh %6 : f32[T, 33]\n%8 = sum %7 axes [0, 1] : f32[]\n"
              "%9, %10 = grad %8, %1, %4 : FLOAT[T, N], f32[33]\n"
              "output \"y\" = %7\noutput \"dx\" = %9\noutput \"db\" = %10\n", true},
  {"rows", "%1 = input name \"x\" : FLOAT[T, N]\n%2 = softmax %1 axis 1 : FLOAT[T, N]\n"
              "%3 = rmsnorm %1 eps 0.001 : FLOAT[T, N]\n%4 = layernorm %1 eps 0.001 : FLOAT[T, N]\n"
              "%5 = add %2, %3 : FLOAT[T, N]\n%6 = add %5, %4 : FLOAT[T, N]\n%7 = cast %6 to f32 : f32[T, N]\n"
              "%8 = input name \"s\" : f32[T, N]\n%9 = mul %7, %8 : f32[T, N]\n%10 = sum %9 axes [0, 1] : f32[]\n"
              "%11 = grad %10, %1 : FLOAT[T, N]\n"
              "output \"y\" = %2\noutput \"z\" = %3\noutput \"u\" = %4\noutput \"dx\" = %11\n", true},
  {"cross entropy", "%1 = input name \"x\" : f32[T, N]\n%2 = input name \"id\" : i32[T]\n"
              "%3 = cross_entropy %1, %2 : f32[T]\n%4 = sum %3 axes [0] : f32[]\n%5 = grad %4, %1 : f32[T, N]\n"
              "output \"y\" = %3\noutput \"dx\" = %5\n", false},
  {"sums", "%1 = input name \"x\" : FLOAT[3, T, N]\n%2 = sum %1 axes [0] : FLOAT[T, N]\n"
              "%3 = sum %1 axes [1] : FLOAT[3, N]\n%4 = sum %1 axes [2] : FLOAT[3, T]\n"
              "%5 = sum %1 axes [0, 1] : FLOAT[N]\n%6 = amax %1 axes [1, 2] : FLOAT[3]\n"
              "output \"a\" = %2\noutput \"b\" = %3\noutput \"c\" = %4\noutput \"d\" = %5\noutput \"e\" = %6\n", true},
  {"attention", "%1 = input name \"x\" : f32[2, T, 4, 13]\n%2 = input name \"k\" : f32[2, N, 2, 13]\n"
              "%3 = input name \"v\" : f32[2, N, 2, 13]\n"
              "%4, %5 = attention %1, %2, %3 scale 0.3 mask @mask : f32[2, T, 4, 13], f32[2, 4, T]\n"
              "%6 = input name \"s\" : f32[2, T, 4, 13]\n%7 = mul %4, %6 : f32[2, T, 4, 13]\n"
              "%8 = sum %7 axes [0, 1, 2, 3] : f32[]\n"
              "%9, %10, %11 = grad %8, %1, %2, %3 : f32[2, T, 4, 13], f32[2, N, 2, 13], f32[2, N, 2, 13]\n"
              "output \"y\" = %4\noutput \"dq\" = %9\noutput \"dk\" = %10\noutput \"dv\" = %11\n", false},
  {"prefix sums", "%1 = input name \"x\" : f32[T, N]\n%2 = cumsum %1 axis 0 : f32[T, N]\n"
              "%3 = cumsum %1 axis 1 exclusive 1 : f32[T, N]\n%4 = add %2, %3 : f32[T, N]\n"
              "%5 = sum %4 axes [0, 1] : f32[]\n%6 = grad %5, %1 : f32[T, N]\n"
              "output \"y\" = %2\noutput \"z\" = %3\noutput \"dx\" = %6\n", false},
  {"rows by number", "%1 = input name \"x\" : f32[5, N]\n%2 = input name \"id\" : i32[T]\n"
              "%3 = gather %1, %2 : f32[T, N]\n%4 = input name \"s\" : f32[T, N]\n%5 = mul %3, %4 : f32[T, N]\n"
              "%6 = sum %5 axes [0, 1] : f32[]\n%7 = grad %6, %1 : f32[5, N]\n"
              "output \"y\" = %3\noutput \"dx\" = %7\n", false},
  {"order", "%1 = input name \"x\" : f32[3, N]\n%2, %3 = sort %1 axis 1 count N : f32[3, N], i32[3, N]\n"
              "%4 = argmax %1 axis 1 : i32[3]\n%5 = input name \"s\" : f32[3, N]\n%6 = mul %2, %5 : f32[3, N]\n"
              "%7 = sum %6 axes [0, 1] : f32[]\n%8 = grad %7, %1 : f32[3, N]\n"
              "output \"y\" = %2\noutput \"p\" = %3\noutput \"m\" = %4\noutput \"dx\" = %8\n", false},
  {"places", "%1 = input name \"x\" : FLOAT[T, N]\n%2 = transpose %1 perm [1, 0] : FLOAT[N, T]\n"
              "%3 = flip %1 axis 1 : FLOAT[T, N]\n%4 = concat %1, %3 axis 0 : FLOAT[2*T, N]\n"
              "%5 = pad %1 before [1, 2] after [0, 1] value 0.5 : FLOAT[T + 1, N + 3]\n"
              "output \"a\" = %2\noutput \"b\" = %4\noutput \"c\" = %5\n", true},
  {"whole numbers", "%1 = input name \"x\" : i8[T, N]\n%2 = input name \"w\" : i8[N, 21]\n"
              "%3 = contract %1, %2 spec \"tn,nv->tv\" : i32[T, 21]\n%4 = cumsum %1 axis 1 : i8[T, N]\n"
              "output \"y\" = %3\noutput \"z\" = %4\n", false},
  {"whole numbers of whole tiles", "%1 = input name \"x\" : i8[T, N]\n%2 = input name \"w\" : i8[N, 64]\n"
              "%3 = contract %1, %2 spec \"tn,nv->tv\" : i32[T, 64]\noutput \"y\" = %3\n", false},
};
/* clang-format on */
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct entry {
  const shape *s;
  const char *elem;
  const int64_t *dims;
  const char *fuse;
} entry;

/* The body with FLOAT replaced, and TO by what makes sums of narrow products f32. */
static const char *text_of(sn_arena *arena, const entry *e) {
  sn_text t = sn_text_begin(arena);
  bool narrow = strcmp(e->elem, "f32") != 0;
  sn_text_add(&t,
              "sinter 1\ndims { T: 1..200, N: 1..200 }\nbody @mask {\n%%1 = arg index 0 : i32[]\n"
              "%%2 = arg index 1 : i32[]\n%%3 = arg index 2 : i32[]\n%%4 = arg index 3 : i32[]\n"
              "%%5 = le %%4, %%3 : bool[]\nreturn %%5\n}\ngraph @g {\n");
  for (const char *at = e->s->body; *at;) {
    if (!strncmp(at, "FLOAT", 5))
      sn_text_add(&t, "%s", e->elem), at += 5;
    else if (!strncmp(at, "TO:", 3))
      sn_text_add(&t, "%s:", narrow ? "to f32 " : ""), at += 3;
    else
      sn_text_char(&t, *at++);
  }
  sn_text_add(&t, "}\n");
  return t.at;
}

static sn_code one_kernel(const sn_conform_trial *t, void *user) {
  const entry *e = user;
  sn_oracle o;
  sn_case c = {.file = "kernel.sn", .text = text_of(t->arena, e), .graph = "g", .dim_count = 2, .dims = e->dims};
  SN_TRY(sn_case_draw(&c, 3, 1, 1, t->arena, t->diags));
  if (!t->opt->made) SN_TRY(sn_case_oracle(&c, t->arena, t->diags, &o));
  const char *what =
      sn_arena_printf(t->arena, "%s of %s, T %d, N %d", e->s->name, e->elem, (int)e->dims[0], (int)e->dims[1]);
  (void)sn_conform_case(t, &c, &o, e->fuse, what, true);
  return SN_OK;
}

/* Every shape of f32 with its first extents fused, then unfused; then the same of narrow types; then other extents. */
static int list(sn_arena *arena, entry **out) {
  static const char *const elems[] = {"f32", "bf16", "f16"}, *const fuse[] = {"all", "none"};
  entry *all = *out = SN_ARRAY(arena, EXTENTS * SHAPES * 2 * 3, entry);
  int n = 0;
  for (int x = 0; x < (int)EXTENTS; x++)
    for (int e = 0; e < 3; e++)
      for (int f = 0; f < 2; f++)
        for (int s = 0; s < (int)SHAPES; s++)
          if (!e || shapes[s].narrow) all[n++] = (entry){&shapes[s], elems[e], extents[x], fuse[f]};
  return n;
}

void sn_conform_kernels(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out) {
  entry *all;
  *out = (sn_conform){.there = list(arena, &all), .missing = ""};
  for (int64_t i = (int64_t)opt->seed; i < (int64_t)opt->seed + opt->count && i < out->there; i++)
    sn_conform_try(opt, arena, out, one_kernel, &all[i]);
}
