/* A compiled plan as the command runs it: read from its binary form, without a model and without the compiler. */
#include <stdio.h>
#include <string.h>

#include "frontend/cli/cli.h"
#include "runtime/io/levels.h"

bool cli_is_plan(const char *path) {
  char start[8] = {0};
  FILE *f = fopen(path, "rb");
  if (!f) return false;
  size_t count = fread(start, 1, sizeof start, f);
  fclose(f);
  return count == sizeof start && (!strcmp(start, "SNPLAN1") || !memcmp(start, "SNLEVEL1", 8));
}

/* What decides how a model is compiled says nothing about a plan. */
static sn_code check_options(cli *c, const char *path) {
  static const cli_option of_models[] = {CLI_SET,      CLI_TARGET, CLI_BACKEND, CLI_ISA,     CLI_PRECISION,
                                         CLI_FUSE,     CLI_GRAD,   CLI_WRT,     CLI_CHECK,   CLI_DISABLE,
                                         CLI_PLAN,     CLI_LADDER, CLI_KERNELS, CLI_TEACHER, CLI_TRAINABLE,
                                         CLI_QUANTIZE, CLI_VOCAB,  CLI_SCAN,    CLI_TUNE};
  for (size_t i = 0; i < sizeof of_models / sizeof *of_models; i++)
    if (cli_has(c, of_models[i]))
      return cli_usage_error(c, "--%s needs the model: %s is compiled already", cli_option_name(of_models[i]), path);
  return SN_OK;
}

sn_code cli_load_plan(cli *c, const char *path, sn_compiled *out) {
  char *data;
  size_t bytes;
  *out = (sn_compiled){.arena = c->arena};
  SN_TRY(check_options(c, path));
  SN_TRY(cli_read_file(c, path, (size_t)1 << 32, &data, &bytes));
  SN_TRY(sn_levels_plan(c->arena, c->diags, path, data, bytes, &out->plan));
  SN_TRY(sn_plan_check_hazards(out->plan, c->diags));
  for (int g = 0; g < out->plan->graph_count; g++)
    for (int i = 0; i < out->plan->graph[g].step_count; i++)
      if (out->plan->graph[g].step[i].kind == SN_STEP_HOST)
        return sn_fail(c->diags, SN_ERR_DEVICE, (sn_loc){.file = path},
                       "a plan for target ref runs only in the process that made it: give the model");
  return SN_OK;
}
