/* Runs of recipes, and what is written of them. */
#ifndef SN_FRONTEND_CLI_RECIPES_H
#define SN_FRONTEND_CLI_RECIPES_H

#include "frontend/cli/cli.h"
#include "frontend/cli/progress.h"
#include "models/recipes/run.h"

enum { CLI_RECIPES_MAX = 256 };

typedef struct cli_recipes {
  cli *c;
  recipe_options opt;
  const char *out;  /* folder; NULL: none */
  int count, seeds; /* rows; runs of each, with seeds 1 .. seeds, or opt.seed alone */
  int done;         /* of the rows: those that results are written of */
  const recipe_row *row[CLI_RECIPES_MAX];
  recipe_result *result[CLI_RECIPES_MAX]; /* of each seed */
  cli_progress progress;
  const char *label; /* of what progress is told about */
} cli_recipes;

const char *cli_recipe_kind(recipe_kind k);
const char *cli_recipe_verdict(const recipe_check *c);
/* "decoder: gpt, 102 k parameters; 6000 steps of train, tokens[16, 64], rate 0.01; loss 0.8123; 20.3 s" */
const char *cli_recipe_trained(sn_arena *arena, const recipe_trained *t);
/* " (0.89 of 6400: 0.88 to 0.9)", a share and its interval; "": the check is of none */
const char *cli_recipe_share(sn_arena *arena, const recipe_check *c);
/* Checks that were not judged. */
int cli_recipe_skipped(const recipe_result *r);
uint64_t cli_recipe_seed(const cli_recipes *x, int run);
/* Check k of a row as the worst of its seeds left it. -> seeds in which it failed; worst_seed: of that value */
int cli_recipe_worst(const cli_recipes *x, int row, int k, recipe_check *out, uint64_t *worst_seed);

/* Rows and checks as JSON; as systems.md: what was seen in one run, or in all seeds. */
void cli_recipes_json(sn_text *t, const cli_recipes *x);
void cli_recipes_table(sn_text *t, const cli_recipes *x);
/* recipes.json and systems.md of the rows that are done, and of the newest ID.metrics.jsonl (losses, and what else is
 * plotted; checks), its checks as a chart, ID.checks.svg, and a chart for each title of what is plotted, ID.svg,
 * ID-2.svg, ...; each file is there whole or as it was. */
SN_MUST sn_code cli_recipes_write(cli_recipes *x);

#endif
