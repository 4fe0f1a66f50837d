/* Recipes: systems that are trained and judged on a task whose best result is known. A file of this folder is a row of
 * docs/systems.md or a small family of them: graphs in the DSL, data and oracle of tests/oracles, and a function that
 * trains and checks. `sinter recipe ID` runs one.
 *
 * The functions below keep recipes short: after the first error they do nothing and return NAN or NULL, and the recipe
 * ends as failed with that error. What they return belongs to the run. */
#ifndef SINTER_MODELS_RECIPE_H
#define SINTER_MODELS_RECIPE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "frontend/sinter.h"
#include "host/sinter_host.h"
#include "runtime/loop/speaker.h"
#include "tests/oracles/adam.h"

typedef struct recipe recipe;

typedef struct recipe_row {
  const char *id;    /* "tp.causal" */
  int slide;         /* of the lecture, as SYSTEMS counts them */
  const char *shows; /* one line */
  void (*run)(recipe *r);
  const char *oracle; /* what results are held to, and the file of tests/oracles that has it */
} recipe_row;

/* The rows of a file, its last line: RECIPES(tp_causal, {"tp.causal", 4, "shows", causal, "oracle"}); the name is the
 * file's. */
#define RECIPES(file, ...) const recipe_row recipe_rows_##file[] = {__VA_ARGS__, {0}}

/* ---- kinds of checks --------------------------------------------------------------------------------------------- */

/* E: exact identity or f64 oracle; O: a known optimum is recovered; T: trained behaviour; N: a wrong variant, which
 * must miss the bound that the right one keeps. A check whose value is not a finite number fails. With OF_PLAN beside
 * it (EXACT | OF_PLAN) the value is about kernels and their buffers: it is skipped where there are none, on --target
 * ref. */
typedef enum recipe_kind { EXACT = 'E', OPTIMUM = 'O', TRAINED = 'T', CONTROL = 'N', OF_PLAN = 128 } recipe_kind;

/* ---- the run ----------------------------------------------------------------------------------------------------- */

