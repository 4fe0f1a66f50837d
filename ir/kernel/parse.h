/* What the two files of the kernel parser share. Not for other folders. */
#ifndef SN_IR_KERNEL_PARSE_H
#define SN_IR_KERNEL_PARSE_H

#include "ir/base/lex.h"
#include "ir/base/map.h"
#include "ir/kernel/internal.h"

typedef struct sn_kparser {
  sn_lexer x;
  sn_kernel *k;
  sn_map *values;  /* %name -> id */
  sn_map *indices; /* sizes and loop variables in scope -> id */
  sn_map *buffers; /* parameters -> id */
  int index_ops;   /* operators of the expression being read */
  sn_loc at;       /* of the statement being read */
} sn_kparser;

/* The value of a name; 0: unknown. */
sn_kv sn_kparser_get(const sn_map *m, const char *name);
/* An error: the current token is not what was expected. */
sn_code sn_kparser_wants(sn_kparser *p, const char *expected);
/* A parameter or a local buffer. */
SN_MUST sn_code sn_kparser_buffer(sn_kparser *p, sn_kv *out);
/* One whole expression. */
SN_MUST sn_code sn_kparser_expression(sn_kparser *p, sn_kv *out);

#endif
