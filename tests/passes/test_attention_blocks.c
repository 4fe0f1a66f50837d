/* Maps of live blocks: of random masks against every pair of a query and a key; kernels that walk them against the
 * interpreter, with the bytes that they read; one map for all layers with one mask. */
#include "passes/graph/block_map.h"
#include "tests/captures.h"
#include "tests/passes/lowered.h"

#include "tests/ops/support.h"

/* ---- random masks ----------------------------------------------------------------------------------------------- */

enum { B = 2, H = 3, T = 11, S = 14, TABLE = 4, CAPTURES = 6, BLOCK_Q = 4, BLOCK_K = 3 };

/* A region under construction. */
typedef struct mask {
  world *w;
  sn_build b;
  sn_rng rng;
  sn_val arg[4 + CAPTURES]; /* batch, head, q, k, then captures */
  bool wild;                /* numbers so large that what is made of them wraps */
} mask;

static int below(mask *m, int n) { return (int)sn_rng_below(&m->rng, (uint64_t)n); }

static sn_val number(mask *m, double x) { return sn_g_const(&m->b, sn_type_scalar(m->w->m->types, SN_ELEM_I32), x); }

static sn_val any_number(mask *m, int n) {
  return number(m, m->wild && below(m, 2) ? (below(m, 2) ? 715827883. : -1431655766.) - n : n);
}

static sn_val within(mask *m, sn_val i, int n) {
  return sn_g2(&m->b, SN_OP_MIN, sn_g2(&m->b, SN_OP_MAX, i, number(m, 0)), number(m, n - 1));
}

static sn_val element(mask *m, int capture, int count, const sn_val *at) {
  sn_val arg[3] = {m->arg[4 + capture]};
  for (int i = 0; i < count; i++) arg[1 + i] = at[i];
  return sn_emit(&m->b, SN_OP_INDEX, count + 1, arg, NULL, NULL);
}

static sn_val integer(mask *m, int depth);

/* one of doc [B, S], length [B], rank [S], table [4, 4], dense [S, S]; positions of queries are less than S */
static sn_val captured(mask *m, int depth) {
  sn_val batch = m->arg[0], q = m->arg[2], k = m->arg[3], at[2];
  int side = below(m, 2);
  switch (below(m, 6)) {
    case 0: return element(m, 0, 2, (sn_val[]){batch, side ? q : k});
    case 1: return element(m, 1, 1, &batch);
    case 2: return element(m, 2, 1, (sn_val[]){side ? q : k});
    case 3:
      for (int i = 0; i < 2; i++) at[i] = within(m, integer(m, depth - 1), TABLE);
      return element(m, 3, 2, at);
    case 4: /* by a row of one side and by a block of the other */
      at[side] = side ? k : q;
      at[!side] = sn_g2(&m->b, SN_OP_DIV, side ? q : k, number(m, 2 + below(m, 3)));
      return element(m, 4, 2, at);
    default: return element(m, 4, 2, (sn_val[]){q, k});
  }
}

static sn_val truth(mask *m, int depth);

static sn_val integer(mask *m, int depth) {
  static const sn_op ops[] = {SN_OP_ADD, SN_OP_SUB, SN_OP_SUB, SN_OP_MIN, SN_OP_MAX};
  sn_build *b = &m->b;
  int which = depth <= 0 ? below(m, 5) : below(m, 12);
  if (which < 4) return m->arg[which < 2 ? 2 + which : below(m, 4)];
  if (which == 4) return any_number(m, below(m, 12) - 3);
  if (which < 7) return sn_g2(b, ops[below(m, 5)], integer(m, depth - 1), integer(m, depth - 1));
  sn_val x = integer(m, depth - 1);
  if (which == 7) return sn_g2(b, below(m, 2) ? SN_OP_DIV : SN_OP_MOD, x, number(m, 1 + below(m, 5)));
  if (which == 8) return sn_g1(b, below(m, 2) ? SN_OP_NEG : SN_OP_ABS, x);
  if (which == 9) return sn_g2(b, SN_OP_MUL, x, below(m, 3) ? any_number(m, below(m, 7) - 3) : m->arg[2 + below(m, 2)]);
  if (which == 10) return sn_g3(b, SN_OP_SELECT, truth(m, depth - 1), x, integer(m, depth - 1));
  return captured(m, depth);
}

