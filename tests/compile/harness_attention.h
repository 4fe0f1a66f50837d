/* The variants of models/attention as their papers define them: nested loops in f64 that share nothing with the
 * compiler, and the sizes and settings that tests run them with. */
#ifndef SN_TESTS_COMPILE_HARNESS_ATTENTION_H
#define SN_TESTS_COMPILE_HARNESS_ATTENTION_H

#include "frontend/sinter.h"
#include "ir/types/type.h"

typedef struct oracle_field {
  const char *name;
  int count;
  double *value;
} oracle_field;

/* One case: sizes, settings, and what the graph is given by name. */
typedef struct oracle {
  const char *set;      /* settings, "window=3 both=1" */
  int B, T, H, G, d, e; /* G heads of keys and values; components of a key and of a value */
  int field_count;
  oracle_field field[32];
} oracle;

/* The elements of an input, parameter or state; NULL: there is none. */
double *oracle_get(const oracle *o, const char *name);
int oracle_setting(const oracle *o, const char *name, int otherwise);

typedef struct attention_variant {
  const sn_model *model;
  const char *set;                                 /* settings beside the sizes */
  void (*reference)(const oracle *o, double *out); /* y [B, T, H, e] */
  int least;                                       /* of T; 0: 1 */
  int flags;
} attention_variant;

enum { ONE_KV = 1 /* as many key heads as query heads */, LATENT = 2 /* sizes of mla */ };

extern const sn_model sn_model_causal, sn_model_window, sn_model_dilated, sn_model_strided, sn_model_fixed,
    sn_model_bigbird, sn_model_longformer, sn_model_sinks, sn_model_prefix, sn_model_documents, sn_model_alibi,
    sn_model_kerple, sn_model_t5, sn_model_softcap, sn_model_temperature, sn_model_softmax1, sn_model_sigmoid,
    sn_model_tree, sn_model_permutation, sn_model_xl, sn_model_mla, sn_model_topk, sn_model_routing, sn_model_lsh,
    sn_model_linear, sn_model_favor, sn_model_differential, sn_model_fox, sn_model_softpick, sn_model_moba,
    sn_model_ssmax, sn_model_sandwich, sn_model_fire;

extern const attention_variant attention_variants[];
extern const int attention_variant_count;

/* Heads, their sizes and lengths by a seed, and the settings that give them.   owns: arena */
oracle attention_case(const attention_variant *v, uint64_t seed, sn_arena *arena);
/* Values of the symbols. */
void attention_dims(const sn_types *types, const oracle *o, int64_t *dims);

#endif
