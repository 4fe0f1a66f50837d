/* Fuse: answers of sn_fuse_check by the form of the question. Layers ask the same of nodes that differ in names only,
 * and the analysis behind an answer costs a hundred times what writing down a form does.
 *
 * A form holds all that the analysis looks at, as words: of every node its op, attributes, types, marks and operands by
 * number; of every value that comes from outside its op, type and marks; the outputs by number. Names, lines and places
 * in memory are left out. Beyond values from outside nothing is looked at, unless they are views: such questions have
 * no form. */
#include <string.h>

#include "passes/graph/fuse.h"
#include "passes/lower/internal.h"

struct sn_fuse_answers {
  int *number; /* by value id, while a form is written: 1 + number of a node, - (1 + number) of an outer value; 0: none
                */
  sn_map *by_hash;
  uint64_t *word; /* of the form at hand */
  int count, capacity;
  bool formless;
  int outer_count, outer_capacity;
  sn_val *outer;
};

static void put(sn_fuse *s, uint64_t word) {
  sn_fuse_answers *a = s->answers;
  SN_GROW(s->arena, a->word, a->count, a->capacity);
  a->word[a->count++] = word;
}

static void put_pointer(sn_fuse *s, const void *p) { put(s, (uint64_t)(uintptr_t)p); }

static void put_attr(sn_fuse *s, char kind, const sn_attr *a) {
  uint64_t bits;
  put(s, a->set);
  if (!a->set) return;
  switch (kind) {
    case 'f':
      memcpy(&bits, &a->f, sizeof bits);
      put(s, bits);
      return;
    case 's': put_pointer(s, a->s); return;
    case 'd': put_pointer(s, a->d); return;
    case 'R': put_pointer(s, a->region); return;
    case 'I':
    case 'D':
      put(s, (uint64_t)a->count);
      for (int i = 0; i < a->count; i++) kind == 'I' ? put(s, (uint64_t)a->ints[i]) : put_pointer(s, a->dims[i]);
      return;
    default: put(s, (uint64_t)a->i); return;
  }
}

static void put_attrs(sn_fuse *s, const sn_node *n) {
  const sn_op_info *info = sn_op_get(n->op);
  for (int i = 0; i < info->attr_count; i++) put_attr(s, info->attr[i].kind, &n->attr[i]);
}

/* A value that is read from outside, when it is met first. */
static void put_outer(sn_fuse *s, sn_val v) {
  sn_fuse_answers *a = s->answers;
  const sn_node *n = sn_node_of(s->f, v);
  SN_GROW(s->arena, a->outer, a->outer_count, a->outer_capacity);
  a->outer[a->outer_count++] = v;
  a->number[v] = -a->outer_count;
  a->formless |= sn_op_get(n->op)->cls == SN_CLASS_VIEW;
  put(s, (uint64_t)n->op);
  put(s, s->stored[n->first]);
  put_pointer(s, sn_val_type(s->f, v));
  if (sn_fuse_is_number(n->op)) put_attrs(s, n);
  if (n->op == SN_OP_PARAM) put(s, sn_param_is_frozen(s->f->module, n));
}

static void put_value(sn_fuse *s, sn_val v) {
  const sn_node *n = sn_node_of(s->f, v);
  int inner = s->answers->number[n->first];
  if (inner > 0) {
    put(s, (uint64_t)inner << 32 | (v - n->first));
    return;
  }
  bool fresh = !s->answers->number[v];
  if (fresh) put_outer(s, v);
  put(s, (uint64_t)(int64_t)s->answers->number[v]);
}

static void put_node(sn_fuse *s, const sn_node *n, bool own) {
  put(s, (uint64_t)n->op);
  put(s, (uint64_t)own | (uint64_t)s->member[n->first] << 1 | (uint64_t)s->stored[n->first] << 2 |
             (uint64_t)s->inlined[n->first] << 3);
  put(s, (uint64_t)(uint32_t)n->arg_count << 32 | (uint32_t)n->result_count);
  put_attrs(s, n);
  for (int i = 0; i < n->result_count; i++) put_pointer(s, n->type[i]);
  for (int i = 0; i < n->arg_count; i++) put_value(s, n->arg[i]);
}

static void put_question(sn_fuse *s, const sn_fuse_question *q) {
  sn_fuse_answers *a = s->answers;
  int own = 0;
  a->count = a->outer_count = 0;
  a->formless = false;
  put(s, (uint64_t)(uint32_t)q->node_count << 32 | (uint32_t)q->output_count);
  for (int i = 0; i < q->node_count; i++) a->number[q->node[i]->first] = i + 1;
  for (int i = 0; i < q->node_count; i++) {
    bool is_own = own < q->count && s->f->node[q->position[own]] == q->node[i];
    own += is_own;
    put_node(s, q->node[i], is_own);
  }
  for (int i = 0; i < q->output_count; i++) put_value(s, q->output[i]);
  for (int i = 0; i < q->node_count; i++) a->number[q->node[i]->first] = 0;
  for (int i = 0; i < a->outer_count; i++) a->number[a->outer[i]] = 0;
}

sn_fuse_answer *sn_fuse_recall(sn_fuse *s, const sn_fuse_question *q) {
  if (!s->answers) {
    s->answers = SN_NEW(s->arena, sn_fuse_answers);
    s->answers->number = SN_ARRAY(s->arena, s->f->value_count, int);
    s->answers->by_hash = sn_map_create(s->arena);
  }
  sn_fuse_answers *a = s->answers;
  put_question(s, q);
  if (a->formless) return NULL;
  uint64_t hash = sn_hash_words(a->word, a->count);
  sn_fuse_answer *first = sn_map_get(a->by_hash, hash);
  for (sn_fuse_answer *x = first; x; x = x->next)
    if (x->count == a->count && !memcmp(x->form, a->word, (size_t)a->count * sizeof *a->word)) return x;
  sn_fuse_answer *fresh = SN_NEW(s->arena, sn_fuse_answer);
  fresh->form = sn_arena_copy(s->arena, a->word, (size_t)a->count * sizeof *a->word);
  fresh->count = a->count, fresh->next = first;
  sn_map_put(a->by_hash, hash, fresh);
  return fresh;
}