static sn_val truth(mask *m, int depth) {
  static const sn_op compare[] = {SN_OP_LT, SN_OP_LE, SN_OP_EQ, SN_OP_NE},
                     join[] = {SN_OP_AND, SN_OP_OR, SN_OP_XOR, SN_OP_EQ, SN_OP_NE};
  sn_build *b = &m->b;
  int which = depth <= 0 ? 0 : below(m, 8);
  if (which < 4) {
    sn_val x = integer(m, depth), y = integer(m, depth);
    bool floats = below(m, 4) == 0;
    if (floats) x = sn_g_cast(b, x, SN_ELEM_F32), y = sn_g_cast(b, y, SN_ELEM_F32);
    if (floats) x = sn_g2(b, SN_OP_MUL, x, sn_g_const_like(b, x, 0.5));
    return sn_g2(b, compare[below(m, 4)], x, y);
  }
  if (which < 6) return sn_g2(b, join[below(m, 5)], truth(m, depth - 1), truth(m, depth - 1));
  if (which == 6) return sn_g1(b, SN_OP_NOT, truth(m, depth - 1));
  return element(m, 5, 2, (sn_val[]){m->arg[2], m->arg[3]}); /* a dense mask */
}

static const sn_type *type_of_arg(world *w, int i) {
  if (i < 4) return typed(w, SN_ELEM_I32, 0);
  switch (i - 4) {
    case 0: return typed(w, SN_ELEM_I32, 2, B, S);
    case 1: return typed(w, SN_ELEM_I32, 1, B);
    case 2: return typed(w, SN_ELEM_I32, 1, S);
    case 3: return typed(w, SN_ELEM_I32, 2, TABLE, TABLE);
    case 4: return typed(w, SN_ELEM_I32, 2, S, S);
    default: return typed(w, SN_ELEM_BOOL, 2, S, S);
  }
}

static const sn_func *random_mask(world *w, uint64_t seed, bool wild) {
  sn_func *f = sn_func_create(w->m, "mask", SN_FUNC_BODY);
  mask m = {.w = w, .b = sn_build_begin(f, w->diags), .rng = {.seed = seed}, .wild = wild};
  for (int i = 0; i < 4 + CAPTURES; i++) {
    const sn_attr at = {.set = true, .i = i};
    m.arg[i] = sn_emit(&m.b, SN_OP_ARG, 0, NULL, &at, type_of_arg(w, i));
  }
  sn_func_return(f, truth(&m, 3));
  if (m.b.failed) fail_msg("%s", world_errors(w));
  return f;
}

/* Documents in order; everything else at random, of small numbers. */
static void fill(sn_tensor *t, bool sorted, sn_rng *rng) {
  int64_t row = t->rank ? t->extent[t->rank - 1] : 1;
  for (int64_t i = 0; i < t->count; i++) {
    double x = (double)sn_rng_below(rng, t->elem == SN_ELEM_BOOL ? 2 : sorted ? 2 : 9);
    set_value(t, i, sorted && i % row ? t->value[i - 1] + x : x);
  }
}

/* The attention of a mask, with all captures; its node. start: in each row, queries begin elsewhere. */
static const sn_node *attention_of(world *w, const sn_func *f, uint64_t seed, bool start) {
  sn_val arg[3 + CAPTURES + 1];
  sn_rng rng = {.seed = seed, .stream = 5};
  int n = 0;
  arg[n++] = world_arg(w, typed(w, SN_ELEM_F32, 4, B, T, H, 2));
  for (int i = 0; i < 2; i++) arg[n++] = world_arg(w, typed(w, SN_ELEM_F32, 4, B, S, 1, 2));
  for (int i = 0; i < CAPTURES; i++) {
    arg[n++] = world_arg(w, type_of_arg(w, 4 + i));
    fill(w->arg[w->arg_count - 1], i == 0, &rng);
  }
  if (start) {
    arg[n++] = world_arg(w, typed(w, SN_ELEM_I32, 1, B));
    for (int i = 0; i < B; i++) set_value(w->arg[w->arg_count - 1], i, (double)sn_rng_below(&rng, S - T + 1));
  }
  const sn_attr at[SN_ATTR_MAX] = {{.set = true, .f = 1}, {.set = start, .i = start}, {0}, {.set = true, .region = f}};
  sn_val first = sn_emit(&w->b, SN_OP_ATTENTION, n, arg, at, NULL);
  if (!first) fail_msg("%s", world_errors(w));
  return sn_node_of(w->b.func, first);
}

typedef struct counts {
  int blocks, empty, partial, full; /* that the map says */
  int dead, all;                    /* that are so */
} counts;

