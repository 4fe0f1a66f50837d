/* --teacher DIR -> a module to join, and its weights. */
#include "frontend/cli/teacher.h"

#include <string.h>

#include "frontend/cli/data.h"
#include "frontend/cli/ports.h"
#include "frontend/distill.h"
#include "ir/ops/ops.h"
#include "runtime/io/safetensors.h"

static sn_code read_divergence(cli *c, const char **out) {
  int count;
  const char *const *kind = sn_divergence_kinds(&count);
  *out = cli_get(c, CLI_DIVERGENCE, kind[0]);
  for (int i = 0; i < count; i++)
    if (!strcmp(*out, kind[i])) return SN_OK;
  return cli_usage_error(c, "--divergence takes forward, reverse or jsd, found \"%s\"", *out);
}

sn_code cli_teacher_read(cli *c, cli_teacher *t) {
  *t = (cli_teacher){.path = cli_get(c, CLI_TEACHER, NULL)};
  if (!t->path) return cli_usage_error(c, "sinter %s needs --teacher DIR", c->command);
  SN_TRY(read_divergence(c, &t->divergence));
  SN_TRY(cli_real(c, CLI_KD_TEMPERATURE, 2, 1e-3, 1e3, &t->temperature));
  SN_TRY(cli_real(c, CLI_KD_WEIGHT, 1, 0, 1e6, &t->weight));
  SN_TRY(cli_real(c, CLI_KD_END, t->weight, 0, 1e6, &t->end));
  t->changes = cli_has(c, CLI_KD_END);
  SN_TRY(cli_rundir_graph(c, t->path, "logits", &t->dir, &t->module));
  SN_TRY(cli_rundir_tokenizer(c, t->path, &t->dir, &t->tokenizer));
  SN_TRY(cli_check_ports(c, t->module, "logits", t->path));
  t->vocab = cli_data_vocab(t->dir.settings.settings, t->tokenizer);
  return SN_OK;
}

sn_code cli_teacher_join(cli *c, const cli_teacher *t, const sn_module *student, sn_module **out) {
  sn_distill_opt o = {.student = student,
                      .teacher = t->module,
                      .divergence = t->divergence,
                      .temperature = t->temperature,
                      .weight = t->weight,
                      .changes = t->changes,
                      .end = t->end,
                      .window = sn_distill_window(student, t->module)};
  return sn_distill_module(&o, c->arena, c->diags, out);
}

sn_code cli_teacher_load(cli *c, const cli_teacher *t, sn_store *s, const sn_plan *p, uint64_t *out_hash) {
  const char *file = sn_dir_of(c->arena, t->path).weights;
  return sn_store_refer(s, p, SN_TEACHER, file, t->dir.parts.part[SN_PAYLOAD_WEIGHTS].data,
                        t->dir.parts.part[SN_PAYLOAD_WEIGHTS].bytes, c->diags, out_hash);
}
