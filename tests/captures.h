/* Scores of attention with captured tensors, and graphs of their gradients, as text: for rules, kernels, code. */
#ifndef SN_TESTS_CAPTURES_H
#define SN_TESTS_CAPTURES_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* `real` stands for the element type of captured floats, `data` for that of queries, keys and values. */
typedef struct captures_variant {
  const char *name;
  const char *inputs; /* captured tensors %c, %d, ..: inputs of the graph */
  const char *list;   /* as operands: ", %c" */
  const char *wrt;    /* those with a gradient: ", %c" */
  const char *types;  /* of the gradients: ", real[4]" */
  const char *outputs;
  const char *args;  /* of the region: arg index 5 .. */
  const char *score; /* from %x (the score), %b, %h, %q, %k; returns %y */
  const char *sums;  /* how gradients are added up, as attention_grad says */
} captures_variant;

#define CAPTURES_ONE(type)                                                                      \
  "  %c = input name \"c\" : " type "\n", ", %c", ", %c", ", " type, "  output \"dc\" = %g0\n", \
      "  %c = arg index 5 : " type "\n"
#define CAPTURES_ADD(index) "  %r = index %c, " index " : real[]\n  %y = add %x, %r : real[]\n"
#define CAPTURES_NUMBER(name, n) "  %" name " = const value " n " : i32[]\n"

/* %yN = %from + %x times element (head, N, k) */
#define CAPTURES_READ(n, head, from)                                             \
  "  %n" n " = const value " n " : i32[]\n  %r" n " = index %c, %" head ", %n" n \
  ", %k : real[]\n"                                                              \
  "  %s" n " = mul %r" n ", %x : real[]\n  %y" n " = add %" from ", %s" n " : real[]\n"

#define CAPTURES_ROWS(type, rows)                                                               \
  "  %c = input name \"c\" : " type "\n", ", %c", ", %c", ", " type, "  output \"dc\" = %g0\n", \
      "  %c = arg index 5 : real[B, T, 4, " rows "]\n"
#define CAPTURES_ADD_ROW "  %r = index %c, %b, %q, %h, %i : real[]\n  %y = add %x, %r : real[]\n"