static void count_block(const sn_tensor *live, const sn_tensor *map, int b, int h, int i, int j, counts *c) {
  int seen = 0, pairs = 0;
  for (int q = i * BLOCK_Q; q < (i + 1) * BLOCK_Q && q < T; q++)
    for (int k = j * BLOCK_K; k < (j + 1) * BLOCK_K && k < S; k++, pairs++)
      seen += live->value[((b * H + h) * T + q) * S + k] != 0;
  int64_t mb = map->extent[0] > 1 ? b : 0, mh = map->extent[1] > 1 ? h : 0;
  int64_t at = ((mb * map->extent[1] + mh) * map->extent[2] + i) * map->extent[3] + j;
  double state = map->value[at];
  if (state == 0 ? seen : state == 2 ? seen < pairs || (j + 1) * BLOCK_K > S : state != 1)
    fail_msg("block %d, %d of row %d, head %d is %g: %d of %d pairs are live", i, j, b, h, state, seen, pairs);
  c->blocks++, c->empty += state == 0, c->partial += state == 1, c->full += state == 2;
  c->dead += seen == 0, c->all += seen == pairs && (j + 1) * BLOCK_K <= S;
}

/* The map of a mask, block by block. */
static void check_map(world *w, const sn_func *f, uint64_t seed, bool start, counts *c) {
  const sn_node *n = attention_of(w, f, seed, start);
  sn_val live, raw = sn_g_const(&w->b, typed(w, SN_ELEM_F32, 4, B, H, T, S), 0);
  assert_true(sn_block_map_fits(w->b.func, n, n->arg));
  const sn_type *q = sn_g_type(&w->b, n->arg[0]), *k = sn_g_type(&w->b, n->arg[1]);
  sn_val map = sn_block_map(&w->b, &(sn_block_map_of){n, q, k, n->arg, BLOCK_Q, BLOCK_K, NULL});
  (void)sn_attention_scores(&w->b, n, n->arg, raw, &live);
  const sn_tensor *m = world_value(w, map, RUN_VALUES), *l = world_value(w, live, RUN_VALUES);
  for (int b = 0; b < B; b++)
    for (int h = 0; h < H; h++)
      for (int i = 0; i * BLOCK_Q < T; i++)
        for (int j = 0; j * BLOCK_K < S; j++) count_block(l, m, b, h, i, j, c);
}

static void check_mask(uint64_t seed, bool wild, counts *c) {
  world w = world_create();
  check_map(&w, random_mask(&w, seed, wild), seed, seed % 4 == 0, c);
  world_destroy(&w);
}

/* No live pair is left out, no dead one let in. Random masks rarely have large dead parts: what is found of them is
 * counted too, so that a map of partial blocks does not pass. */
static void random_masks(void **state) {
  (void)state;
  counts c = {0};
  for (uint64_t seed = 1; seed <= 400; seed++) check_mask(seed, false, &c);
  print_message("%d blocks: %d of %d empty, %d of %d full are found\n", c.blocks, c.empty, c.dead, c.full, c.all);
  assert_true(c.empty * 10 > c.dead * 6 && c.full * 10 > c.all * 6);
}

/* Integers wrap. */
static void random_masks_that_wrap(void **state) {
  (void)state;
  counts c = {0};
  for (uint64_t seed = 1; seed <= 200; seed++) check_mask(seed, true, &c);
  print_message("%d blocks: %d of %d empty, %d of %d full are found\n", c.blocks, c.empty, c.dead, c.full, c.all);
}

/* Blocks of keys that each query chooses: the map leaves out what no query of a block chose, and the other way round.
 */
static void chosen_blocks(void **state) {
  (void)state;
  counts c = {0};
  for (uint64_t seed = 1; seed <= 8; seed++) {
    world w = world_create();
    sn_func *f = sn_func_create(w.m, "mask", SN_FUNC_BODY);
    mask m = {.w = &w, .b = sn_build_begin(f, w.diags)};
    for (int i = 0; i < 4 + CAPTURES; i++) {
      const sn_attr at = {.set = true, .i = i};
      m.arg[i] = sn_emit(&m.b, SN_OP_ARG, 0, NULL, &at, type_of_arg(&w, i));
    }
    int side = seed % 2, size = (side ? BLOCK_Q : BLOCK_K) * (seed % 4 < 2 ? 1 : 2);
    sn_val at[2] = {m.arg[2], m.arg[3]};
    at[!side] = sn_g2(&m.b, SN_OP_DIV, at[!side], number(&m, size));
    sn_func_return(f, element(&m, CAPTURES - 1, 2, at));
    check_map(&w, f, seed, false, &c);
    world_destroy(&w);
  }
  print_message("%d of %d empty, %d of %d full are found\n", c.empty, c.dead, c.full, c.all);
  assert_true(c.dead > 0 && c.all > 0 && c.empty == c.dead && c.full == c.all);
}