/* The quick form: exact checks whole, training shorter; what takes `full` there takes `quick` here. */
bool recipe_is_quick(const recipe *r);
int recipe_pick(const recipe *r, int full, int quick);
/* Different for every `use`, the same in every run with the same --seed. */
uint64_t recipe_seed(const recipe *r, uint64_t use);
/* Nets that are made from now on run on so many threads; those from before stay as they are. */
void recipe_threads(recipe *r, int threads);
/* A text for models of bytes: the project's own sources and documents. */
const char *recipe_text(recipe *r, int64_t *out_bytes);
/* Seconds, for what is measured: the shortest of many, against another of the same rounds. */
double recipe_clock(void);
/* Memory that is freed when the recipe ends. */
void *recipe_alloc(recipe *r, size_t bytes);
/* The recipe cannot go on. */
void recipe_fail(recipe *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool recipe_has_failed(const recipe *r);

/* ---- networks: compiled graphs of a model and one store ---------------------------------------------------------- */

typedef struct net net;

/* graphs as in sn_compile; settings: printf, "layers=2 vocab=%d". Sizes of caches: `dims` of sn_store_create_for. */
net *recipe_net(recipe *r, const sn_model *model, const char *graphs, const char *settings, ...)
    __attribute__((format(printf, 4, 5)));
/* Numbers in all parameters that the graphs have: nothing is allocated or compiled. settings: as in sn_compile */
int64_t recipe_parameters(recipe *r, const sn_model *model, const char *graphs, const char *settings);
/* With all options of a compilation. */
net *recipe_net_as(recipe *r, const sn_model *model, sn_compile_opt o);
/* Another store of the same program: other initial values, or a copy. */
net *net_again(net *n, uint64_t seed);
/* The same model with the parameters of n, compiled otherwise: what o leaves out is as in n. Of other graphs,
 * those that n does not have are made anew. */
net *net_as(net *n, const sn_compile_opt *o);
/* Its training graphs change parameters of these names only (patterns as in sn_store_reset), and no work is done for
 * the others, which stay equal to the bit: net_hash. The optimiser starts anew. */
net *net_trainable(net *n, const char *pattern);
/* The same graphs with the parameters of n: in f64 on the interpreter; or as n is. grad: a scalar output, whose
 * derivatives by every parameter the graphs that have it then have, too, as outputs "grad.NAME"; NULL: none */
net *net_exact(net *n, const char *grad);
net *net_gradients(net *n, const char *grad);
/* Memory of a net that is used no more, nor any that net_again made of it; without it, nets live as long as the run. */
void net_end(net *n);
/* Parameters of `to` whose names match `pattern`, as in sn_store_reset, get the values that those of `from` have. One
 * that `from` does not have, or has with another shape, ends the recipe, and so does a pattern of none: what is copied
 * is never less than was asked for. -> how many */
int net_copy(net *to, net *from, const char *pattern);
/* Runs a graph once, as sn_run. */
#define net_run(n, graph, ...) \
  net_run_io(n, graph, (const sn_io[]){__VA_ARGS__}, (int)(sizeof((const sn_io[]){__VA_ARGS__}) / sizeof(sn_io)))
void net_run_io(net *n, const char *graph, const sn_io *io, int count);
/* Why a model is not compiled, or a graph not run; NULL: it is. */
const char *recipe_refused(recipe *r, const sn_model *model, sn_compile_opt o);
#define net_refused(n, graph, ...) \
  net_refused_io(n, graph, (const sn_io[]){__VA_ARGS__}, (int)(sizeof((const sn_io[]){__VA_ARGS__}) / sizeof(sn_io)))
const char *net_refused_io(net *n, const char *graph, const sn_io *io, int count);
/* Values of a parameter, until the next run of the net. f32 is all there is. -> how many elements in *out_count */
float *net_values(net *n, const char *parameter, int64_t *out_count);
/* After writing to them. */
void net_changed(net *n);
/* The net, with the graphs prefill and decode, as what samplers and searches of runtime/loop ask; context: positions of
 * its caches. */
sn_speaker net_speaker(net *n, int64_t vocab, int64_t context);
/* Of all parameters whose names match: changes when one bit does. */
uint64_t net_hash(net *n, const char *pattern);
int64_t net_parameters(net *n, const char *pattern);
/* Names of its parameters, one after another.   -> NULL behind the last */
const char *net_parameter(const net *n, int i);

/* ---- training ---------------------------------------------------------------------------------------------------- */

enum { FEED_PORTS = 8 };

/* Where batches come from. */
typedef struct feed {
  struct {
    const char *name; /* an input of the graph, i32 or f32 */
    int64_t extent[8];
  } port[FEED_PORTS]; /* up to the first without a name */
  /* Batch `index` of the stream `seed`, into port[i] in the order above. The same numbers give the same batch. */
  void (*fill)(const void *data, uint64_t seed, uint64_t index, void *const port[]);
  const void *data;
} feed;

typedef struct training {
  net *n;
  const char *graph; /* NULL: "train" */
  const char *label; /* in the plot; NULL: the graph's name */
  const feed *feed;
  int steps;
  double lr; /* for the inputs lr, min_lr (a tenth), warmup (a twentieth of the steps) and steps, where the graph has
                them */
} training;

/* Runs the steps; the loss of each is plotted, and the run says what was trained.   -> mean loss of the last tenth */
double recipe_train(recipe *r, const training *t);
/* Mean of a scalar output over `batches` batches that no training sees.   out_error: its standard error; NULL: not
 * asked
 */
double recipe_mean(net *n, const char *graph, const char *output, const feed *f, int batches, double *out_error);

/* Losses of a net beside the best ones, token by token, on the same tokens. */
typedef struct excess {
  double model, best; /* mean losses, nats */
  double mean, error; /* of their differences; the error of the mean, from rows of batches */
  int64_t tokens;     /* that were counted */
} excess;
typedef struct against {
  net *n;
  const char *graph, *output; /* logits [.., V], classes last; NULL: "logits", "logits" */
  const feed *feed;
  int targets; /* which port of the feed has the answers, one for each row of logits; below 0: not counted */
  /* Best loss of each answer of batch `index`, in nats. */
  void (*best)(const void *data, uint64_t seed, uint64_t index, double *loss);
  int64_t tokens; /* at least; 0: 20000 */
} against;
excess recipe_excess(recipe *r, const against *a);
/* The leak detector: nothing beats the best loss by more than three standard errors. kind: OPTIMUM, or CONTROL for
 * what does leak. */
void recipe_no_leak(recipe *r, recipe_kind kind, const char *what, const excess *e);

/* ---- exactness: on batch 0 of a feed, of which a graph takes the ports that it has ------------------------------- */

/* An output of one run on a batch. -> as many values as *out_count says; NULL: the recipe failed */
double *net_output(net *n, const char *graph, const feed *f, uint64_t index, const char *output, int64_t *out_count);
/* The same on another number of threads; batch 0. */
double *net_output_on(net *n, int threads, const char *graph, const feed *f, const char *output, int64_t *out_count);
/* Largest difference over the largest magnitude of `right`; 0: all are equal. */
double recipe_difference(int64_t count, const double *x, const double *right);
/* The same of an output of two nets. SYSTEMS 0.4: f32 against f64 2e-5 sqrt(longest sum), f64 against an oracle 1e-10
 */
double net_difference(net *n, net *right, const char *graph, const feed *f, const char *output);
/* Gradient of a scalar output by all parameters, in f64: worst relative error against central differences, along 20
 * random directions. Bound: 1e-6 */
double net_slope_error(net *n, const char *graph, const char *loss, const feed *f);
/* The first steps of graph `train`, batches 1 and up, against gradients of `graph` in f64 and the oracle's Adam;
 * warm-up over a quarter, then a cosine to a tenth. Worst relative difference of losses. Changes n. Bound: 1e-4 */
double net_trajectory_error(net *n, const char *graph, const feed *f, const adam *a, double rate, int steps);
/* Gradient of the net against that in f64: the worst parameter's difference, over its largest value or a thousandth of
 * the largest of all. Bound: ten times that of outputs */
double net_gradient_error(net *n, const char *graph, const char *loss, const feed *f);
/* The three as exact checks, by their bounds: gradient of output "loss" of `graph` in f64 beside differences; what
 * `graph`, or `says`, puts out in f32 beside f64; the gradient likewise. */
typedef struct arithmetic {
  net *n;
  const feed *feed;
  const char *graph, *says;
  const char *output, *what; /* what: its name; NULL: gradients only */
  int longest;               /* sum of an inner product or a mean: the bound in f32 is 2e-5 sqrt(longest) */
  const char *of;            /* "sentences: "; NULL: none */
} arithmetic;
void recipe_arithmetic(recipe *r, const arithmetic *a);
/* Largest magnitude in the gradient by the parameters whose names match; 0: the loss does not depend on them. */
double net_gradient_largest(net *n, const char *graph, const char *loss, const feed *f, const char *pattern);

/* ---- what a graph does, as its plan says ------------------------------------------------------------------------- */

/* Which kernels and copies: those of a kind ("contract", "attend", "copy"), that fuse an op ("attention_grad"), of a
 * layer or line ("h.*"), or that write a tensor of so many elements. kind and where are patterns; {0}: all */
typedef struct which {
  const char *kind, *op, *where;
  int64_t elements;
} which;

/* Sums over them. Buffers, tensors that live during a run only, are those of the whole graph. */
typedef struct report {
  int kernels, copies, ahead; /* ahead: kernels that run once, after weights were loaded */
  double flops;               /* of attention as if every query met every key */
  double bytes_read, bytes_written, bytes_copied;
  int64_t largest; /* elements of the largest tensor that one of them writes */
  int buffers;
  int64_t largest_buffer; /* elements */
  int64_t buffer_bytes, peak_bytes;
  int64_t state_bytes; /* of caches and other states of the whole graph */
} report;

/* For sizes such as "B=8 T=64". */
report net_report(net *n, const char *graph, const char *sizes, which of);

/* ---- checks ------------------------------------------------------------------------------------------------------ */

void recipe_at_most(recipe *r, recipe_kind kind, const char *what, double value, double bound);
void recipe_at_least(recipe *r, recipe_kind kind, const char *what, double value, double bound);
/* Accuracies: `right` of `of` trials that do not depend on each other, such as texts; not tokens of one text. How often
 * the system would be right in the long run is known by Wilson's interval at three standard errors only, and the end of
 * it that makes a check harder to pass is what is printed and compared:
 *   at least `bound`   the lower end. That of a control is the upper end: not even that may keep the bound.
 *   no leak            the lower end, at most `best`: nothing is right more often than the best, beyond doubt. */
void recipe_share(recipe *r, recipe_kind kind, const char *what, double right, double of, double bound);
void recipe_share_no_leak(recipe *r, recipe_kind kind, const char *what, double right, double of, double best);
/* The worse of two values; NAN when one of them is, which fmax and fmin would pass over. */
static inline double recipe_max(double a, double b) { return a > b || isnan(a) ? a : b; }
static inline double recipe_min(double a, double b) { return a < b || isnan(a) ? a : b; }

/* ---- plots ------------------------------------------------------------------------------------------------------- */

/* A line of a second chart, beside that of the losses; all lines with one title are in one chart. */
void recipe_plot(recipe *r, const char *title, const char *label, int count, const double *x, const double *y);

#endif
