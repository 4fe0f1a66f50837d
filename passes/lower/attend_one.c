/* Schedule writer of `attend`, forward, of one query per head: decoding. Its time is that of reading keys and values,
 * so each is read once: the query heads that share a key head are the rows of one tile. An instance owns a part of the
 * keys; the instances of one part, which differ in the head, run one after another, and what they read lies side by
 * side. There are as many parts as keys ask for, whatever the number of threads: a second kernel adds them up in their
 * order.
 *   1. [B, parts, key heads]   running maximum, sum and output of a part
 *   2. [B, key heads]          the same of all parts, then the result */
#include "passes/lower/attend_forward.h"

typedef struct one {
  const sn_attend *a;
  int part; /* keys of a part */
  const sn_dimx *parts;
  sn_attend_sinks y, lse;
  int first; /* carry that is used */
  /* of parts: maximum, sum, output, [B, parts, H, 1] and [B, parts, H, e]; slot -1: there is one part, or not used */
  sn_operand carried[3];
} one;

static sn_operand temp(const one *o, const char *name, int columns) {
  sn_types *t = o->a->c->types;
  const sn_dimx *dim[4] = {o->a->B, o->parts, o->a->H, sn_dimx_const(t, columns)};
  const sn_type *type = sn_type_of(t, SN_ELEM_F32, 4, dim);
  sn_shape shape = sn_shape_of(type);
  return (sn_operand){sn_lower_temp(o->a->c, name, type, NULL), sn_view_of(t, &shape)};
}

static int result_uses(const one *o, sn_buffer_use *use, int count) {
  for (int i = 0; i < o->y.count; i++) use[count++] = (sn_buffer_use){o->y.at[i].slot, SN_K_OUT};
  for (int i = 0; i < o->lse.count; i++) use[count++] = (sn_buffer_use){o->lse.at[i].slot, SN_K_OUT};
  return count;
}

static int part_uses(const one *o, sn_buffer_use *use, sn_krole role) {
  for (int i = o->first; i < 3; i++) use[i - o->first] = (sn_buffer_use){o->carried[i].slot, role};
  return 3 - o->first;
}

/* f->kv_head is set */
static sn_forward instance(const one *o, sn_build_kernel *b, sn_kv kv_head) {
  const sn_attend *a = o->a;
  sn_forward f = {
      .s = {.a = a, .b = b, .bq = 1, .bk = a->step, .heads = a->group}, .kv_head = kv_head, .first = o->first};
  f.s.batch = sn_k_gid(b->k, 0), f.s.head = sn_k_imulc(b->k, kv_head, a->group), f.s.q0 = sn_k_i(b->k, 0);
  return f;
}

static void store_results(const one *o, const sn_forward *f, const sn_kv carry[3]) {
  sn_build_kernel *b = f->s.b;
  sn_kv y, lse = 0;
  sn_forward_finish(f, carry, &y, o->lse.count ? &lse : NULL);
  for (int i = 0; i < o->y.count; i++) sn_attend_store_heads(b, &o->y.at[i], f->s.batch, f->s.q0, f->s.head, y);
  for (int i = 0; i < o->lse.count; i++) {
    const sn_view *v = &o->lse.at[i].view;
    sn_kv at[SN_VIEW_RANK] = {f->s.batch, f->s.head};
    sn_kwin w = {.buf = sn_build_buffer(b, o->lse.at[i].slot),
                 .off = sn_build_address(b, v, at),
                 .rs = sn_build_dim(b, v->stride[1])};
    sn_k_store(b->k, w, lse);
  }
}

static const sn_dimx *part_bytes(const one *o) {
  sn_types *t = o->a->c->types;
  const sn_dimx *rows = sn_dimx_mul(t, sn_dimx_mul(t, o->a->B, o->parts), o->a->H);
  return sn_dimx_mul(t, rows, sn_dimx_const(t, 4 * (o->a->e + 2 - o->first)));
}