/* ---- kernels ---------------------------------------------------------------------------------------------------- */

#define SITE \
  "  %b = arg index 0 : i32[]\n  %h = arg index 1 : i32[]\n  %q = arg index 2 : i32[]\n  %k = arg index 3 : i32[]\n"
#define NUMBER(name, n) "  %" name " = const value " n " : i32[]\n"
#define CAUSAL "  %c = le %k, %q : bool[]\n"

typedef struct kernel_mask {
  const char *name, *region, *capture; /* capture: type and node of operand `c`, NULL: none */
  bool batch, head;                    /* does the map differ between them? */
} kernel_mask;

/* Documents are ids that grow along the row. */
static const char documents[] = "  %u = input name \"u\" : i32[B, S]\n  %x = cumsum %u axis 1 : i32[B, S]\n";

static const kernel_mask masks[] = {
    {"documents",
     SITE CAUSAL "  %d = arg index 4 : i32[B, S]\n  %i = index %d, %b, %q : i32[]\n  %j = index %d, %b, %k : i32[]\n"
                 "  %e = eq %i, %j : bool[]\n  %m = and %c, %e : bool[]\n  return %m\n",
     documents, true, false},
    {"lengths",
     SITE "  %d = arg index 4 : i32[B]\n  %i = index %d, %b : i32[]\n  %m = lt %k, %i : bool[]\n  return %m\n",
     "  %x = input name \"a0\" : i32[B]\n", true, false},
    {"strided",
     SITE CAUSAL NUMBER("n", "8")
         NUMBER("z", "0") "  %d = sub %q, %k : i32[]\n  %e = lt %d, %n : bool[]\n"
                          "  %r = mod %d, %n : i32[]\n  %f = eq %r, %z : bool[]\n"
                          "  %g = or %e, %f : bool[]\n  %m = and %c, %g : bool[]\n  return %m\n",
     NULL, false, false},
    {"local",
     SITE NUMBER("n", "8") "  %i = div %q, %n : i32[]\n  %j = div %k, %n : i32[]\n  %m = eq %i, %j : bool[]\n"
                           "  return %m\n",
     NULL, false, false},
    {"prefix", SITE CAUSAL NUMBER("n", "5") "  %e = lt %k, %n : bool[]\n  %m = or %c, %e : bool[]\n  return %m\n", NULL,
     false, false},
    {"heads",
     SITE NUMBER("n", "3") "  %i = mul %h, %n : i32[]\n  %j = add %k, %i : i32[]\n  %m = le %j, %q : bool[]\n"
                           "  return %m\n",
     NULL, false, true},
    {"picked", /* of each block of queries one block of keys, whose number is captured */
     SITE NUMBER("n", "4") "  %d = arg index 4 : i32[16]\n  %i = div %q, %n : i32[]\n  %j = div %k, %n : i32[]\n"
                           "  %p = index %d, %i : i32[]\n  %m = eq %p, %j : bool[]\n  return %m\n",
     "  %x = input name \"u\" : i32[16]\n", false, false},
    {"table",
     SITE NUMBER("n", "4") "  %d = arg index 4 : bool[16, 16]\n  %i = div %q, %n : i32[]\n  %j = div %k, %n : i32[]\n"
                           "  %m = index %d, %i, %j : bool[]\n  return %m\n",
     "  %x = input name \"u\" : bool[16, 16]\n", false, false},
    {"chosen", /* of each query some blocks of keys, as large as those of the map or larger */
     SITE NUMBER("n", "8") "  %d = arg index 4 : bool[B, T, 4, T]\n  %j = div %k, %n : i32[]\n"
                           "  %m = index %d, %b, %q, %h, %j : bool[]\n  return %m\n",
     "  %x = input name \"u\" : bool[B, T, 4, T]\n", true, true},
    {"choosing", /* .. and of each key some blocks of queries */
     SITE NUMBER("n", "4") "  %d = arg index 4 : bool[64, S]\n  %i = div %q, %n : i32[]\n"
                           "  %m = index %d, %i, %k : bool[]\n  return %m\n",
     "  %x = input name \"u\" : bool[64, S]\n", false, false},
    {"dense", SITE "  %d = arg index 4 : bool[T, S]\n  %m = index %d, %q, %k : bool[]\n  return %m\n",
     "  %x = input name \"u\" : bool[T, S]\n", false, false},
    {"ranks",
     SITE "  %d = arg index 4 : f32[B, S]\n  %i = index %d, %b, %q : f32[]\n  %j = index %d, %b, %k : f32[]\n"
          "  %m = lt %j, %i : bool[]\n  return %m\n",
     "  %x = input name \"u\" : f32[B, S]\n", true, false},
    {"bytes", /* 0 - 1 is 255 */
     SITE NUMBER("n", "2") "  %d = arg index 4 : u8[B, S]\n  %i = index %d, %b, %q : u8[]\n"
                           "  %j = index %d, %b, %k : u8[]\n  %e = sub %i, %j : u8[]\n"
                           "  %f = const value 2 : u8[]\n  %m = lt %e, %f : bool[]\n  return %m\n",
     "  %x = input name \"u\" : u8[B, S]\n", true, false},
    {"hashed", /* products wrap: of one side, of both, of captured numbers */
     SITE NUMBER("n", "1103515245")
         NUMBER("z", "0") "  %d = arg index 4 : i32[B, S]\n  %i = index %d, %b, %q : i32[]\n"
                          "  %j = index %d, %b, %k : i32[]\n  %e = sub %i, %j : i32[]\n"
                          "  %f = mul %e, %n : i32[]\n  %g = mul %f, %n : i32[]\n  %m = lt %g, %z : bool[]\n"
                          "  return %m\n",
     documents, true, false},
    {"hashed rows",
     SITE NUMBER("n", "1103515245") "  %i = mul %q, %n : i32[]\n  %j = mul %k, %n : i32[]\n"
                                    "  %c = le %j, %i : bool[]\n  %e = sub %q, %k : i32[]\n"
                                    "  %f = mul %e, %n : i32[]\n  %g = lt %f, %n : bool[]\n"
                                    "  %m = and %c, %g : bool[]\n  return %m\n",
     NULL, false, false},
    {"hashed query",
     SITE NUMBER("n", "1103515245") "  %i = mul %q, %n : i32[]\n  %m = le %k, %i : bool[]\n  return %m\n", NULL, false,
     false},
    {"never",
     SITE NUMBER("z", "0") "  %c = lt %q, %z : bool[]\n  %d = lt %k, %z : bool[]\n  %m = or %c, %d : bool[]\n"
                           "  return %m\n",
     NULL, false, false},
};

