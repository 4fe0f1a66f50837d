/* Text form of kernels: names are given in order of appearance, so equal kernels print equal bytes. Constants are shown
 * where they are used when the reader can tell their type from the instruction, else they have a line of their own. */
#include "ir/kernel/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct printer {
  sn_text *out;
  const sn_kernel *k;
  sn_knames names;
} printer;

/* ---- which constants are shown inline ---- */

static bool is_const(const sn_kernel *k, sn_kv v) { return sn_k_valid(k, v) && k->ins[v].op == SN_K_CONST; }

bool sn_k_const_inline(const sn_kernel *k, const sn_kins *x, int at) {
  switch (sn_kop_class(x->op)) {
    case SN_KCLASS_UN: return x->op != SN_K_CAST && x->op != SN_K_BITCAST;
    case SN_KCLASS_BIN:
    case SN_KCLASS_TER: return true;
    case SN_KCLASS_CMP: return !is_const(k, x->a[!at]);
    case SN_KCLASS_SHAPE: return x->op == SN_K_TRANS || (x->op == SN_K_RESCALE && at == 0);
    case SN_KCLASS_MMA: return at == 0;
    default: return false;
  }
}

/* ---- names ---- */

typedef struct namer {
  const sn_kernel *k;
  sn_knames names;
  unsigned char *explicit_const; /* per value: has a line of its own */
  int values, loops;
} namer;

static void find_explicit(namer *n, const sn_kblock *b, bool yields_inline) {
  const sn_kernel *k = n->k;
  for (int j = 0; j < b->count; j++) {
    if (!sn_k_valid(k, b->ins[j])) continue;
    const sn_kins *x = &k->ins[b->ins[j]];
    for (int a = 0; a < x->count; a++)
      if (is_const(k, x->a[a]) && !sn_k_const_inline(k, x, a)) n->explicit_const[x->a[a]] = 1;
    for (int side = 0; side < 2; side++)
      if (x->body[side]) find_explicit(n, x->body[side], x->op == SN_K_FOR);
  }
  for (int j = 0; j < b->yield_count; j++)
    if (is_const(k, b->yield[j]) && !yields_inline) n->explicit_const[b->yield[j]] = 1;
}

static void name_all(namer *n, const sn_kv *v, int count) {
  for (int j = 0; j < count; j++)
    if (sn_k_valid(n->k, v[j])) n->names.value[v[j]] = ++n->values;
}

static void name_block(namer *n, const sn_kblock *b) {
  for (int j = 0; j < b->count; j++) {
    sn_kv v = b->ins[j];
    if (!sn_k_valid(n->k, v)) continue;
    const sn_kins *x = &n->k->ins[v];
    if (x->op == SN_K_FOR || x->op == SN_K_IF) {
      int count = x->body[0]->yield_count;
      name_all(n, x->out, count);
      if (x->op == SN_K_FOR && sn_k_valid(n->k, x->iv)) n->names.loop[x->iv] = ++n->loops;
      if (x->op == SN_K_FOR) name_all(n, x->in, count);
      name_block(n, x->body[0]);
      if (x->body[1]) name_block(n, x->body[1]);
    } else if (x->op != SN_K_STORE && (x->op != SN_K_CONST || n->explicit_const[v])) {
      name_all(n, &v, 1);
    }
  }
}

sn_knames sn_k_names(const sn_kernel *k, sn_arena *arena) {
  namer n = {.k = k};
  n.names.value = SN_ARRAY(arena, k->ins_count, int);
  n.names.loop = SN_ARRAY(arena, k->ins_count, int);
  n.explicit_const = SN_ARRAY(arena, k->ins_count, unsigned char);
  find_explicit(&n, k->body, false);
  name_block(&n, k->body);
  return n.names;
}

/* ---- index expressions ---- */

enum { LEVEL_SUM = 1, LEVEL_PRODUCT, LEVEL_ATOM };

static void print_index(printer *p, sn_kv v, int level);