static const captures_variant captures_variants[] = {
    {"temperature", CAPTURES_ONE("real[]"), "  %y = mul %x, %c : real[]\n", "[0]"},
    {"slopes", CAPTURES_ONE("real[4]"),
     "  %s = index %c, %h : real[]\n  %n = sub %k, %q : i32[]\n  %f = cast %n to real : real[]\n"
     "  %p = mul %s, %f : real[]\n  %t = tanh %x : real[]\n  %y = add %t, %p : real[]\n",
     "[0]"},
    {"queries", CAPTURES_ONE("real[B, T]"), CAPTURES_ADD("%b, %q"), "[0]"},
    {"queries_wide", CAPTURES_ONE("real[T + 3, 4]"), CAPTURES_ADD("%q, %h"), "[0]"},
    {"keys", CAPTURES_ONE("real[T + 3]"), "  %r = index %c, %k : real[]\n  %y = mul %x, %r : real[]\n", "[1]"},
    {"keys_of_heads", CAPTURES_ONE("real[T + 3, 2, B]"),
     CAPTURES_NUMBER("n2", "2") "  %g = div %h, %n2 : i32[]\n" CAPTURES_ADD("%k, %g, %b"), "[1]"},
    {"buckets", CAPTURES_ONE("real[4, 5]"),
     CAPTURES_NUMBER("n0", "0") CAPTURES_NUMBER("n4", "4") "  %n = sub %q, %k : i32[]\n  %m = max %n, %n0 : i32[]\n"
                                                           "  %i = min %m, %n4 : i32[]\n" CAPTURES_ADD("%h, %i"),
     "[2]"},
    {"relative", CAPTURES_ONE("real[2 * T + 4]"),
     "  %t2 = dim dim T + 2 : i32[]\n  %n = add %q, %t2 : i32[]\n  %i = sub %n, %k : i32[]\n" CAPTURES_ADD("%i"),
     "[2]"},
    {"dense", CAPTURES_ONE("real[4, T, T + 3]"), CAPTURES_ADD("%h, %q, %k"), "[7]"},
    {"dense_wide", CAPTURES_ONE("real[4, T + 3, T + 3]"), CAPTURES_ADD("%h, %q, %k"), "[7]"},
    {"dense_turned", CAPTURES_ONE("real[T + 3, T]"), CAPTURES_ADD("%k, %q"), "[5]"},
    {"dense_of_batch", CAPTURES_ONE("real[T, B, T + 3]"), CAPTURES_ADD("%q, %b, %k"), "[6]"},
    {"grid", CAPTURES_ONE("real[3, 4, 2]"),
     CAPTURES_NUMBER("n2", "2") CAPTURES_NUMBER(
         "n3", "3") "  %i = mod %q, %n3 : i32[]\n  %j = mod %k, %n2 : i32[]\n" CAPTURES_ADD("%i, %h, %j"),
     "[3]"},
    /* all pairs of residues: a block reads few of them, or many */
    {"grid_of_many", CAPTURES_ONE("real[4, 40, 40]"),
     CAPTURES_NUMBER("n40", "40")
         CAPTURES_NUMBER("n7", "7") "  %i = mod %q, %n40 : i32[]\n  %k7 = mul %k, %n7 : i32[]\n  %j = mod %k7, %n40 : "
                                    "i32[]\n" CAPTURES_ADD("%h, %i, %j"),
     "[3]"},
    {"kinds", "  %d = input name \"d\" : i32[B, T + 3]\n  %c = input name \"c\" : real[4, 4]\n", ", %c, %d", ", %c",
     ", real[4, 4]", "  output \"dc\" = %g0\n", "  %c = arg index 5 : real[4, 4]\n  %d = arg index 6 : i32[B, T + 3]\n",
     "  %i = index %d, %b, %q : i32[]\n  %j = index %d, %b, %k : i32[]\n" CAPTURES_ADD("%i, %j"), "[3]"},
    {"kinds_of_keys", "  %d = input name \"d\" : i32[B, T + 3]\n  %c = input name \"c\" : real[4]\n", ", %c, %d",
     ", %c", ", real[4]", "  output \"dc\" = %g0\n",
     "  %c = arg index 5 : real[4]\n  %d = arg index 6 : i32[B, T + 3]\n",
     "  %i = index %d, %b, %k : i32[]\n" CAPTURES_ADD("%i"), "[1]"},
    {"several",
     "  %c = input name \"c\" : real[]\n  %d = input name \"d\" : real[4, 9]\n  %e = input name \"e\" : real[T + 3]\n",
     ", %c, %d, %e", ", %c, %d, %e", ", real[], real[4, 9], real[T + 3]",
     "  output \"dc\" = %g0\n  output \"dd\" = %g1\n  output \"de\" = %g2\n",
     "  %c = arg index 5 : real[]\n  %d = arg index 6 : real[4, 9]\n  %e = arg index 7 : real[T + 3]\n",
     CAPTURES_NUMBER("n0", "0") CAPTURES_NUMBER("n4", "4") CAPTURES_NUMBER(
         "n8", "8") "  %n = sub %q, %k : i32[]\n  %o = add %n, %n4 : i32[]\n  %j = max %o, %n0 : i32[]\n  %m = min %j, "
                    "%n8 : i32[]\n  %z = index %d, %h, %n0 : real[]\n"
                    "  %w = index %d, %h, %m : real[]\n  %u = index %e, %q : real[]\n  %s = mul %c, %x : real[]\n"
                    "  %a1 = add %s, %w : real[]\n  %a2 = mul %a1, %u : real[]\n  %y = add %a2, %z : real[]\n",
     "[0, 0, 2, 0]"},
    {"many", CAPTURES_ONE("real[4, 11, T + 3]"),
     CAPTURES_READ("0", "h", "x") CAPTURES_READ("1", "h", "y0") CAPTURES_READ("2", "h", "y1")
         CAPTURES_READ("3", "h", "y2") CAPTURES_READ("4", "h", "y3") CAPTURES_READ("5", "h", "y4")
             CAPTURES_READ("6", "h", "y5") CAPTURES_READ("7", "h", "y6") CAPTURES_READ("8", "h", "y7")
                 CAPTURES_READ("9", "h", "y8") CAPTURES_READ("10", "h", "y9") "  %y = tanh %y10 : real[]\n",
     "[1, 1, 1, 1, 1, 1, 1, 1]"},
    {"tables", CAPTURES_ONE("real[B, T, 4, 5]"),
     CAPTURES_NUMBER("n5", "5") "  %n = add %q, %k : i32[]\n  %m = add %n, %k : i32[]\n  %i = mod %m, %n5 : "
                                "i32[]\n" CAPTURES_ADD("%b, %q, %h, %i"),
     "[4]"},
    {"tables_of_many", CAPTURES_ONE("real[70, T]"),
     CAPTURES_NUMBER("n70", "70")
         CAPTURES_NUMBER("n9", "9") "  %n = mul %k, %n9 : i32[]\n  %i = mod %n, %n70 : i32[]\n" CAPTURES_ADD("%i, %q"),
     "[4]"},
    {"distances", CAPTURES_ROWS("real[T + 3, 8]", "T + 3"),
     "  %n = sub %q, %k : i32[]\n  %i = abs %n : i32[]\n" CAPTURES_ADD_ROW, "[9, 10]"},
    {"clipped_rows", CAPTURES_ROWS("real[4, 7, 8]", "7"),
     CAPTURES_NUMBER("n3", "3") CAPTURES_NUMBER("n0", "0")
         CAPTURES_NUMBER("n6", "6") "  %n = sub %q, %k : i32[]\n  %o = add %n, %n3 : i32[]\n"
                                    "  %p = max %o, %n0 : i32[]\n  %i = min %p, %n6 : i32[]\n" CAPTURES_ADD_ROW,
     "[9, 10]"},
    {"rows_of_heads", CAPTURES_ROWS("real[2 * T + 5, 8]", "2 * T + 5"),
     "  %t2 = dim dim T + 2 : i32[]\n  %n = sub %q, %k : i32[]\n  %o = add %n, %t2 : i32[]\n"
     "  %i = add %o, %h : i32[]\n" CAPTURES_ADD_ROW,
     "[9, 10]"},
    {"rows", "  %c = input name \"c\" : real[4, 2 * T + 3, 8]\n", ", %c", ", %c", ", real[4, 2 * T + 3, 8]",
     "  output \"dc\" = %g0\n", "  %c = arg index 5 : real[B, T, 4, 2 * T + 3]\n",
     "  %t2 = dim dim T + 2 : i32[]\n  %n = sub %q, %k : i32[]\n  %i = add %n, %t2 : i32[]\n"
     "  %r = index %c, %b, %q, %h, %i : real[]\n  %t = tanh %r : real[]\n  %u = mul %x, %t : real[]\n"
     "  %y = add %u, %r : real[]\n",
     "[9, 10]"},
    {"shared_rows", "  %c = input name \"c\" : real[2 * T + 2, 8]\n  %d = input name \"d\" : real[4]\n", ", %d, %c",
     ", %c, %d", ", real[2 * T + 2, 8], real[4]", "  output \"dc\" = %g0\n  output \"dd\" = %g1\n",
     "  %d = arg index 5 : real[4]\n  %c = arg index 6 : real[B, T, 4, 2 * T + 2]\n",
     "  %t2 = dim dim T + 2 : i32[]\n  %m = add %t2, %q : i32[]\n  %i = sub %m, %k : i32[]\n"
     "  %r = index %c, %b, %q, %h, %i : real[]\n  %s = index %d, %h : real[]\n  %p = mul %s, %r : real[]\n"
     "  %y = add %x, %p : real[]\n",
     "[11, 12, 0]"},
    {"all",
     "  %c = input name \"c\" : real[4]\n  %d = input name \"d\" : real[B, T + 3]\n  %e = input name \"e\" : real[2 * "
     "T + 2]\n"
     "  %f = input name \"f\" : real[3, 2]\n  %i = input name \"i\" : real[T, T + 3]\n",
     ", %c, %d, %e, %f, %i", ", %c, %d, %e, %f, %i",
     ", real[4], real[B, T + 3], real[2 * T + 2], real[3, 2], real[T, T + 3]",
     "  output \"dc\" = %g0\n  output \"dd\" = %g1\n  output \"de\" = %g2\n  output \"df\" = %g3\n  output \"di\" = "
     "%g4\n",
     "  %c = arg index 5 : real[4]\n  %d = arg index 6 : real[B, T + 3]\n  %e = arg index 7 : real[2 * T + 2]\n"
     "  %f = arg index 8 : real[3, 2]\n  %i = arg index 9 : real[T, T + 3]\n",
     CAPTURES_NUMBER("n2", "2") CAPTURES_NUMBER(
         "n3",
         "3") "  %t2 = dim dim T + 2 : i32[]\n  %n = sub %q, %k : i32[]\n  %m = add %n, %t2 : i32[]\n  %j3 = mod %q, "
              "%n3 : i32[]\n"
              "  %j2 = mod %k, %n2 : i32[]\n  %u = index %c, %h : real[]\n  %v = index %d, %b, %k : real[]\n"
              "  %w = index %e, %m : real[]\n  %z = index %f, %j3, %j2 : real[]\n  %p = index %i, %q, %k : real[]\n"
              "  %a1 = mul %u, %x : real[]\n  %a2 = add %a1, %v : real[]\n  %a3 = add %a2, %w : real[]\n"
              "  %a4 = mul %a3, %z : real[]\n  %y = add %a4, %p : real[]\n",
     "[0, 1, 2, 3, 5]"},
};
/* Queries at a start, which the region knows, times rows that batch, head and distance choose. */
static const captures_variant captures_started = {
    "rows_at_a_start", "  %c = input name \"c\" : real[9, 8]\n", ", %c, %start", ", %c", ", real[9, 8]",
    "  output \"dc\" = %g0\n", "  %c = arg index 5 : real[B, T, 4, 9]\n  %d = arg index 6 : i32[B]\n",
    CAPTURES_NUMBER("n5", "5") CAPTURES_NUMBER("n0", "0") "  %s = index %d, %b : i32[]\n  %w = sub %q, %s : i32[]\n"
    "  %n = sub %q, %k : i32[]\n  %m = min %n, %n5 : i32[]\n  %p = max %m, %n0 : i32[]\n  %i = add %p, %h : i32[]\n"
    "  %r = index %c, %b, %w, %h, %i : real[]\n  %y = add %x, %r : real[]\n",
    "[9, 10]"};