/* keys: of T + 3 when longer; start: positions of queries begin later in each row */
static const char *graph_of(sn_arena *a, const kernel_mask *m, bool longer, bool start) {
  const char *shape = longer ? "T + 3" : "T", *capture = m->capture ? m->capture : "";
  sn_text t = sn_text_begin(a);
  sn_text_add(&t, "dims { B: 1..4, T: 1..64 }\nbody @m {\n%s}\ngraph @g {\n%s", m->region, capture);
  sn_text_add(&t,
              "  %%q = input name \"q\" : f32[B, T, 4, 8]\n  %%k = input name \"k\" : f32[B, S, 2, 8]\n"
              "  %%v = input name \"v\" : f32[B, S, 2, 4]\n  %%w = input name \"w\" : f32[B, T, 4, 4]\n%s"
              "  %%y, %%l = attention %%q, %%k, %%v%s%s scale 0.4%s mask @m : f32[B, T, 4, 4], f32[B, 4, T]\n"
              "  %%p = mul %%y, %%w : f32[B, T, 4, 4]\n  %%s = sum %%p axes [0, 1, 2, 3] : f32[]\n"
              "  %%dq, %%dk, %%dv = grad %%s, %%q, %%k, %%v : f32[B, T, 4, 8], f32[B, S, 2, 8], f32[B, S, 2, 4]\n"
              "  output \"y\" = %%y\n  output \"dq\" = %%dq\n  output \"dk\" = %%dk\n  output \"dv\" = %%dv\n}\n",
              start ? "  %n = input name \"start\" : i32[B]\n" : "", m->capture ? ", %x" : "", start ? ", %n" : "",
              start ? " start 1" : "");
  sn_text out = sn_text_begin(a);
  for (const char *p = t.at; *p; p++) {
    if (*p == 'S' && strchr("[, ", p[-1]) && strchr(",]", p[1]))
      sn_text_add(&out, "%s", shape);
    else
      sn_text_char(&out, *p);
  }
  return out.at;
}

