/* Inside the frontend: the state of a build, the functions being traced, and what the files of this room share.
 *
 * A model's C functions are run; each call of sinter.h adds nodes to the function that its operands belong to. A value
 * of an outer function that meets one of an inner function (layer body, region) becomes a capture of the inner one. */
#ifndef SN_FRONTEND_TRACE_H
#define SN_FRONTEND_TRACE_H

#include "frontend/sinter.h"
#include "ir/ops/ops.h"

typedef struct sn_trace sn_trace;
typedef struct sn_fn sn_fn;
typedef struct sn_path sn_path;
typedef struct sn_loop sn_loop;

/* What a name of the store stands for, in all graphs of the model. */
typedef struct sn_leaf_decl {
  const char *name; /* full: "h.3.attn.c_attn.weight" */
  sn_op op;         /* SN_OP_PARAM or SN_OP_STATE */
  const sn_type *type;
  sn_init init; /* the explicit one if any declaration has one */
  sn_here here; /* of the first declaration */
} sn_leaf_decl;

struct sn_symbol { /* what sn_dim points to */
  sn_trace *trace;
  const sn_dimx *dim;
};

/* One build: every graph of a model into one module. */
struct sn_trace {
  sn_arena *arena;
  sn_diags *diags;
  sn_module *module;
  sn_elem real;          /* SN_REAL */
  const char *model;     /* its name */
  const char *trainable; /* sn_model_opt.trainable; NULL: all */
  int left_out, left_out_capacity;
  const char **left_out_name; /* parameters that `trainable` kept from training, in the graph being built */
  sn_map *store;              /* full name -> sn_leaf_decl */
  const sn_map *inits; /* full name -> sn_init *: explicit initial values, known from a first build; NULL: none */
  int symbol_count, symbol_capacity;
  struct sn_symbol_decl {
    const char *name;
    int64_t min, max, multiple;
  } *symbol;    /* in order of declaration */
  sn_fn *graph; /* the graph being built */
  sn_fn *inner; /* the innermost graph or layer being built */
  int mistakes; /* reported so far */
  int body_count, body_capacity;
  struct sn_body {
    sn_func *func;
    const char *base;
  } *body; /* finished layer bodies and regions, one of each kind */
};

/* A value of an outer function used inside. */
typedef struct sn_capture {
  sn_val outer, inner; /* inner: an ARG of the function */
} sn_capture;

/* A state written inside a function. */
typedef struct sn_fn_update {
  const char *star; /* name of the leaf in the function */
  sn_val leaf, next;
  sn_here here;
} sn_fn_update;

/* A graph, layer body or region while its nodes are traced. */
struct sn_fn {
  sn_trace *trace;
  sn_fn *outer;      /* NULL: a graph */
  int depth;         /* 0: a graph */
  const char *name;  /* "train", "h", "score" */
  const char *where; /* note of mistakes inside: "in layer h.0, sn_layers at gpt.c:38"; NULL: none */
  sn_build b;
  sn_loc loc;   /* the origin of b points here */
  bool closed;  /* its values can no longer be used */
  bool repeats; /* runs many times: the step of a scan */
  sn_t queries; /* a region of attention: its q, and where that stands; fn NULL: none */
  sn_t start;
  int fixed_count; /* ARG leaves before the captures */
  int capture_count, capture_capacity;
  sn_capture *capture;
  int update_count, update_capacity;
  sn_fn_update *update;
  sn_map *facts; /* value id -> sn_fact */
  /* of a graph only */
  int param_count, param_capacity;
  struct sn_graph_param {
    const sn_leaf_decl *decl;
    bool frozen;
  } *param;          /* declared in it, in any order */
  sn_val apply;      /* bool[]: updates of a rule that runs now happen only then; 0: always */
  sn_t rule_step;    /* sn_step_count while a rule runs; fn NULL: the state itself */
  sn_here rule_here; /* sn_minimize while a rule runs */
  bool counted;      /* the state "step" is updated */
  bool trains;       /* sn_minimize found parameters */
};

/* What is known of a value beyond its type. */
typedef struct sn_fact {
  int64_t cache; /* rows of the cache it is the next value of; 0: none */
  bool ring;
  sn_t start;               /* position of the first row written */
  const sn_dimx *rows;      /* rows written */
  const sn_dimx *positions; /* sn_positions: positions counted from the start; NULL: not positions */
  const sn_dimx *below;     /* of a site: it runs from 0 to below - 1; NULL: not known */
  sn_t row_table;           /* products of `row_queries` with these, one by one; fn NULL: others */
  sn_t row_queries;
} sn_fact;

/* Names and modes of a scope. */
struct sn_path {
  const char *name; /* full: "h.3.attn"; "" at the root */
  const char *star; /* in the scope's function: "h.*.attn" */
  bool frozen, train;
  int64_t cache;
  sn_t start;
  const char *hook_on;
  sn_linear_hook hook;
  const void *hook_opt;
  int layer;     /* index of the innermost sn_layers; -1: none */
  sn_loop *loop; /* set in the scope that sn_layers itself gave */
};