static void print_infix(printer *p, const sn_kins *x, const char *sign, int mine, int level) {
  int64_t c;
  bool negative = x->op == SN_K_IADD && sn_k_is_const(p->k, x->a[1], &c) && c < 0 && c > INT64_MIN;
  if (level > mine) sn_text_char(p->out, '(');
  print_index(p, x->a[0], mine);
  sn_text_add(p->out, "%s", negative ? " - " : sign);
  if (negative)
    sn_text_add(p->out, "%lld", (long long)-c);
  else
    print_index(p, x->a[1], mine + 1);
  if (level > mine) sn_text_char(p->out, ')');
}

static void print_buffer(printer *p, sn_kv v) {
  if (!sn_k_valid(p->k, v))
    sn_text_add(p->out, "?");
  else if (p->k->ins[v].op == SN_K_PARAM)
    sn_text_add(p->out, "%s", p->k->param[p->k->ins[v].i].name);
  else
    sn_text_add(p->out, "%%%d", p->names.value[v]);
}

static void print_call(printer *p, const sn_kins *x) {
  sn_text_add(p->out, "%s(", sn_kop_name(x->op));
  if (x->op == SN_K_ILOAD)
    print_buffer(p, x->a[0]);
  else
    print_index(p, x->a[0], 0);
  sn_text_add(p->out, ", ");
  print_index(p, x->a[1], 0);
  sn_text_char(p->out, ')');
}

static void print_index(printer *p, sn_kv v, int level) { /* table */
  if (!sn_k_valid(p->k, v)) {
    sn_text_add(p->out, "?");
    return;
  }
  const sn_kins *x = &p->k->ins[v];
  switch (x->op) {
    case SN_K_ICONST: sn_text_add(p->out, "%lld", (long long)x->i); return;
    case SN_K_PARAM: print_buffer(p, v); return;
    case SN_K_GID: sn_text_add(p->out, "g%d", (int)x->i); return;
    case SN_K_IV: sn_text_add(p->out, "i%d", p->names.loop[v]); return;
    case SN_K_IADD: print_infix(p, x, " + ", LEVEL_SUM, level); return;
    case SN_K_ISUB: print_infix(p, x, " - ", LEVEL_SUM, level); return;
    case SN_K_IMUL: print_infix(p, x, "*", LEVEL_PRODUCT, level); return;
    case SN_K_IDIV: print_infix(p, x, "/", LEVEL_PRODUCT, level); return;
    case SN_K_IMOD: print_infix(p, x, " % ", LEVEL_PRODUCT, level); return;
    default: break;
  }
  if (sn_kop_class(x->op) == SN_KCLASS_IDX)
    print_call(p, x);
  else
    sn_text_add(p->out, "%%%d", p->names.value[v]); /* not an index value: verify says so */
}

/* ---- tiles ---- */

/* The fewest digits that read back as the same value of the element type. */
static void print_number(sn_text *out, sn_elem e, double v) {
  char s[40];
  if (!sn_elem_is_float(e)) {
    sn_text_add(out, "%lld", (long long)sn_k_round_to(SN_ELEM_I64, v));
    return;
  }
  if (v != v || isinf(v)) {
    sn_text_add(out, "%s", v != v ? "nan" : v < 0 ? "-inf" : "inf");
    return;
  }
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(s, sizeof s, "%.*g", digits, v);
    if (sn_k_round_to(e, sn_number_read(s)) == v) break;
  }
  sn_text_add(out, "%s%s", s, v == 0 && signbit(v) ? ".0" : "");
}

static void print_type(sn_text *out, sn_ktype t) { sn_text_add(out, "%s[%d,%d]", sn_elem_name(t.elem), t.r, t.c); }

static void print_value(printer *p, sn_kv v) {
  if (!sn_k_valid(p->k, v))
    sn_text_add(p->out, "?");
  else if (is_const(p->k, v) && !p->names.value[v])
    print_number(p->out, p->k->ins[v].type.elem, p->k->ins[v].f);
  else if (p->names.value[v])
    sn_text_add(p->out, "%%%d", p->names.value[v]);
  else
    print_index(p, v, 0);
}

