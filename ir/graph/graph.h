/* The graph IR: functions of typed, immutable nodes in topological order, in one arena.
 *
 *   module    the symbol table and every function of a program
 *   function  an entry graph ("train"), a layer body or a region (score, mask, fused body)
 *   node      an op with operands, attributes and one or more results
 *   value     one result of a node, a 32-bit id; 0 is none
 *
 * Nodes are never changed once added. A pass builds a new function; facts about nodes live in side arrays
 * indexed by value id. The structure only: types are inferred and rules applied in ir/ops. */
#ifndef SN_IR_GRAPH_GRAPH_H
#define SN_IR_GRAPH_GRAPH_H

#include <stdint.h>

#include "ir/base/map.h"
#include "ir/base/status.h"
#include "ir/base/str.h"
#include "ir/types/op.h"
#include "ir/types/type.h"

typedef uint32_t sn_val;
typedef struct sn_func sn_func;
typedef struct sn_module sn_module;

/* One attribute; which member holds is said by the kind in op.def. */
typedef struct sn_attr {
  bool set;                   /* optional attributes may be absent */
  int64_t i;                  /* kind i, and e (an sn_elem) */
  double f;                   /* kind f */
  const char *s;              /* kind s, interned */
  const sn_dimx *d;           /* kind d */
  int count;                  /* kinds I, D: number of entries */
  const int64_t *ints;        /* kind I */
  const sn_dimx *const *dims; /* kind D */
  const sn_func *region;      /* kind R */
} sn_attr;

/* Where a node came from. Survives every pass; not part of its identity. */
typedef struct sn_origin {
  const sn_loc *locs; /* source lines, the first is the main one */
  int loc_count;
  const char *layer; /* "h.3", set when a call was inlined; NULL: none */
  const char *group; /* expansion it came from: "softmax#12"; NULL: none. Unfused builds keep these together */
} sn_origin;

typedef struct sn_node {
  sn_op op;
  int arg_count, result_count;
  const sn_val *arg;          /* operands: values with smaller ids */
  const sn_attr *attr;        /* as many as op.def lists, in its order */
  const sn_type *const *type; /* of each result */
  sn_val first;               /* its results are first .. first + result_count - 1 */
  sn_origin origin;
} sn_node;

typedef struct sn_output {
  const char *name;
  sn_val value;
} sn_output_pair;
typedef struct sn_state_pair {
  sn_val state, next;
} sn_state_pair; /* state: result of a PARAM or STATE node */

/* The kinds of function. */
typedef enum sn_func_kind {
  SN_FUNC_GRAPH, /* entry: inputs, parameters and states as leaves; outputs and updates by name */
  SN_FUNC_BODY   /* region or callee: ARG leaves, results in order; a callee may hold leaves too */
} sn_func_kind;

struct sn_func {
  sn_module *module;
  const char *name;
  sn_func_kind kind;
  sn_arena *arena;
  int node_count, node_capacity;
  const sn_node **node;            /* in topological order */
  int value_count, value_capacity; /* ids are 1 .. value_count - 1: side arrays have value_count entries */
  const sn_node **node_of;         /* by value id; [0] is NULL */
  int result_count, result_capacity;
  sn_val *result; /* BODY: returned values */
  int output_count, output_capacity;
  sn_output_pair *output; /* GRAPH: sorted by name when finished */
  int update_count, update_capacity;
  sn_state_pair *update; /* GRAPH: state written after the run; sorted by name of the state when finished */
  sn_val guard;          /* GRAPH: bool[]; when false no update happens and the run reports SN_ERR_NUMERIC; 0: none */
  sn_map *interned;      /* hash-consing table */
};

struct sn_module {
  sn_arena *arena;
  sn_types *types;
  sn_names *names;
  int func_count, func_capacity;
  sn_func **func; /* in order of creation */
  sn_map *suffix; /* next number tried to make a name unique, by name */
};

sn_module *sn_module_create(sn_arena *arena);
/* NULL when there is none of that name. */
sn_func *sn_module_find(const sn_module *m, const char *name);

/* A new, empty function listed in the module; its name is made unique by a suffix. */
sn_func *sn_func_create(sn_module *m, const char *name, sn_func_kind kind);
/* Drops a function from the module's list (its memory stays in the arena). */
void sn_module_remove(sn_module *m, const sn_func *f);

/* Adds a node, or returns the equal node that is already there (merging source lines). Attributes
 * are copied. No checks: ir/ops does them.  -> its first result. */
sn_val sn_func_add(sn_func *f, sn_op op, int arg_count, const sn_val *arg, const sn_attr *attr, int result_count,
                   const sn_type *const *type, const sn_origin *origin);
void sn_func_return(sn_func *f, sn_val value);
void sn_func_output(sn_func *f, const char *name, sn_val value);
void sn_func_update(sn_func *f, sn_val state, sn_val next);

/* Facts of a value. */
static inline const sn_node *sn_node_of(const sn_func *f, sn_val v) { return f->node_of[v]; }
const sn_type *sn_val_type(const sn_func *f, sn_val v);
int sn_val_result(const sn_func *f, sn_val v);                   /* which result of its node */
const sn_attr *sn_node_attr(const sn_node *n, const char *name); /* the op must have it */
const char *sn_node_variant(const sn_node *n);                   /* NAME of `attention.NAME`; NULL: none */
const char *sn_node_called(sn_arena *arena, const sn_node *n);   /* the op's name, or `attention.NAME` */
bool sn_val_is_const(const sn_func *f, sn_val v, double *out);   /* result of a CONST node */
const char *sn_leaf_name(const sn_node *n);                      /* name of INPUT, PARAM, STATE; NULL otherwise */
/* The leaf called `name` with that op, 0 when there is none. */
sn_val sn_func_leaf(const sn_func *f, sn_op op, const char *name);

/* Copy of the structure of `n`, a node of the same module, with other operands into function `to`. */
sn_val sn_func_copy_node(sn_func *to, const sn_node *n, const sn_val *arg);
/* Renumbers depth first from results, outputs and updates, dropping what is dead: the same graph
 * gives the same numbers however it was built. Inputs named in the signature survive. -> a new function that takes the
 * name and place of `f` in the module. */
sn_func *sn_func_finish(sn_func *f);
/* Where a pass builds: a new, empty function of the kind and name of `f` that the module does not list. */
sn_func *sn_func_successor(const sn_func *f);
/* The same in an arena that may be destroyed after sn_func_replace, which copies what stays. */
sn_func *sn_func_successor_in(const sn_func *f, sn_arena *arena);
/* Finishes `fresh` and lists it in place of `old`, under the name of `old`.  -> the finished function. */
sn_func *sn_func_replace(sn_func *old, sn_func *fresh);
/* Structural equality, up to names of the functions and origins. */
bool sn_func_equal(const sn_func *a, const sn_func *b);

/* Structure: operands precede uses, counts match op.def, attributes present, arguments contiguous,
 * states written once, regions closed. Messages name the node as the text form prints it. */
SN_MUST sn_code sn_func_verify(const sn_func *f, sn_diags *diags);

#endif
