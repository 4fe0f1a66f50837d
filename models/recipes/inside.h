/* Private to the kit: what a run and a net consist of. */
#ifndef SINTER_MODELS_RECIPES_INSIDE_H
#define SINTER_MODELS_RECIPES_INSIDE_H

#include "ir/base/str.h"
#include "models/recipes/run.h"

enum { CTX_MAX = 8 };

struct recipe {
  const recipe_options *opt;
  sn_arena *arena;
  sn_diags *diags;
  sn_ctx *ctx;
  int ctx_count;
  sn_ctx *ctx_before[CTX_MAX]; /* of other numbers of threads */
  sn_code code;                /* of what failed */
  int check_count, check_capacity;
  recipe_check *check;
  int trained_count, trained_capacity;
  recipe_trained *trained;
  int line_count, line_capacity;
  recipe_line *line;
};

struct net {
  recipe *r;
  const sn_model *model;
  const char *graphs, *settings;
  sn_program *program;
  sn_store *store;
};

/* Notes that a call of the interface failed, if it did. -> whether all is well */
bool recipe_ok(recipe *r, sn_code code, const char *doing);
void recipe_note_trained(recipe *r, recipe_trained t);
void recipe_point(recipe *r, const char *title, const char *label, double x, double y);

/* Inputs and outputs of a graph, in the types that it has. */
enum { BATCH_PORTS = FEED_PORTS + 504 };
typedef struct batch {
  net *n;
  const char *graph;
  const feed *f;
  int count;
  sn_io *io;
  void *port[FEED_PORTS];   /* what the feed fills */
  double *wide[FEED_PORTS]; /* the same as the graph wants it, in f64; NULL: as it is filled */
  char sizes[256];          /* "B=8 T=64", as the feed's extents say */
} batch;

/* With the ports of the feed that the graph has. */
batch batch_make(net *n, const char *graph, const feed *f);
void batch_fill(batch *b, uint64_t seed, uint64_t index);
/* A scalar input, where the graph has it. */
void batch_scalar(batch *b, const char *name, double value);
/* An output: its memory, filled by a run. data NULL: there is none, the recipe failed */
typedef struct result {
  void *data;
  char dtype; /* 'f' f32, 'd' f64, 'i' i32 */
  int64_t count, extent[8];
} result;
result batch_output(batch *b, const char *name);
double result_at(const result *x, int64_t i);
void batch_run(batch *b);

/* A scalar output and its derivatives, of a net compiled with them: of the parameters that the graph has. */
typedef struct slopes {
  batch b;
  result loss;
  int count;
  const char **name;
  result *at;
} slopes;
bool slopes_make(net *n, const char *graph, const char *loss, const feed *f, slopes *out);
/* Of batch `index`.   -> the loss; NAN: the recipe failed */
double slopes_run(slopes *s, uint64_t index);

#endif