static void print_values(printer *p, const sn_kv *v, int count) {
  for (int j = 0; j < count; j++) {
    if (j) sn_text_add(p->out, ", ");
    print_value(p, v[j]);
  }
}

static void print_window(printer *p, const sn_kins *x) {
  sn_elem elem = sn_k_valid(p->k, x->a[0]) ? p->k->ins[x->a[0]].type.elem : SN_ELEM_NONE;
  print_buffer(p, x->a[0]);
  sn_text_char(p->out, '[');
  print_index(p, x->a[1], 0);
  sn_text_add(p->out, " : ");
  print_index(p, x->a[2], 0);
  sn_text_add(p->out, ", ");
  print_index(p, x->a[3], 0);
  sn_text_char(p->out, ']');
  if (x->op == SN_K_GATHER) sn_text_add(p->out, " by ");
  if (x->op == SN_K_GATHER) print_value(p, x->a[6]);
  if (x->a[4]) sn_text_add(p->out, " rows<");
  if (x->a[4]) print_index(p, x->a[4], LEVEL_SUM);
  if (x->a[5]) sn_text_add(p->out, " cols<");
  if (x->a[5]) print_index(p, x->a[5], LEVEL_SUM);
  if (x->op == SN_K_STORE || !(x->a[4] || x->a[5])) return;
  sn_text_add(p->out, " pad ");
  print_number(p->out, elem, x->f);
}

static void print_operands(printer *p, const sn_kins *x) { /* table */
  switch (x->op) {
    case SN_K_LOAD:
    case SN_K_GATHER: print_window(p, x); return;
    case SN_K_CONST: print_number(p->out, x->type.elem, x->f); return;
    case SN_K_IOTA:
    case SN_K_ISPLAT: print_index(p, x->a[0], 0); break;
    default: print_values(p, x->a, x->count); break;
  }
  if (x->op == SN_K_IOTA || x->op == SN_K_RSUM || x->op == SN_K_RPROD || x->op == SN_K_RMAX || x->op == SN_K_RARGMAX)
    sn_text_add(p->out, " axis %d", (int)x->i);
  if (x->op == SN_K_MMA)
    sn_text_add(p->out, "%s%s%s", x->i & SN_K_TA ? " ta" : "", x->i & SN_K_TB ? " tb" : "",
                x->i & SN_K_VNNI ? " vnni" : "");
}

/* ---- statements ---- */

static void print_for(printer *p, const sn_kins *x) {
  sn_text_add(p->out, "for ");
  print_index(p, x->iv, 0);
  sn_text_add(p->out, " = ");
  print_index(p, x->a[0], 0);
  sn_text_add(p->out, " to ");
  print_index(p, x->a[1], 0);
  sn_text_add(p->out, " step ");
  print_index(p, x->a[2], 0);
  for (int j = 0; j < x->body[0]->yield_count; j++) {
    sn_text_add(p->out, "%s", j ? ", " : " carry ");
    print_value(p, x->in[j]);
    sn_text_add(p->out, " = ");
    print_value(p, j + 3 < x->count ? x->a[3 + j] : 0);
  }
}

/* Head of a statement or a whole simple instruction, without indentation and line end. */
static void print_line(printer *p, sn_kv v) {
  const sn_kins *x = &p->k->ins[v];
  if (x->op == SN_K_STORE) {
    sn_text_add(p->out, "store ");
    print_window(p, x);
    sn_text_add(p->out, ", ");
    print_value(p, x->a[6]);
  } else if (x->op == SN_K_FOR || x->op == SN_K_IF) {
    print_values(p, x->out, x->body[0]->yield_count);
    if (x->body[0]->yield_count) sn_text_add(p->out, " = ");
    if (x->op == SN_K_FOR)
      print_for(p, x);
    else
      sn_text_add(p->out, "if ");
    if (x->op == SN_K_IF) print_index(p, x->a[0], 0);
    sn_text_add(p->out, " {");
  } else {
    sn_text_add(p->out, "%%%d = %s ", p->names.value[v], sn_kop_name(x->op));
    if (x->op == SN_K_LOCAL) {
      sn_text_add(p->out, "%s x %lld", sn_elem_name(x->type.elem), (long long)x->i);
      return;
    }
    print_operands(p, x);
    sn_text_add(p->out, " : ");
    print_type(p->out, x->type);
  }
}