/* ---- one call of sinter.h ----------------------------------------------------------------------- */

/* The function that new nodes go to, and whether anything is to be done at all. */
typedef struct sn_call {
  sn_here here;
  sn_trace *trace; /* NULL: only numbers */
  sn_fn *fn;
  bool poison; /* an operand is poison, or a mistake was reported: return sn_poison(&c) */
} sn_call;

/* A call on operands: the innermost function among them. fn NULL when all are numbers. */
sn_call sn_call_on(sn_here here, int count, const sn_t *x);
/* A call in a scope, possibly deeper when an operand is. */
sn_call sn_call_in(sn_here here, sn_scope m, int count, const sn_t *x);
/* Poison: a value that stands for a mistake already reported. */
sn_t sn_poison(const sn_call *c);
static inline bool sn_is_poison(sn_t x) { return x.fn && !x.u.id; }
static inline bool sn_is_number(sn_t x) { return !x.fn; }
static inline sn_t sn_num(double x) { return (sn_t){.u.num = x}; }
/* The value x as an id in c->fn: captured when it belongs to a function around. 0: poison, reported.
 * spelled: how messages call it. */
sn_val sn_bring(sn_call *c, sn_t x, const char *spelled);
/* Wraps a result; poison when the builder failed (its diagnostic gets the notes). */
sn_t sn_result(sn_call *c, sn_val v);

/* ---- mistakes -------------------------------------------------------------------------------------- */

/* One mistake at c->here: "sn_add: <message>", with expected and found (NULL: none). A mistake equal to an earlier one
 * is not repeated. Poisons the call. */
void sn_mistake(sn_call *c, const char *expected, const char *found, const char *format, ...) SN_PRINTF(4, 5);
/* The same with `message` as it is, without the name of the call. */
void sn_mistake_plain(sn_call *c, const char *expected, const char *found, const char *message);
/* Argument i of the call as the user spelled it; "" when there is none. */
const char *sn_spelled(const sn_call *c, int i);
/* "bias f32[65] (param "bias" at mlp.c:9)"; of a number "2". */
const char *sn_describe(const sn_call *c, sn_t x, const char *spelled);
/* The operand must be a tensor. -> its type, NULL after a mistake ("operand v is missing"). */
const sn_type *sn_need(sn_call *c, sn_t x, const char *operand);
const char *sn_texts(const sn_call *c, const char *format, ...) SN_PRINTF(2, 3); /* in the arena */
const char *sn_dim_text(const sn_call *c, const sn_dimx *d);
const char *sn_base_name(const char *path);

/* ---- types ------------------------------------------------------------------------------------------- */

const sn_type *sn_t_type(sn_t x); /* NULL: number or poison */
static inline sn_types *sn_types_of(const sn_call *c) { return c->trace->module->types; }
sn_elem sn_elem_of(const sn_trace *t, sn_dtype d);
const sn_dimx *sn_dimx_of(const sn_trace *t, sn_dim d);
sn_dim sn_dim_from(sn_trace *t, const sn_dimx *d);
/* A shape checked: rank, extents from 1. false after a mistake. */
bool sn_shape_read(sn_call *c, sn_shape s, const sn_dimx **dims);
/* Axis -1 is the last. -1 after a mistake. */
int sn_axis_of(sn_call *c, const sn_type *t, int axis);
/* Broadcast shape of two types' dims, NULL when they do not; *axis (from the right, negative) is where. */
const sn_type *sn_join(sn_types *types, sn_elem e, const sn_type *a, const sn_type *b, int *axis);

/* ---- functions ------------------------------------------------------------------------------------------ */

sn_fn *sn_fn_open(sn_trace *t, sn_fn *outer, const char *name, sn_func_kind kind, sn_here here);
/* ARG leaf number fn->fixed_count++ of a body. */
sn_t sn_fn_arg(sn_fn *fn, const sn_type *type);
/* Closes a body: captures in canonical order, dead nodes dropped, equal bodies shared.
 *   captured: values of the outer function in the order of the arguments that follow the fixed ones. */
typedef struct sn_closed {
  const sn_func *func;
  int captured_count;
  const sn_val *captured; /* in fn->outer */
} sn_closed;
sn_closed sn_fn_close(sn_fn *fn, int result_count, const sn_val *results);
/* Two bodies of one op (score and mask) share one list of captures, in the order they are met in the first, then the
 * second. NULL entries of fn are absent. */
void sn_fn_close_pair(sn_fn *const fn[2], const int counts[2], const sn_val *const results[2], sn_closed out[2]);

/* A region of the call: what the user's function adds goes there until sn_region_leave. what: "step", for notes. */
sn_fn *sn_region_open(sn_call *c, const char *name, const char *what);
void sn_region_leave(sn_call *c);
/* What the user's function gave, in the region; numbers become constants. want: its type, NULL: any tensor.
 * -> 0 after the mistake `message`, told at the call. */