enum { CAPTURES_COUNT = sizeof captures_variants / sizeof *captures_variants };

static const char *const captures_masks[] = {
    "", "  %m = le %k, %q : bool[]\n",
    /* rows without a key; a block that is all masked */
    "  %n = sub %k, %q : i32[]\n  %n2 = const value 2 : i32[]\n  %m = lt %n2, %n : bool[]\n",
    ("  %n = sub %q, %k : i32[]\n  %n5 = const value 5 : i32[]\n  %c1 = le %k, %q : bool[]\n"
     "  %c2 = lt %n, %n5 : bool[]\n  %m = and %c1, %c2 : bool[]\n")};

/* Captured tensors that regions see as products of the queries with their rows. */
static inline const char *captures_products(const captures_variant *v) {
  if (!strcmp(v->name, "shared_rows")) return " products [1]";
  return v->sums[1] == '9' ? " products [0]" : "";
}

static inline void captures_put(char *text, const char *from, const char *to) {
  size_t n = strlen(from), m = strlen(to);
  for (char *p = text; (p = strstr(p, from)); p += m) {
    memmove(p + m, p + n, strlen(p + n) + 1);
    memcpy(p, to, m);
  }
}

/* The graph @g: y, loss and gradients. weights: scores are the weights of values. mask: one of the above. lse: the loss
 * has the lse in it. start: the queries stand there. */