/* The map of the attention in the pipeline's graph, i32 [B or 1, H or 1, ..]; NULL: it has none. */
static const sn_type *map_of(const lowered_result *r) {
  const sn_func *f = sn_module_find(r->module, "g");
  for (int i = 0; f && i < f->node_count; i++) {
    if (f->node[i]->op != SN_OP_FUSED) continue;
    const sn_func *body = sn_node_attr(f->node[i], "body")->region;
    for (int k = 0; k < body->node_count; k++) {
      const sn_node *n = body->node[k];
      if (n->op == SN_OP_ATTENTION && sn_node_attr(n, "blocks")->set)
        return sn_val_type(body, n->arg[sn_attention_layout_of(n).map]);
    }
  }
  return NULL;
}

static void check_kernels(const kernel_mask *m, int64_t length, bool longer, bool start, int scratch) {
  sn_arena *a = sn_arena_create();
  int64_t dims[] = {2, length};
  sn_target target = sn_target_cpu(SN_ISA_AVX2);
  sn_sample_domain at[] = {{.lo = 0, .hi = (double)length}};
  target.bq = target.bkv = 4, target.scratch_bytes = scratch;
  lowered_case c = {
      .text = graph_of(a, m, longer, start), .dims = dims, .target = &target, .int_below = 2, .domain = at};
  lowered_result r = lowered_compile(&c);
  r.env.target = &r.target;
  const sn_type *map = map_of(&r);
  assert_non_null(map);
  bool positions = start && strstr(m->region, "%q"); /* begin elsewhere in each row */
  assert_int_equal(sn_dimx_is_one(map->dim[0]), !m->batch && !positions);
  assert_int_equal(sn_dimx_is_one(map->dim[1]), !m->head);
  lowered_execute(&r, &c);
  lowered_free(&r);
  sn_arena_destroy(a);
}

static void kernels(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
    check_kernels(&masks[i], 13, false, false, 0);
    check_kernels(&masks[i], 16, true, false, 1 << 20);
    bool rows = !strcmp(masks[i].name, "dense") || !strcmp(masks[i].name, "chosen"); /* of the table: T queries */
    if (!rows) check_kernels(&masks[i], 9, true, true, 0);
    check_kernels(&masks[i], 3, false, false, 0);
  }
}

/* Positions from a start on that no bounds hold for: they wrap, or are less than 0. */
static void check_far(const kernel_mask *m, double start, int64_t length) {
  sn_arena *a = sn_arena_create();
  int64_t dims[] = {2, length};
  sn_target target = sn_target_cpu(SN_ISA_AVX2);
  sn_sample_domain at[] = {{.lo = start, .hi = start}};
  target.bq = target.bkv = 4, target.scratch_bytes = 0;
  char *text = sn_arena_strdup(a, graph_of(a, m, true, true));
  captures_put(text, "\"start\"", "\"a0\"");
  lowered_case c = {.text = text, .dims = dims, .target = &target, .domain = at};
  lowered_result r = lowered_compile(&c);
  r.env.target = &r.target;
  lowered_execute(&r, &c);
  lowered_free(&r);
  sn_arena_destroy(a);
}

static void far_starts(void **state) {
  static const double starts[] = {2147483641, 2147483633, 1073741822, -3, -2147483648.};
  (void)state;
  for (int i = 0; i < 5; i++) {
    char region[3][1024];
    for (int n = 0; n < 2; n++)
      snprintf(region[n], sizeof region[n], "%s%s  return %%m\n", SITE, captures_masks[n ? 3 : 1]);
    /* q + 9 < k or k mod 3 <= 1: that has a map */
    snprintf(region[2], sizeof region[2],
             "%s  %%c9 = const value 9 : i32[]\n  %%c3 = const value 3 : i32[]\n  %%c1 = const value 1 : i32[]\n"
             "  %%n = add %%q, %%c9 : i32[]\n  %%a = lt %%n, %%k : bool[]\n  %%r = mod %%k, %%c3 : i32[]\n"
             "  %%e = le %%r, %%c1 : bool[]\n  %%m = or %%a, %%e : bool[]\n  return %%m\n",
             SITE);
    for (int n = 0; n < 3; n++) check_far(&(kernel_mask){.name = "far", .region = region[n]}, starts[i], 11 + n);
  }
}

/* Loop bounds are those of numbers that do not wrap either. */
static void bounds_of_hashes(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
    if (strncmp(masks[i].name, "hashed", 6) != 0) continue;
    sn_arena *a = sn_arena_create();
    int64_t dims[] = {2, 13};
    sn_target target = sn_target_cpu(SN_ISA_AVX2);
    target.bq = target.bkv = 4, target.scratch_bytes = 0;
    lowered_case c = {.text = graph_of(a, &masks[i], false, false), .dims = dims, .target = &target, .int_below = 2};
    c.disabled = "blocks";
    lowered_result r = lowered_compile(&c);
    r.env.target = &r.target;
    assert_null(map_of(&r));
    lowered_execute(&r, &c);
    lowered_free(&r);
    sn_arena_destroy(a);
  }
}

