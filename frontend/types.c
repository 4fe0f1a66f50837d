/* Element types, dims and shapes of the DSL against those of the IR. */
#include "frontend/trace.h"

#include <string.h>

const sn_type *sn_t_type(sn_t x) { return x.fn && x.u.id ? sn_val_type(x.fn->b.func, (sn_val)x.u.id) : NULL; }

sn_elem sn_elem_of(const sn_trace *t, sn_dtype d) {
  switch (d) {
    case SN_F64: return SN_ELEM_F64;
    case SN_F32: return SN_ELEM_F32;
    case SN_F16: return SN_ELEM_F16;
    case SN_BF16: return SN_ELEM_BF16;
    case SN_F8E4M3: return SN_ELEM_F8E4M3;
    case SN_F8E5M2: return SN_ELEM_F8E5M2;
    case SN_I64: return SN_ELEM_I64;
    case SN_I32: return SN_ELEM_I32;
    case SN_I8: return SN_ELEM_I8;
    case SN_U8: return SN_ELEM_U8;
    case SN_BOOL: return SN_ELEM_BOOL;
    case SN_REAL: break;
  }
  return t->real;
}

const sn_dimx *sn_dimx_of(const sn_trace *t, sn_dim d) {
  return d.sym ? d.sym->dim : sn_dimx_const(t->module->types, d.extent);
}

sn_dim sn_dim_from(sn_trace *t, const sn_dimx *d) {
  int64_t n;
  if (sn_dimx_is_const(d, &n)) return (sn_dim){.extent = n};
  struct sn_symbol *s = SN_NEW(t->arena, struct sn_symbol);
  *s = (struct sn_symbol){t, d};
  return (sn_dim){.sym = s};
}

bool sn_shape_read(sn_call *c, sn_shape s, const sn_dimx **dims) {
  if (s.rank > SN_RANK_MAX) {
    sn_mistake(c, sn_texts(c, "at most %d", SN_RANK_MAX), sn_texts(c, "%d", s.rank), "too many axes");
    return false;
  }
  for (int i = 0; i < s.rank; i++) {
    dims[i] = sn_dimx_of(c->trace, s.dim[i].d);
    if (sn_dimx_min_value(dims[i]) < 1 || sn_dimx_max_value(dims[i]) > SN_DIM_MAX) {
      sn_mistake(c, "1 to 2^40", sn_dim_text(c, dims[i]), "extent %d is out of range", i);
      return false;
    }
  }
  return true;
}

int sn_axis_of(sn_call *c, const sn_type *t, int axis) {
  int i = axis < 0 ? axis + t->rank : axis;
  if (i >= 0 && i < t->rank) return i;
  sn_mistake(c, sn_texts(c, "-%d to %d", t->rank, t->rank - 1), sn_texts(c, "%d", axis), "there is no such axis");
  return -1;
}

const sn_type *sn_join(sn_types *types, sn_elem e, const sn_type *a, const sn_type *b, int *axis) {
  const sn_dimx *dim[SN_RANK_MAX];
  int rank = a->rank > b->rank ? a->rank : b->rank;
  for (int i = 1; i <= rank; i++) { /* from the right */
    const sn_dimx *x = i <= a->rank ? a->dim[a->rank - i] : NULL, *y = i <= b->rank ? b->dim[b->rank - i] : NULL;
    if (x && y && x != y && !sn_dimx_is_one(x) && !sn_dimx_is_one(y)) return *axis = -i, NULL;
    dim[rank - i] = !x || (y && sn_dimx_is_one(x)) ? y : x;
  }
  return sn_type_of(types, e, rank, dim);
}

/* ---- dims of the model -------------------------------------------------------------------------------- */

static bool is_name(const char *s) {
  if (!s || !*s || (*s >= '0' && *s <= '9')) return false;
  for (; *s; s++) {
    if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_')) return false;
  }
  return true;
}

static void note_symbol(sn_trace *t, struct sn_symbol_decl s) {
  for (int i = 0; i < t->symbol_count; i++) {
    if (!strcmp(t->symbol[i].name, s.name)) return;
  }
  SN_GROW(t->arena, t->symbol, t->symbol_count, t->symbol_capacity);
  s.name = sn_arena_strdup(t->arena, s.name);
  t->symbol[t->symbol_count++] = s;
}

