/* The op table: rows of op.def with their attribute texts taken apart. */
#include "ir/types/op.h"

#include <pthread.h>
#include <string.h>

typedef struct row {
  const char *name;
  int operands, results;
  sn_op_class cls;
  const char *attrs; /* "name:kind name:kind?" */
  int flags;
} row;

enum { COMM = SN_FLAG_COMM, DIFF = SN_FLAG_DIFF, NODIFF = SN_FLAG_NODIFF, EFFECT = SN_FLAG_EFFECT };

static const row rows[SN_OP_COUNT] = {
    [SN_OP_NONE] = {"none", 0, 0, SN_CLASS_LEAF, "", 0},
#define SN_OP(e, text, operands, results, cls, attrs, flags) \
  [SN_OP_##e] = {text, operands, results, SN_CLASS_##cls, attrs, flags},
#include "ir/types/op.def"
#undef SN_OP
};

/* A constant, worked out from `rows` on first use: the one lazily made table of the library. */
static sn_op_info infos[SN_OP_COUNT];
static pthread_once_t made = PTHREAD_ONCE_INIT;

/* Reads "name:kind" or "name:kind?" and returns where the next one starts. */
static const char *parse_attr(const char *at, sn_attr_info *out) {
  size_t count = strcspn(at, ":");
  memcpy(out->name, at, count < sizeof out->name ? count : sizeof out->name - 1);
  at += count + 1;
  out->kind = *at++;
  out->optional = *at == '?';
  return at + strspn(at, "? ");
}

static void make_infos(void) {
  for (int i = 0; i < SN_OP_COUNT; i++) {
    sn_op_info *info = &infos[i];
    *info = (sn_op_info){.name = rows[i].name,
                         .operands = rows[i].operands,
                         .results = rows[i].results,
                         .cls = rows[i].cls,
                         .flags = rows[i].flags};
    const char *at = rows[i].attrs;
    while (*at && info->attr_count < SN_ATTR_MAX) at = parse_attr(at, &info->attr[info->attr_count++]);
  }
}

const sn_op_info *sn_op_get(sn_op op) {
  pthread_once(&made, make_infos);
  return &infos[(unsigned)op < SN_OP_COUNT ? op : SN_OP_NONE];
}

sn_op sn_op_find(const char *name) {
  for (int i = SN_OP_NONE + 1; i < SN_OP_COUNT; i++) {
    if (strcmp(rows[i].name, name) == 0) return (sn_op)i;
  }
  return SN_OP_NONE;
}

int sn_op_attr(sn_op op, const char *name) {
  const sn_op_info *info = sn_op_get(op);
  for (int i = 0; i < info->attr_count; i++) {
    if (strcmp(info->attr[i].name, name) == 0) return i;
  }
  return -1;
}