/* Gradients of captured tensors, by every kind of sum, leave out empty blocks too; blocks of a diagonal are parts of
 * those of the map. */
static void sums_for_captures(void **state) {
  (void)state;
  static const char seen[] =
      "  %z5 = const value 5 : i32[]\n  %i1 = div %q, %z5 : i32[]\n  %i2 = div %k, %z5 : i32[]\n"
      "  %m = eq %i1, %i2 : bool[]\n";
  static const int which[] = {CAPTURES_COUNT - 1, CAPTURES_COUNT - 2, CAPTURES_COUNT - 4};
  for (int i = 0; i < 6; i++) {
    char text[8192];
    int64_t dims[] = {2, 14};
    sn_target target = sn_target_cpu(SN_ISA_AVX2);
    target.bq = 4, target.bkv = i % 2 ? 8 : 4, target.scratch_bytes = 0, target.scores_keys_major = i % 2;
    captures_text(text, sizeof text, &captures_variants[which[i / 2]], seen, "f32", "f32", false, false, false);
    lowered_case c = {.text = text, .dims = dims, .target = &target};
    lowered_result r = lowered_compile(&c);
    r.env.target = &r.target;
    assert_non_null(map_of(&r));
    lowered_execute(&r, &c);
    lowered_free(&r);
  }
}

/* Keys of empty blocks are not read, nor what masks full ones: keys beyond the length of a row, of 16 in blocks of 4;
 * two rows, one query block.
 */
static int64_t bytes_of(int64_t length) {
  sn_arena *a = sn_arena_create();
  int64_t dims[] = {2};
  sn_target target = sn_target_cpu(SN_ISA_AVX2);
  sn_sample_domain at[] = {{.lo = (double)length, .hi = (double)length}};
  target.bq = target.bkv = 4;
  lowered_case c = {.dims = dims, .target = &target, .domain = at};
  c.text =
      sn_arena_printf(a,
                      "dims { B: 1..4 }\nbody @m {\n%s}\ngraph @g {\n  %%x = input name \"a0\" : i32[B]\n"
                      "  %%q = input name \"q\" : f32[B, 3, 4, 8]\n  %%k = input name \"k\" : f32[B, 16, 4, 8]\n"
                      "  %%v = input name \"v\" : f32[B, 16, 4, 4]\n"
                      "  %%y, %%l = attention %%q, %%k, %%v, %%x scale 0.4 mask @m : f32[B, 3, 4, 4], f32[B, 4, 3]\n"
                      "  output \"y\" = %%y\n}\n",
                      SITE
                      "  %d = arg index 4 : i32[B]\n  %i = index %d, %b : i32[]\n  %z = const value 0 : i32[]\n"
                      "  %s = lt %k, %i : bool[]\n  %t = eq %i, %z : bool[]\n  %m = or %s, %t : bool[]\n  return %m\n");
  lowered_result r = lowered_compile(&c);
  r.env.target = &r.target;
  lowered_execute(&r, &c);
  int64_t bytes = r.run.bytes_read;
  lowered_free(&r);
  sn_arena_destroy(a);
  return bytes;
}

static void empty_blocks_are_not_read(void **state) {
  (void)state;
  int64_t block = 2 * 4 * 4 * (8 + 4) * 4, all = bytes_of(16);
  int64_t length = 2 * 4; /* read where a block is partial */
  assert_int_equal(bytes_of(0), all);
  assert_int_equal(bytes_of(1), all - 3 * block + length);
  assert_int_equal(bytes_of(4), all - 3 * block);
  assert_int_equal(bytes_of(5), all - 2 * block + length);
  assert_int_equal(bytes_of(12), all - block);
  assert_int_equal(bytes_of(13), all + length);
}

/* ---- which masks have a map, and how many there are -------------------------------------------------------------- */

