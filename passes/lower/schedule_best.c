/* See schedule.h. */
#include "passes/lower/schedule.h"

#include "ir/plan/serial.h"
#include "passes/plan/predict.h"

enum { PART = 4 }; /* of the largest sizes: runs are rarely of those */

/* Less is not enough: the model is good to a tenth of a product's time, and to a quarter of that of short sweeps. */
static const double clearly = 0.75;

/* As the runtime will, about: what products read again is not known here, and their operations decide. */
static bool is_serial(const sn_work *w) {
  double products = w->products + w->pairs;
  return sn_plan_is_serial(w->instances, w->stored + (products > 0 ? 0 : w->loaded), 2 * products + w->points);
}

static double seconds_of(const sn_cost_machine *m, const sn_kernel *k, int64_t part, sn_arena *scratch) {
  int64_t size[SN_K_PARAMS] = {0};
  sn_work w;
  for (int i = 0; i < k->param_count; i++) {
    const sn_kparam *p = &k->param[i];
    int64_t unit = p->divisor > 0 ? p->divisor : 1, n = p->max / part / unit * unit;
    size[i] = n < p->min ? p->min : n;
  }
  sn_kernel_work(k, scratch, size, &w);
  if (w.pairs > 0) return 0; /* forms of such products follow the tile: only what was measured and compared is taken */
  const sn_cost_machine its = sn_cost_machine_of(m, is_serial(&w));
  return sn_cost_kernel(&its, &w, &(sn_cost_bytes){0});
}

int sn_schedule_best(const sn_target *t, const sn_limits *l, int count, const sn_kernel *const *kernel,
                     sn_arena *scratch, double *seconds) {
  const sn_cost_machine m = {l, t, t->threads};
  double usual = seconds_of(&m, kernel[0], 1, scratch), usual_part = seconds_of(&m, kernel[0], PART, scratch);
  double least = clearly;
  int best = 0;
  for (int i = 0; i < count; i++) {
    double s = seconds_of(&m, kernel[i], 1, scratch), part = seconds_of(&m, kernel[i], PART, scratch);
    if (seconds) seconds[i] = s;
    if (s < least * usual && part < clearly * usual_part) least = s / usual, best = i;
  }
  return best;
}
