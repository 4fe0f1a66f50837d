/* Shared by the files of fuse: groups of nodes on the way to becoming fused nodes. */
#ifndef SN_PASSES_GRAPH_FUSE_H
#define SN_PASSES_GRAPH_FUSE_H

#include "ir/graph/graph.h"
#include "passes/passes.h"

enum { SN_FUSE_INPUTS = 64 }; /* buffers that one kernel reads */

typedef enum sn_fuse_kind {
  SN_FUSE_MAP,
  SN_FUSE_ROWS,
  SN_FUSE_CONTRACT,
  SN_FUSE_ATTEND,
  SN_FUSE_INDEX,
  SN_FUSE_SCAN, /* from here on: always groups of their own */
  SN_FUSE_COND,
  SN_FUSE_WHILE,
  SN_FUSE_KINDS
} sn_fuse_kind;

/* When a value is made, fuse_ahead.c. */
typedef enum sn_fuse_time { SN_FUSE_EARLY, SN_FUSE_AHEAD, SN_FUSE_LATE } sn_fuse_time;

typedef struct sn_fuse_group {
  sn_fuse_kind kind;
  int count;
  int *node;    /* positions in f->node, ascending */
  int version;  /* changes when the group does; -1: merged into another */
  int mark;     /* of the last search that met it */
  int64_t rank; /* this and the neighbours: its place in an order, see fuse_order.c */
  int before, behind;
  int operand_version; /* of which the operands are known */
  int operand_count;
  int *operand;      /* positions of nodes in groups */
  int input_version; /* of which the inputs are known */
  int input_count;
  sn_val *input; /* see sn_fuse_group_inputs */
} sn_fuse_group;

typedef struct sn_fuse_answers sn_fuse_answers;
typedef struct sn_fuse_order sn_fuse_order;

typedef struct sn_fuse {
  sn_pass_env *env;
  sn_arena *arena; /* of one function */
  const sn_func *f;
  bool *stored;       /* by value id: a view or leaf that is made in memory */
  bool *kept;         /* by value id: output, next state or guard */
  bool *inlined;      /* by value id: computed wherever it is used */
  sn_fuse_time *when; /* by value id */
  bool *member;       /* by value id: scratch of a check */
  bool *copied;       /* by node position: scratch of a check: computed here, but another group stores it */
  int *position;      /* by value id: of its node in f->node */
  int *group_of;      /* by node position; -1: free (leaves, views) */
  int **user, *users; /* by node position: positions of the nodes that use its results, and how many */
  const int *readers; /* by value id: groups that read it from memory, where copies have users too; NULL: users tell */
  int group_count;
  sn_fuse_group *group;
  int64_t *dims; /* what symbols stand for when bytes are compared */
  double *bytes; /* by value id */
  int marks, versions;
  sn_fuse_order *order;
  bool is_ordered;          /* false: groups were changed otherwise than by joining */
  sn_map *refused;          /* versions of both groups -> reason */
  sn_fuse_answers *answers; /* see sn_fuse_recall; NULL: none yet */
} sn_fuse;

/* What sn_fuse_check asks: may these nodes be one kernel? */
typedef struct sn_fuse_question {
  sn_fuse *s;
  sn_arena *scratch;
  int count; /* without views */
  const int *position;
  int node_count;
  const sn_node **node; /* with views and inlined nodes */
  int output_count;
  sn_val *output;
} sn_fuse_question;

typedef struct sn_fuse_answer {
  struct sn_fuse_answer *next; /* of the same hash */
  const uint64_t *form;
  int count;         /* words of the form */
  bool given;        /* the rest is known */
  const char *why;   /* as sn_fuse_check gives it */
  sn_fuse_kind kind; /* the same */
} sn_fuse_answer;

/* The answer to questions of this form: given, or to be filled in; NULL: the question has none. s->member says what is
 * computed inside. */
sn_fuse_answer *sn_fuse_recall(sn_fuse *s, const sn_fuse_question *q);

static inline const sn_node *sn_fuse_node(const sn_fuse *s, int i) { return s->f->node[i]; }
/* Position of the node of a value. */
int sn_fuse_position(const sn_fuse *s, sn_val v);
/* Leaves and views that need no kernel. */
bool sn_fuse_is_free(const sn_fuse *s, const sn_node *n);
/* Is the node's result read from a buffer: made by a group, or a leaf with a name? */
bool sn_fuse_in_memory(const sn_fuse *s, const sn_node *n);
/* The value whose buffer is read for v: views that are not stored are looked through. */
sn_val sn_fuse_base(const sn_fuse *s, sn_val v);
/* Group of the value's node, -1: in memory anyway or inlined. */
int sn_fuse_group_of(const sn_fuse *s, sn_val v);
/* Is the value made by a kernel for one reader alone? */
bool sn_fuse_is_used_once(const sn_fuse *s, sn_val v);
/* Finds what must lie in memory, and makes a group of every other node. */
void sn_fuse_begin(sn_fuse *s, sn_pass_env *env, sn_arena *arena, const sn_func *f, bool inlines);
/* Work of one element, in elementwise operations. */
int sn_fuse_cost(const sn_node *n);

/* Can these nodes (ascending positions) be one kernel? -> NULL, or the reason. *kind: what it is.
 * outputs: values needed outside. */
const char *sn_fuse_check(sn_fuse *s, int count, const int *node, sn_fuse_kind *kind);
/* Values of the nodes that are needed outside of them, ascending. -> count */
int sn_fuse_outputs(const sn_fuse *s, int count, const int *node, sn_val *out);
/* Buffers that the nodes read, ascending. -> count; at most `most` are written */
int sn_fuse_inputs(const sn_fuse *s, int count, const int *node, sn_val *in, int most);

/* Those of a group, all of them; valid until it changes. -> count */
int sn_fuse_group_inputs(sn_fuse *s, int group, const sn_val **out);

/* Are the kind of kernel and the rule that makes it switched on? */
bool sn_fuse_rule_allows(const sn_fuse *s, sn_fuse_kind from, sn_fuse_kind to);

/* Every group is one node. */
void sn_fuse_order_begin(sn_fuse *s);
/* Does anything between the groups depend on `from` and feed `to`? What `to` itself reads of `from` does not count. */
bool sn_fuse_makes_cycle(sn_fuse *s, int from, int to);
/* `into` is about to take in the other, and that makes no cycle. */
void sn_fuse_order_join(sn_fuse *s, int into, int other);

/* Finds what can be made once, before a run. */
void sn_fuse_find_ahead(sn_fuse *s);
/* Do the nodes hold what is made ahead of a run, and what needs one? */
bool sn_fuse_splits_time(const sn_fuse *s, int count, const int *node);
/* Removes intermediates from memory by computing them again in their users. */
void sn_fuse_recompute(sn_fuse *s);
/* Groups -> a function of fused nodes that takes the place of s->f; -> *out. */
SN_MUST sn_code sn_fuse_build(sn_fuse *s, sn_func **out);

const char *sn_fuse_kind_name(sn_fuse_kind k);
sn_fuse_kind sn_fuse_kind_of(const sn_node *n);
/* Constants, positions and extents: numbers that are no memory. */
bool sn_fuse_is_number(sn_op op);

#endif
