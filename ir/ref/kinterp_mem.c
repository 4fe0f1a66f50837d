/* Kernel interpreter, memory: windows, and what may go wrong with them: bounds, roles, races, undefined reads. */
#include <string.h>

#include "ir/ref/kinterp_impl.h"

sn_kcell sn_kcell_get(const void *data, sn_elem e, int64_t i) { /* table */
  switch (e) {
    case SN_ELEM_I64: return (sn_kcell){.i = ((const int64_t *)data)[i]};
    case SN_ELEM_I32: return (sn_kcell){.i = ((const int32_t *)data)[i]};
    case SN_ELEM_I8: return (sn_kcell){.i = ((const int8_t *)data)[i]};
    case SN_ELEM_BOOL: return (sn_kcell){.i = ((const uint8_t *)data)[i] != 0};
    case SN_ELEM_U8: return (sn_kcell){.i = ((const uint8_t *)data)[i]};
    default: return (sn_kcell){.f = sn_elem_get(e, data, i)};
  }
}

void sn_kcell_set(void *data, sn_elem e, int64_t i, sn_kcell c) { /* table */
  switch (e) {
    case SN_ELEM_I64: ((int64_t *)data)[i] = c.i; break;
    case SN_ELEM_I32: ((int32_t *)data)[i] = (int32_t)c.i; break;
    case SN_ELEM_I8: ((int8_t *)data)[i] = (int8_t)c.i; break;
    case SN_ELEM_U8:
    case SN_ELEM_BOOL: ((uint8_t *)data)[i] = (uint8_t)c.i; break;
    default: sn_elem_set(e, data, i, c.f); break;
  }
}

static sn_kmem *memory_of(sn_kenv *e, sn_kv buffer) {
  const sn_kins *b = sn_k_ins(e->k, buffer);
  return b->op == SN_K_PARAM ? &e->param[b->i] : e->local[buffer];
}

static void set_bit(unsigned char *bits, int64_t i) {
  if (bits) bits[i / 8] |= (unsigned char)(1u << (i % 8));
}

static bool load_ok(sn_kenv *e, sn_kv v, sn_kmem *m, int64_t at) {
  int64_t me = e->instance + 1;
  set_bit(m->read, at);
  if (m->defined && !m->defined[at]) {
    sn_kenv_fail(e, v, "reads element %lld of scratch that was never stored", (long long)at);
    return false;
  }
  if (m->writer && m->writer[at]) {
    bool mine = m->writer[at] == me;
    sn_kenv_fail(e, v,
                 mine ? "loads element %lld, which this instance has stored"
                      : "loads element %lld, which another instance stores",
                 (long long)at);
    return false;
  }
  if (m->reader) m->reader[at] = m->reader[at] && m->reader[at] != me ? -1 : me;
  return true;
}

static bool store_ok(sn_kenv *e, sn_kv v, sn_kmem *m, int64_t at) {
  int64_t me = e->instance + 1;
  set_bit(m->written, at);
  if (m->defined) m->defined[at] = 1;
  if (m->writer && m->writer[at] && m->writer[at] != me) {
    sn_kenv_fail(e, v, "stores element %lld, which another instance stores too", (long long)at);
    return false;
  }
  if (m->reader && m->reader[at] && m->reader[at] != me) {
    sn_kenv_fail(e, v, "stores element %lld, which another instance loads", (long long)at);
    return false;
  }
  if (m->writer) m->writer[at] = me;
  return true;
}

/* One valid element of a window. */
static void access_element(sn_kenv *e, sn_kv v, sn_kmem *m, int64_t at, bool store, sn_kcell *c) {
  if (at < 0 || at >= m->elements) {
    sn_kenv_fail(e, v, "accesses element %lld of %lld", (long long)at, (long long)m->elements);
    return;
  }
  if (store) {
    if (e->in->check && !store_ok(e, v, m, at)) return;
    if (m->writer) m->writer[at] = e->instance + 1;
    sn_kcell_set(m->data, m->elem, at, *c);
  } else {
    if (e->in->check && !load_ok(e, v, m, at)) return;
    *c = sn_kcell_get(m->data, m->elem, at);
  }
}

static sn_kcell pad_of(sn_elem e, double f) {
  return sn_elem_is_float(e) ? (sn_kcell){.f = f} : (sn_kcell){.i = (int64_t)f};
}