static int count_maps(const char *region, int layers, const char *disabled) {
  sn_arena *a = sn_arena_create();
  sn_text t = sn_text_begin(a);
  int64_t dims[] = {2, 13};
  sn_target target = sn_target_cpu(SN_ISA_AVX2);
  target.bq = target.bkv = 4, target.scratch_bytes = 0;
  sn_text_add(&t, "dims { B: 1..4, T: 1..64 }\n");
  for (int i = 0; i < layers; i++) sn_text_add(&t, "body @m%d {\n%s}\n", i, region);
  sn_text_add(&t,
              "graph @g {\n  %%x = input name \"u\" : i32[B, T]\n  %%d = cumsum %%x axis 1 : i32[B, T]\n"
              "  %%y0 = input name \"q\" : f32[B, T, 4, 8]\n");
  for (int i = 0; i < layers; i++)
    sn_text_add(&t,
                "  %%y%d, %%l%d = attention %%y%d, %%y%d, %%y%d, %%d scale 0.4 mask @m%d : f32[B, T, 4, 8], "
                "f32[B, 4, T]\n",
                i + 1, i + 1, i, i, i, i);
  sn_text_add(&t,
              "  %%s = sum %%y%d axes [0, 1, 2, 3] : f32[]\n  %%g = grad %%s, %%y0 : f32[B, T, 4, 8]\n"
              "  output \"g\" = %%g\n}\n",
              layers);
  lowered_case c = {.text = t.at, .dims = dims, .target = &target, .int_below = 2, .disabled = disabled};
  lowered_result r = lowered_compile(&c);
  int maps = 0;
  for (int i = 0; i < r.lowered.plan->slot_count; i++) {
    const sn_type *type = r.lowered.plan->slot[i].type;
    maps += r.lowered.plan->slot[i].role == SN_SLOT_TEMP && type->elem == SN_ELEM_I32 && type->rank == 4;
  }
  lowered_free(&r);
  sn_arena_destroy(a);
  return maps;
}

/* Forward and backward of three layers share one. */
static void layers_share_a_map(void **state) {
  (void)state;
  static const char region[] = SITE CAUSAL
      "  %d = arg index 4 : i32[B, T]\n  %i = index %d, %b, %q : i32[]\n"
      "  %j = index %d, %b, %k : i32[]\n  %e = eq %i, %j : bool[]\n  %m = and %c, %e : bool[]\n"
      "  return %m\n";
  assert_int_equal(count_maps(region, 3, NULL), 1);
  assert_int_equal(count_maps(region, 3, "blocks"), 0);
}

/* Ranges of keys that comparisons bound need none. */
static void ranges_have_no_map(void **state) {
  (void)state;
  static const char window[] = SITE CAUSAL NUMBER("n", "5") "  %d = sub %q, %k : i32[]\n  %e = lt %d, %n : bool[]\n"
                                                            "  %m = and %c, %e : bool[]\n  return %m\n";
  assert_int_equal(count_maps(SITE CAUSAL "  return %c\n", 2, NULL), 0);
  assert_int_equal(count_maps(window, 2, NULL), 0);
}

/* Sums and conjunctions of what is shared: the n-th holds the first about 1.6^n times. */
static void shared_values(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_text sums = sn_text_begin(a), ands = sn_text_begin(a);
  sn_text_add(&sums, "%s", SITE "  %s0 = sub %q, %k : i32[]\n  %s1 = sub %k, %q : i32[]\n");
  sn_text_add(&ands, "%s", SITE CAUSAL "  %s0 = lt %k, %q : bool[]\n  %s1 = and %s0, %c : bool[]\n");
  for (int i = 2; i < 80; i++) {
    sn_text_add(&sums, "  %%s%d = %s %%s%d, %%s%d : i32[]\n", i, i % 2 ? "add" : "sub", i - 1, i - 2);
    sn_text_add(&ands, "  %%s%d = and %%s%d, %%s%d : bool[]\n", i, i - 1, i - 2);
  }
  sn_text_add(&sums, "  %%m = le %%s79, %%k : bool[]\n  return %%m\n");
  sn_text_add(&ands, "  return %%s79\n");
  (void)count_maps(sums.at, 1, "blocks");
  (void)count_maps(sums.at, 1, NULL);
  assert_int_equal(count_maps(ands.at, 1, "canon,cse"), 0);
  sn_arena_destroy(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_masks),
      cmocka_unit_test(random_masks_that_wrap),
      cmocka_unit_test(chosen_blocks),
      cmocka_unit_test(kernels),
      cmocka_unit_test(far_starts),
      cmocka_unit_test(sums_for_captures),
      cmocka_unit_test(empty_blocks_are_not_read),
      cmocka_unit_test(layers_share_a_map),
      cmocka_unit_test(ranges_have_no_map),
      cmocka_unit_test(bounds_of_hashes),
      cmocka_unit_test(shared_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