sn_dim sn_sym_at(sn_here here, sn_sym_args a) {
  sn_call c = sn_call_in(here, a.m, 0, NULL);
  int64_t min = a.min ? a.min : 1, max = a.max ? a.max : 65536, multiple = a.multiple ? a.multiple : 1;
  if (!is_name(a.name)) {
    sn_mistake(&c, "letters, digits and _", sn_texts(&c, "\"%s\"", a.name ? a.name : ""), "not a name");
    return (sn_dim){.extent = 1};
  }
  if (min < 1 || max < min || max > SN_DIM_MAX || multiple < 1) {
    const char *found = sn_texts(&c, "%lld to %lld by %lld", (long long)min, (long long)max, (long long)multiple);
    sn_mistake(&c, "1 <= min <= max and multiple >= 1", found, "bad bounds of %s", a.name);
    return (sn_dim){.extent = 1};
  }
  bool conflict = false;
  const sn_dimx *d = sn_dimx_symbol(sn_types_of(&c), a.name, min, max, multiple, &conflict);
  if (conflict) {
    const char *expected = sn_texts(&c, "%lld to %lld, as declared first", (long long)sn_dimx_min_value(d),
                                    (long long)sn_dimx_max_value(d));
    sn_mistake(&c, expected, sn_texts(&c, "%lld to %lld by %lld", (long long)min, (long long)max, (long long)multiple),
               "dim %s has two bounds", a.name);
  }
  note_symbol(c.trace, (struct sn_symbol_decl){a.name, min, max, multiple});
  return sn_dim_from(c.trace, d);
}

sn_dim sn_size(sn_t x, int axis) {
  const sn_type *t = sn_t_type(x);
  int i = t && axis < 0 ? axis + t->rank : axis;
  if (!t || i < 0 || i >= t->rank) return (sn_dim){.extent = 1}; /* poison, or told at the next use */
  return sn_dim_from(x.fn->trace, t->dim[i]);
}

int sn_rank(sn_t x) {
  const sn_type *t = sn_t_type(x);
  return t ? t->rank : 0;
}

sn_dim sn_dim_of(int64_t n) { return (sn_dim){.extent = n}; }

static sn_dim number_op(char op, int64_t a, int64_t b) {
  int64_t n = 0;
  bool bad = op == '+' ? __builtin_add_overflow(a, b, &n) : op == '*' ? __builtin_mul_overflow(a, b, &n) : b <= 0;
  if (op == '/' && !bad) n = a / b + (a % b > 0);
  return (sn_dim){.extent = bad ? 0 : n}; /* 0 is refused where it is used */
}

sn_dim sn_dim_op(char op, sn_ext a, sn_ext b) {
  const struct sn_symbol *s = a.d.sym ? a.d.sym : b.d.sym;
  if (!s) return number_op(op, a.d.extent, b.d.extent);
  sn_types *types = s->trace->module->types;
  const sn_dimx *x = sn_dimx_of(s->trace, a.d), *y = sn_dimx_of(s->trace, b.d);
  if (op == '+') return sn_dim_from(s->trace, sn_dimx_add(types, x, y));
  if (op == '*') return sn_dim_from(s->trace, sn_dimx_mul(types, x, y));
  if (sn_dimx_min_value(y) < 1) return (sn_dim){.extent = 0};
  return sn_dim_from(s->trace, sn_dimx_ceildiv(types, x, y));
}

sn_t sn_dim_value(sn_dim n) {
  if (!n.sym) return sn_num((double)n.extent);
  sn_fn *graph = n.sym->trace->graph;
  graph->b.failed = SN_OK;
  sn_val v = sn_g_dim(&graph->b, n.sym->dim);
  n.sym->trace->mistakes += graph->b.failed != SN_OK;
  return (sn_t){.u.id = v, .fn = graph};
}

sn_t sn_expect_at(sn_here here, sn_t x, sn_shape s) {
  sn_call c = sn_call_on(here, 1, &x);
  if (!c.fn) return x;
  const sn_dimx *dims[SN_RANK_MAX];
  const sn_type *t = sn_need(&c, x, "x");
  if (!t || !sn_shape_read(&c, s, dims)) return sn_poison(&c);
  const sn_type *want = sn_type_of(sn_types_of(&c), t->elem, s.rank, dims);
  if (want != t) {
    sn_mistake(&c, sn_type_text(c.trace->arena, want), sn_describe(&c, x, sn_spelled(&c, 0)), "another shape");
    return sn_poison(&c);
  }
  return x;
}
