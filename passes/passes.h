/* The passes over graphs and the pipeline that orders them. A pass replaces functions of the module by
 * transformed ones of the same name; old functions are never changed. */
#ifndef SN_PASSES_PASSES_H
#define SN_PASSES_PASSES_H

#include "ir/graph/graph.h"
#include "ir/types/target.h"

struct sn_kernel;

/* A fusion that was not made. */
typedef struct sn_fuse_refusal {
  const char *graph, *ops, *reason;
} sn_fuse_refusal;

/* How a loss over a large vocabulary is made. */
typedef enum sn_vocab {
  SN_VOCAB_AUTO,  /* by parts: the fewest products */
  SN_VOCAB_WHOLE, /* as it is written */
  SN_VOCAB_PARTS, /* by parts of the rows: logits of one part exist */
  SN_VOCAB_FUSED, /* with the product: logits of one tile exist; where that cannot be, by parts, with the reason */
} sn_vocab;

/* The form of recurrences. Where one does not apply, they are walked step by step. */
typedef enum sn_scan_form {
  SN_SCAN_AUTO, /* the first that applies: chunked, associative, sequential */
  SN_SCAN_SEQUENTIAL,
  SN_SCAN_CHUNKED,
  SN_SCAN_ASSOCIATIVE,
} sn_scan_form;

typedef struct sn_pass_env {
  sn_arena *arena; /* scratch and results */
  sn_diags *diags;
  const sn_target *target;
  const char
      *disabled;     /* rules switched off, comma separated "pass.rule" or "pass": "canon.add_concat,cse"; NULL: none */
  const char *fuse;  /* "all", "none" or kinds "map,rows,contract,attend,index"; NULL: all */
  sn_elem precision; /* bf16: products and attention read their operands as bf16; else as they are written */
  sn_elem weights;   /* i8: products read weights that no graph updates as i8 with scales; else as they are written */
  sn_vocab vocab;
  sn_scan_form scan;
  int scan_chunk; /* steps of a chunk; 0: chosen */
  /* Which of several kernels of equal bits a node becomes; kernel[0] is the usual one. NULL: always that. */
  int (*choose)(void *user, int count, const struct sn_kernel *const *kernel);
  void (*chose)(void *user, int code); /* where the one that was just chosen is in the plan */
  void *choose_user;
  sn_map *hits;  /* rules that applied, by name; NULL: not recorded */
  int rule_hits; /* out: rewrites done by the pass that ran last */
  int refusal_count, refusal_capacity;
  sn_fuse_refusal *refusal; /* out: what fuse refused, and forms, in order; lowering writes it into the plan */
} sn_pass_env;

typedef sn_code (*sn_pass_fn)(sn_module *m, sn_pass_env *env);

SN_MUST sn_code sn_pass_inline(sn_module *m, sn_pass_env *env); /* call -> its body, with layer names */
SN_MUST sn_code sn_pass_chunk(sn_module *m, sn_pass_env *env);  /* losses over large vocabularies -> by parts */
SN_MUST sn_code sn_pass_scan(sn_module *m, sn_pass_env *env);   /* recurrences -> chunks, or pairs of steps */
SN_MUST sn_code sn_pass_grad(sn_module *m, sn_pass_env *env);   /* grad -> derivative nodes */
SN_MUST sn_code sn_pass_expand(sn_module *m, sn_pass_env *env); /* EXPAND ops -> primitives */
SN_MUST sn_code sn_pass_canon(sn_module *m, sn_pass_env *env);
SN_MUST sn_code sn_pass_fold(sn_module *m, sn_pass_env *env);
SN_MUST sn_code sn_pass_cse(sn_module *m, sn_pass_env *env);
SN_MUST sn_code sn_pass_dce(sn_module *m, sn_pass_env *env);
SN_MUST sn_code sn_pass_precision(sn_module *m, sn_pass_env *env); /* operands of products and attention in bf16 */
SN_MUST sn_code sn_pass_quantize(sn_module *m, sn_pass_env *env);  /* weights of products in i8, with scales */
SN_MUST sn_code sn_pass_pages(sn_module *m, sn_pass_env *env);  /* gathered pages -> attention with a table of them */
SN_MUST sn_code sn_pass_blocks(sn_module *m, sn_pass_env *env); /* masks of attention -> maps of live blocks */
SN_MUST sn_code sn_pass_fuse(sn_module *m, sn_pass_env *env);   /* groups -> fused nodes, with reasons */

/* Are the names in env->fuse and the passes in env->disabled known? errors: SN_ERR_USAGE, with those that are. */
SN_MUST sn_code sn_pass_env_check(const sn_pass_env *env);
/* Notes that nodes of a graph are not fused, and why; once. */
void sn_pass_refuse(sn_pass_env *env, const char *graph, const char *ops, const char *reason);
/* Notes the form that `what` got, and why, for the same report; once. */
void sn_pass_form(sn_pass_env *env, const char *graph, const char *what, const char *form);
/* The same of a node at the user's line: "scan at model.c:12". Nothing of a node without a line. */
void sn_pass_form_at(sn_pass_env *env, const char *graph, const sn_node *n, const char *form);
/* Is the kind of fusion in env->fuse, or all? */
bool sn_fuse_wants(const sn_pass_env *env, const char *kind);
/* Is the parameter one that no graph of the module updates? */
bool sn_param_is_frozen(const sn_module *m, const sn_node *param);
/* With env->weights i8: no graph updates parameters or differentiates. errors: SN_ERR_USAGE, at the user's line. */
SN_MUST sn_code sn_quantize_check(const sn_module *m, const sn_pass_env *env);
/* Is "pass.rule" allowed? A rule counts its hits by calling this only when it applies. */
bool sn_rule_enabled(const sn_pass_env *env, const char *rule);
/* Does the comma separated list (or NULL) hold `rule`, or the pass that it belongs to? */
bool sn_rule_listed(const char *list, const char *rule);

/* What holds of every graph function. Rows of the pipeline say what they need, give and break. */
enum {
  SN_FACT_FLAT = 1,      /* no call */
  SN_FACT_NO_GRAD = 2,   /* no grad */
  SN_FACT_PRIMITIVE = 4, /* no EXPAND op, no stop */
  SN_FACT_FUSED = 8,     /* every node outside of leaves and views is `fused` */
};

typedef struct sn_pass {
  const char *name;
  sn_pass_fn run;
  int needs, gives, breaks; /* SN_FACT_* */
  const char *needed;       /* why graphs cannot do without it; NULL: it can be switched off by name */
} sn_pass;

/* What comes behind the pipeline. */
typedef struct sn_late_pass {
  const char *name;
  const char *needed; /* as above */
} sn_late_pass;

/* The pipeline, in order; terminated by a NULL name. */
extern const sn_pass sn_pipeline[];
/* Passes behind it, in order; terminated by a NULL name. */
extern const sn_late_pass sn_late_passes[];

/* Names of the passes that can be switched off, each once (a second round has the rules of the first).
 * -> how many, at most `most` */
int sn_passes_optional(const char **out, int most);

/* Runs the pipeline on every graph function, verifying before and after each pass. Stops after the pass called
 * `stop_after` (NULL: all). `after` (may be NULL) is called after each pass: dumps, timing, bisection. errors: those of
 * passes; SN_ERR_FAIL when a pass breaks an invariant, naming it. */
SN_MUST sn_code sn_pipeline_run(sn_module *m, sn_pass_env *env, const char *stop_after,
                                void (*after)(void *user, const char *pass, const sn_module *m, double ms), void *user);

#endif
