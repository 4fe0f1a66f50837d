/* Beam search: the likeliest continuation that keeping the best few of every length finds. */
#ifndef SN_RUNTIME_LOOP_SEARCH_H
#define SN_RUNTIME_LOOP_SEARCH_H

#include "runtime/loop/speaker.h"

typedef struct sn_search {
  const sn_speaker *speaker;
  int64_t beams;         /* sequences that are kept at each length */
  double power;          /* texts are compared by log p / tokens^power; 0: by log p */
  int32_t end;           /* token that ends a text; -1: none */
  int64_t count;         /* most tokens to write, the end counted */
  int64_t prompt_count;  /* at least 1 */
  const int32_t *prompt; /* with count - 1 more it must fit the context, unless that is a ring */
} sn_search;

/* Of equals the earlier beam and the smaller token come first. Ended texts are kept aside.
 *   shape:  out [count], of which *out_count are written; *out_log_p: sum of their log p
 *   errors: SN_ERR_USAGE settings that cannot be searched, SN_ERR_NUMERIC no logit is finite, SN_ERR_LIMIT memory,
 *           and those of the speaker */
SN_MUST sn_code sn_search_beams(const sn_search *s, sn_diags *diags, int32_t *out, int64_t *out_count,
                                double *out_log_p);

#endif