static sn_code lower_parts(const one *o) {
  const sn_attend *a = o->a;
  bool several = o->carried[2].slot >= 0;
  sn_buffer_use use[8];
  sn_build_kernel *b =
      sn_attend_kernel(a, "attend_one", several ? part_uses(o, use, SN_K_OUT) : result_uses(o, use, 0), use);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, o->parts, a->G);
  sn_forward f = instance(o, b, sn_k_gid(k, 2));
  sn_kv carry[3], part = sn_k_gid(k, 1);
  if (several) f.from = sn_k_imulc(k, part, o->part), f.to = sn_k_iadd(k, f.from, sn_k_i(k, o->part));
  sn_forward_begin(&f, carry);
  SN_TRY(sn_forward_keys(&f, carry));
  for (int i = o->first; i < 3 && several; i++)
    sn_attend_store_heads(b, &o->carried[i], f.s.batch, part, f.s.head, carry[i]);
  if (!several) store_results(o, &f, carry);
  sn_report r = sn_attend_report(a, 0, a->node->arg_count, 1, 1);
  r.bytes_written = several ? part_bytes(o) : sn_attend_sinks_bytes(a, &o->y, &o->lse);
  return sn_build_kernel_end(b, &r);
}

/* Adds part i. */
static void add_part(const one *o, const sn_forward *f, sn_kv i, sn_kv carry[3]) {
  sn_build_kernel *b = f->s.b;
  sn_kernel *k = b->k;
  sn_kv part[3];
  for (int j = o->first; j < 3; j++)
    part[j] = sn_attend_heads(b, &o->carried[j], f->s.batch, i, f->s.head, f->s.heads, j < 2 ? 1 : f->s.a->e);
  for (int j = o->first; j < 3 && f->s.a->weights; j++) carry[j] = sn_k_bin(k, SN_K_ADD, carry[j], part[j]);
  if (f->s.a->weights) return;
  sn_kv m = sn_k_bin(k, SN_K_MAX, carry[0], part[0]);
  sn_kv old = sn_k_un(k, SN_K_EXP2, sn_k_bin(k, SN_K_SUB, carry[0], m));
  sn_kv add = sn_k_un(k, SN_K_EXP2, sn_k_bin(k, SN_K_SUB, part[0], m));
  carry[0] = m;
  for (int j = 1; j < 3; j++) carry[j] = sn_k_fma(k, part[j], add, sn_k_bin(k, SN_K_MUL, carry[j], old));
}

static sn_code lower_sum(const one *o) {
  const sn_attend *a = o->a;
  sn_types *t = a->c->types;
  sn_buffer_use use[12];
  int count = result_uses(o, use, part_uses(o, use, SN_K_IN));
  sn_build_kernel *b = sn_build_kernel_begin(a->c, "attend_sum", count, use);
  sn_build_grid(b, 2, a->B, a->G, NULL);
  sn_forward f = instance(o, b, sn_k_gid(b->k, 1));
  sn_kv carry[3];
  sn_forward_empty(&f, carry);
  sn_kv i = sn_k_for(b->k, sn_k_i(b->k, 0), sn_build_dim(b, o->parts), 1, 3 - o->first, carry + o->first);
  add_part(o, &f, i, carry);
  sn_k_end_for(b->k, 3 - o->first, carry + o->first);
  store_results(o, &f, carry);
  sn_report r = {.kind = "attend", .ops = sn_attend_ops(a, "sum"), .bytes_read = part_bytes(o)};
  r.flops = sn_dimx_floordiv(t, r.bytes_read, sn_dimx_const(t, 2)); /* two per element */
  r.bytes_written = sn_attend_sinks_bytes(a, &o->y, &o->lse);
  return sn_build_kernel_end(b, &r);
}

sn_code sn_attend_one(sn_attend *a) {
  sn_types *t = a->c->types;
  one o = {.a = a, .part = (a->c->target->one_part + a->bk - 1) / a->bk * a->bk, .parts = sn_dimx_const(t, 1)};
  o.y = sn_attend_sinks_of(a->c, a->node->first), o.lse = sn_attend_sinks_of(a->c, a->node->first + 1);
  o.first = sn_forward_first(a, &o.lse);
  for (int i = 0; i < 3; i++) o.carried[i].slot = -1;
  if (sn_dimx_max_value(a->S) <= o.part) return lower_parts(&o);
  o.parts = sn_dimx_ceildiv(t, a->S, sn_dimx_const(t, o.part));
  static const char *const name[3] = {"largest", "sum", "parts"};
  for (int i = o.first; i < 3; i++) o.carried[i] = temp(&o, name[i], i < 2 ? 1 : a->e);
  SN_TRY(lower_parts(&o));
  return lower_sum(&o);
}