void sn_kenv_access(sn_kenv *e, sn_kv v) {
  const sn_kins *x = sn_k_ins(e->k, v);
  bool store = x->op == SN_K_STORE;
  sn_ktype t = store ? sn_k_type(e->k, x->a[6]) : x->type;
  sn_kcell *tile = sn_kenv_tile(e, store ? x->a[6] : v);
  sn_kmem *m = memory_of(e, x->a[0]);
  int64_t off = sn_kenv_index(e, v, x->a[1]), rs = sn_kenv_index(e, v, x->a[2]), cs = sn_kenv_index(e, v, x->a[3]);
  int64_t nr = x->a[4] ? sn_kenv_index(e, v, x->a[4]) : t.r, nc = x->a[5] ? sn_kenv_index(e, v, x->a[5]) : t.c;
  const sn_kcell *rows = x->op == SN_K_GATHER ? e->tile[x->a[6]] : NULL;
  int row_columns = rows ? sn_k_type(e->k, x->a[6]).c : 0;
  for (int r = 0; r < t.r && !e->failed; r++)
    for (int c = 0; c < t.c && !e->failed; c++) {
      sn_kcell *cell = &tile[(int64_t)r * t.c + c];
      bool valid = r < nr && c < nc;
      int64_t row = rows ? rows[(int64_t)r * row_columns + (row_columns == 1 ? 0 : c)].i : r;
      if (valid)
        access_element(e, v, m, off + row * rs + c * cs, store, cell);
      else if (!store)
        *cell = pad_of(t.elem, x->f);
    }
}

void sn_kenv_local(sn_kenv *e, sn_kv v) {
  const sn_kins *x = sn_k_ins(e->k, v);
  sn_kmem *m = e->local[v];
  if (!m) {
    m = e->local[v] = SN_NEW(e->arena, sn_kmem);
    *m = (sn_kmem){.elements = x->i, .elem = x->type.elem, .role = SN_K_INOUT};
    m->data = sn_arena_array(e->arena, (size_t)x->i, sn_elem_bytes(x->type.elem));
    if (e->in->check) m->defined = SN_ARRAY(e->arena, x->i, unsigned char);
  }
  memset(m->data, 0xff, (size_t)x->i * sn_elem_bytes(x->type.elem));
  if (m->defined) memset(m->defined, 0, (size_t)x->i);
}

/* ---- begin and end of a run ---- */

static bool overlap(const sn_kmem *a, const sn_kmem *b) {
  const char *p = a->data, *q = b->data;
  size_t n = (size_t)a->elements * sn_elem_bytes(a->elem), m = (size_t)b->elements * sn_elem_bytes(b->elem);
  return p && q && p < q + m && q < p + n;
}

static void check_overlap(sn_kenv *e) {
  const sn_kparam *p = e->k->param;
  for (int a = 0; a < e->k->param_count; a++)
    for (int b = 0; b < a; b++) {
      if (p[a].role == SN_K_SIZE || p[b].role == SN_K_SIZE || (p[a].role == SN_K_IN && p[b].role == SN_K_IN)) continue;
      if (overlap(&e->param[a], &e->param[b])) sn_kenv_fail(e, 0, "buffers %s and %s overlap", p[a].name, p[b].name);
    }
}

static void check_size(sn_kenv *e, const sn_kparam *p, int64_t value) {
  if (value < p->min || value > p->max || value % p->divisor)
    sn_kenv_fail(e, 0, "size %s = %lld is not in %lld..%lld step %lld", p->name, (long long)value, (long long)p->min,
                 (long long)p->max, (long long)p->divisor);
}

static void begin_param(sn_kenv *e, int j) {
  const sn_kparam *p = &e->k->param[j];
  sn_kmem *m = &e->param[j];
  bool stored = p->role != SN_K_IN, check = e->in->check;
  *m = (sn_kmem){e->in->args[j].p, e->in->elements[j], p->elem, p->role, NULL, NULL, NULL, NULL, NULL};
  if (e->in->writer && stored) m->writer = e->in->writer[j];
  if (!check) return;
  if (stored && !m->writer) m->writer = SN_ARRAY(e->arena, m->elements, int64_t);
  if (p->role == SN_K_INOUT) m->reader = SN_ARRAY(e->arena, m->elements, int64_t);
  if (p->role != SN_K_OUT) m->read = SN_ARRAY(e->arena, m->elements / 8 + 1, unsigned char);
  if (stored) m->written = SN_ARRAY(e->arena, m->elements / 8 + 1, unsigned char);
}

void sn_kenv_memory_begin(sn_kenv *e) {
  e->param = SN_ARRAY(e->arena, e->k->param_count + 1, sn_kmem);
  for (int j = 0; j < e->k->param_count; j++) {
    if (e->k->param[j].role != SN_K_SIZE)
      begin_param(e, j);
    else if (e->in->check)
      check_size(e, &e->k->param[j], e->in->args[j].i);
  }
  if (e->in->check) check_overlap(e);
}

static int64_t count_bits(const unsigned char *bits, int64_t elements) {
  int64_t count = 0;
  for (int64_t j = 0; bits && j < elements / 8 + 1; j++)
    for (unsigned b = bits[j]; b; b &= b - 1) count++;
  return count;
}

void sn_kenv_memory_end(sn_kenv *e) {
  e->in->bytes_read = e->in->bytes_written = 0;
  for (int j = 0; j < e->k->param_count; j++) {
    const sn_kmem *m = &e->param[j];
    if (e->k->param[j].role == SN_K_SIZE) continue;
    e->in->bytes_read += count_bits(m->read, m->elements) * (int64_t)sn_elem_bytes(m->elem);
    e->in->bytes_written += count_bits(m->written, m->elements) * (int64_t)sn_elem_bytes(m->elem);
  }
}
