/* Private to the kit: what a run and a net consist of. */
#ifndef SINTER_MODELS_RECIPES_INSIDE_H
#define SINTER_MODELS_RECIPES_INSIDE_H

#include "ir/base/str.h"
#include "models/recipes/run.h"

struct recipe {
  const recipe_options *opt;
  sn_arena *arena;
  sn_diags *diags;
  sn_ctx *ctx;
  sn_code code; /* of what failed */
  int check_count, check_capacity;
  recipe_check *check;
  int line_count, line_capacity;
  recipe_line *line;
};

struct net {
  recipe *r;
  const char *graphs;
  sn_program *program;
  sn_store *store;
};

/* Notes that a call of the interface failed, if it did. -> whether all is well */
bool recipe_ok(recipe *r, sn_code code, const char *doing);
void recipe_point(recipe *r, const char *title, const char *label, double x, double y);

#endif
