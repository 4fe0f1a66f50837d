/* The feature levels that `build` makes code for: which ones, and their plans in one piece. */
#ifndef SN_FRONTEND_CLI_LEVELS_H
#define SN_FRONTEND_CLI_LEVELS_H

#include "frontend/cli/cli.h"
#include "runtime/io/levels.h"

typedef struct cli_levels {
  int count;
  bool is_asked; /* named by --levels: each must be there */
  struct {
    const char *name; /* "" when there is only one plan, for whatever it was compiled */
    sn_plan *plan;
  } at[SN_LEVELS_MAX]; /* ascending */
} cli_levels;

/* Names of the levels of --levels, ascending; without it those that `kind` of output has: all for programs and objects.
 * None: one plan, of this machine or of --isa.   errors: SN_ERR_USAGE what it cannot be joined with */
SN_MUST sn_code cli_levels_wanted(cli *c, const char *kind, cli_levels *out);
/* Fills in the plans: compile(user, level) makes one; `made`, if it is not NULL, is taken where it is of the level.
 * Levels that nobody asked for are left out, with a warning, where no code can be made and there is a plan `made`. */
typedef sn_code (*cli_level_fn)(void *user, const char *level, sn_plan **out);
SN_MUST sn_code cli_levels_make(cli *c, cli_levels *l, sn_plan *made, cli_level_fn compile, void *user);
/* One plan without levels. */
cli_levels cli_levels_single(sn_plan *p);
/* The plans in binary form.   errors: SN_ERR_DEVICE a plan that is not of a processor */
SN_MUST sn_code cli_levels_write(cli *c, const cli_levels *l, unsigned char **out, size_t *out_bytes);

#endif
