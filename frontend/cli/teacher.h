/* The teacher of a distillation: a run folder whose graph `logits` joins the training graph of a student. */
#ifndef SN_FRONTEND_CLI_TEACHER_H
#define SN_FRONTEND_CLI_TEACHER_H

#include "frontend/cli/rundir.h"

typedef struct cli_teacher {
  const char *path; /* --teacher */
  cli_rundir dir;
  sn_module *module; /* graph logits */
  sn_tokenizer *tokenizer;
  const char *divergence;
  double temperature, weight;
  bool changes; /* the weight: --kd-end was given */
  double end;
  int64_t vocab; /* rows of its logits */
} cli_teacher;

/* From --teacher, --divergence, --temperature, --kd-weight. */
SN_MUST sn_code cli_teacher_read(cli *c, cli_teacher *out);
/* The student's module with the teacher in its graph train. */
SN_MUST sn_code cli_teacher_join(cli *c, const cli_teacher *t, const sn_module *student, sn_module **out);
/* The teacher's weights, as parameters "teacher.NAME" of a store; out_hash: of their values. */
SN_MUST sn_code cli_teacher_load(cli *c, const cli_teacher *t, sn_store *s, const sn_plan *p, uint64_t *out_hash);

#endif