sn_val sn_region_result(sn_call *c, sn_fn *fn, sn_t y, const sn_type *want, const char *message);
sn_fact *sn_fact_of(sn_fn *fn, sn_val v, bool create);
/* Gives the bodies of a finished module names and an order that follow from the graphs alone. */
void sn_module_tidy(sn_trace *t);

/* ---- leaves ---------------------------------------------------------------------------------------------- */

/* The leaf `name` below the scope: declared in the store, emitted in the scope's function. */
sn_t sn_leaf(sn_call *c, sn_op op, sn_scope m, const char *name, const sn_type *type, sn_init init);
/* The leaf of a declared parameter in the graph itself, under its full name. */
sn_val sn_graph_leaf(sn_trace *t, const sn_leaf_decl *d);
/* A state at the root of the graph: "step". */
sn_t sn_root_state(sn_trace *t, sn_here here, const char *name, sn_elem e);
sn_t sn_root_scalar(sn_trace *t, sn_here here, const char *name, sn_elem e, double value);
void sn_record_update(sn_call *c, sn_t old, sn_t next);
const char *sn_join_name(const sn_call *c, const char *path, const char *name);
/* The first '*' of `name` beyond those of `with`, and all before it, replaced by `with`: how a call names leaves. */
const char *sn_unstar(sn_arena *arena, const char *with, const char *name);
/* The start of a name, of as many parts as the pattern has before its first '*', that is nearest to the pattern's own;
 * NULL: none is near. */
const char *sn_pattern_near(sn_arena *arena, const char *pattern, int count, const char *const *names);
/* The scope called `name` in the graph itself. */
sn_scope sn_root_scope(sn_trace *t, const char *name, sn_scope modes_of);

/* ---- axis notation ----------------------------------------------------------------------------------------- */

enum { SN_AXIS_MAX = 16 };
/* One side of "bt(nhd)->nbthd1". */
typedef struct sn_axis_list {
  int group_count;          /* axes of the tensor */
  int count;                /* letters and ones */
  char letter[SN_AXIS_MAX]; /* '1' stands for an axis of extent 1 */
  int group[SN_AXIS_MAX];   /* the axis each belongs to */
} sn_axis_list;
/* Reads up to `stop` ("," "->" or the end). NULL after a mistake; else the rest. */
const char *sn_axes_read(sn_call *c, const char *spec, const char *at, sn_axis_list *out);
int sn_axes_find(const sn_axis_list *l, char letter); /* -1: none */

/* ---- building, sn_t to sn_t, on behalf of a call --------------------------------------------------------------- */

#define SN_OPERATION2(name, op) \
  static inline sn_t name(sn_here h, sn_t a, sn_t b) { return sn_op2(h, op, (sn_arg){a}, (sn_arg){b}); }
#define SN_OPERATION1(name, op) \
  static inline sn_t name(sn_here h, sn_t a) { return sn_op1(h, op, (sn_arg){a}); }
SN_OPERATION2(sn_x_add, "add")
SN_OPERATION2(sn_x_sub, "sub")
SN_OPERATION2(sn_x_mul, "mul")
SN_OPERATION2(sn_x_div, "div")
SN_OPERATION2(sn_x_mod, "mod")
SN_OPERATION2(sn_x_pow, "pow")
SN_OPERATION2(sn_x_min, "min")
SN_OPERATION2(sn_x_max, "max")
SN_OPERATION2(sn_x_lt, "lt")
SN_OPERATION2(sn_x_le, "le")
SN_OPERATION2(sn_x_and, "and")
SN_OPERATION1(sn_x_neg, "neg")
SN_OPERATION1(sn_x_abs, "abs")
SN_OPERATION1(sn_x_exp, "exp")
SN_OPERATION1(sn_x_log, "log")
SN_OPERATION1(sn_x_sqrt, "sqrt")
SN_OPERATION1(sn_x_cos, "cos")
SN_OPERATION1(sn_x_sin, "sin")
SN_OPERATION1(sn_x_square, "square")
static inline sn_t sn_x_where(sn_here h, sn_t c, sn_t a, sn_t b) {
  return sn_op3(h, "select", (sn_arg){c}, (sn_arg){a}, (sn_arg){b});
}

/* The value broadcast to a shape and cast: numbers become constants. */
sn_val sn_as(sn_call *c, sn_t x, const sn_type *type, const char *spelled);
/* sn_cache with a table of pages. -> the rows of every sequence [B, N, ..] */
sn_t sn_paged_cache(sn_call *c, const sn_cache_args *a);
/* The position of a first row as an operand: i32[] or i32[B]. */
sn_val sn_start_value(sn_call *c, sn_t start);
/* A value whose axes are the letters, in the order and grouping of `right`, which holds the same letters (and ones). */
sn_val sn_arrange(sn_call *c, sn_val v, const char *letters, const sn_axis_list *right);
/* Sum (or maximum) over some axes given as a bit mask. */
sn_val sn_reduce_axes(sn_call *c, sn_op op, sn_val v, unsigned mask);

#endif