static void print_block(printer *p, const sn_kblock *b, int indent) {
  for (int j = 0; j < b->count; j++) {
    sn_kv v = b->ins[j];
    if (is_const(p->k, v) && !p->names.value[v]) continue;
    const sn_kins *x = &p->k->ins[v];
    sn_text_add(p->out, "%*s", indent, "");
    print_line(p, v);
    sn_text_char(p->out, '\n');
    for (int side = 0; side < 2 && x->body[side]; side++) {
      if (side) sn_text_add(p->out, "%*s} else {\n", indent, "");
      print_block(p, x->body[side], indent + 2);
    }
    if (x->body[0]) sn_text_add(p->out, "%*s}\n", indent, "");
  }
  if (!b->yield_count) return;
  sn_text_add(p->out, "%*syield ", indent, "");
  print_values(p, b->yield, b->yield_count);
  sn_text_char(p->out, '\n');
}

static void print_param(sn_text *out, const sn_kparam *p) {
  static const char *const role[] = {"in", "out", "inout"};
  if (p->role == SN_K_SIZE) {
    sn_text_add(out, "%s: size %lld..%lld", p->name, (long long)p->min, (long long)p->max);
    if (p->divisor != 1) sn_text_add(out, " step %lld", (long long)p->divisor);
    return;
  }
  sn_text_add(out, "%s: %s %s", p->name, role[p->role], sn_elem_name(p->elem));
  if (p->divisor != 64) sn_text_add(out, " align %lld", (long long)p->divisor);
}

static void print_params(sn_text *out, const sn_kernel *k) {
  sn_text_char(out, '(');
  for (int j = 0; j < k->param_count; j++) {
    if (j) sn_text_add(out, ", ");
    print_param(out, &k->param[j]);
  }
  sn_text_char(out, ')');
}

/* ---- public ---- */

const char *sn_kernel_params_text(const sn_kernel *k, sn_arena *arena) {
  sn_text out = sn_text_begin(arena);
  print_params(&out, k);
  return out.at;
}

void sn_kernel_print(sn_text *out, const sn_kernel *k) {
  printer p = {out, k, sn_k_names(k, out->arena)};
  sn_text_add(out, "kernel %s", k->name);
  print_params(out, k);
  sn_text_add(out, " grid(");
  for (int j = 0; j < k->grid_count; j++) {
    if (j) sn_text_add(out, ", ");
    print_index(&p, k->grid[j], 0);
  }
  sn_text_add(out, ") {\n");
  print_block(&p, k->body, 2);
  sn_text_add(out, "}\n");
}

const char *sn_k_text(const sn_kernel *k, sn_kv v, sn_arena *arena) {
  sn_text out = sn_text_begin(arena);
  printer p = {&out, k, sn_k_names(k, arena)};
  if (!sn_k_valid(k, v)) return "?";
  const sn_kins *x = &k->ins[v];
  sn_kclass cls = sn_kop_class(x->op);
  if (x->op == SN_K_CARRY || x->op == SN_K_RESULT)
    print_value(&p, v);
  else if (cls == SN_KCLASS_IDX || x->op == SN_K_IV)
    print_index(&p, v, 0);
  else
    print_line(&p, v);
  return out.at;
}

bool sn_kernel_equal(const sn_kernel *a, const sn_kernel *b, sn_arena *scratch) {
  sn_text s = sn_text_begin(scratch), t = sn_text_begin(scratch);
  sn_kernel_print(&s, a);
  sn_kernel_print(&t, b);
  return s.count == t.count && !memcmp(s.at, t.at, (size_t)s.count);
}