static inline const char *captures_text(char *text, size_t room, const captures_variant *v, const char *mask,
                                        const char *real, const char *data, bool lse, bool start, bool weights) {
  static const char *const site =
      "  %b = arg index F : i32[]\n  %h = arg index G : i32[]\n"
      "  %q = arg index H : i32[]\n  %k = arg index I : i32[]\n";
  char score[512], seen[512];
  snprintf(score, sizeof score, "%s", site), snprintf(seen, sizeof seen, "%s", site);
  for (int i = 0; i < 4; i++) {
    const char from[2] = {(char)('F' + i)}, to[2] = {(char)('1' + i)}, to_mask[2] = {(char)('0' + i)};
    char in[16], out[16];
    snprintf(in, sizeof in, "index %s", from);
    snprintf(out, sizeof out, "index %s", to), captures_put(score, in, out);
    snprintf(out, sizeof out, "index %s", to_mask), captures_put(seen, in, out);
  }
  snprintf(text, room,
           "dims { B: 1..4, T: 1..64 }\nbody @score {\n  %%x = arg index 0 : real[]\n%s%s%s  return %%y\n}\n"
           "%s%s%s%s"
           "graph @g {\n  %%q = input name \"q\" : data[B, T, 4, 8]\n  %%k = input name \"k\" : data[B, T + 3, 2, 8]\n"
           "  %%v = input name \"v\" : data[B, T + 3, 2, 4]\n  %%w = input name \"w\" : real[B, T, 4, 4]\n"
           "  %%o = input name \"o\" : real[B, 4, T]\n%s%s"
           "  %%y, %%l = attention %%q, %%k, %%v%s%s scale 0.4%s score @score%s%s%s : data[B, T, 4, 4], real[B, 4, T]\n"
           "  %%yr = cast %%y to real : real[B, T, 4, 4]\n"
           "  %%p = mul %%yr, %%w : real[B, T, 4, 4]\n  %%s = sum %%p axes [0, 1, 2, 3] : real[]\n"
           "%s  %%dq, %%dk, %%dv%s = grad %%%s, %%q, %%k, %%v%s : data[B, T, 4, 8], data[B, T + 3, 2, 8], "
           "data[B, T + 3, 2, 4]%s\n"
           "  output \"loss\" = %%%s\n  output \"dq\" = %%dq\n  output \"dk\" = %%dk\n  output \"dv\" = %%dv\n%s}\n",
           score, v->args, v->score, *mask ? "body @mask {\n" : "", *mask ? seen : "", mask,
           *mask ? "  return %m\n}\n" : "", v->inputs, start ? "  %start = input name \"start\" : i32[B]\n" : "",
           v->list, start ? ", %start" : "", start ? " start 1" : "", *mask ? " mask @mask" : "",
           weights ? " weights 1" : "", captures_products(v),
           lse ? "  %lo = mul %l, %o : real[B, 4, T]\n  %ls = sum %lo axes [0, 1, 2] : real[]\n"
                 "  %s2 = add %s, %ls : real[]\n"
               : "",
           strstr(v->outputs, "%g4")   ? ", %g0, %g1, %g2, %g3, %g4"
           : strstr(v->outputs, "%g2") ? ", %g0, %g1, %g2"
           : strstr(v->outputs, "%g1") ? ", %g0, %g1"
                                       : ", %g0",
           lse ? "s2" : "s", v->wrt, v->types, lse ? "s2" : "s", v->outputs);
  captures_put(text, "real", real);
  captures_put(text, "data", data);
  if (!strcmp(real, data)) captures_put(text, "  %yr = cast", "  %yr = cast");
  return text;
}

#endif
