/* Which steps need no barrier before them: drawn steps against a look at every pair. */
#include "runtime/inside.h"
#include "tests/runtime/support.h"

enum { LISTS = 200, SHORT = 24, STEPS = 1100, LONG_LISTS = 3, SLOTS = 12, ARGS = 4 };

typedef struct drawn {
  sn_step step[STEPS];
  sn_plan_arg arg[STEPS][ARGS];
  sn_bound_step bound[STEPS];
  int root[SLOTS];
  int64_t bytes[SLOTS], offset[SLOTS];
  sn_bound b;
} drawn;

static int below(sn_rng *rng, int n) { return (int)sn_rng_below(rng, (uint64_t)n); }

/* slots 0..5 are temporaries of one pool, the last of them share storage; the others have their own */
static void draw(sn_rng *rng, int steps, drawn *d) {
  *d = (drawn){.b = {.step = d->bound, .bytes = d->bytes, .offset = d->offset}};
  for (int i = 0; i < SLOTS; i++) {
    d->root[i] = i == 5 ? 4 : i == SLOTS - 1 ? SLOTS - 2 : i;
    d->bytes[i] = 64 * (1 + below(rng, 3));
    d->offset[i] = i < 6 && d->root[i] == i ? 64 * below(rng, 12) : -1;
  }
  for (int i = 0; i < steps; i++) {
    sn_step *s = &d->step[i];
    int kind = below(rng, steps > SHORT ? 2000 : 12); /* long ones are cut where nothing asks for it */
    s->kind = kind == 0 ? SN_STEP_SWAP : kind == 1 ? SN_STEP_COPY : SN_STEP_LAUNCH;
    s->from = below(rng, SLOTS), s->to = below(rng, SLOTS);
    s->arg = d->arg[i], s->arg_count = s->kind == SN_STEP_LAUNCH ? 1 + below(rng, ARGS) : 0, s->writes = 1;
    for (int k = 0; k < s->arg_count; k++) d->arg[i][k] = (sn_plan_arg){k != 2, below(rng, SLOTS)};
    d->bound[i].serial = s->kind == SN_STEP_SWAP || below(rng, 3) == 0;
    if (steps > SHORT && s->kind == SN_STEP_LAUNCH) d->bound[i].serial |= below(rng, 3) > 0;
  }
}

/* bit 0: step i reads the slot, bit 1: it writes it */
static int use_of(const drawn *d, int i, int slot) {
  const sn_step *s = &d->step[i];
  int use = 0;
  if (s->kind == SN_STEP_COPY) return (s->from == slot) | (s->to == slot) << 1;
  if (s->kind == SN_STEP_SWAP) return s->from == slot || s->to == slot ? 3 : 0;
  for (int k = 0; k < s->arg_count; k++)
    if (s->arg[k].is_slot && s->arg[k].index == slot) use |= 1 + (k == 0);
  return use;
}

static bool share(const drawn *d, int x, int y) {
  int a = d->root[x], b = d->root[y];
  if (d->offset[a] < 0 || d->offset[b] < 0) return a == b;
  return d->offset[a] < d->offset[b] + d->bytes[y] && d->offset[b] < d->offset[a] + d->bytes[x];
}

static bool meet(const drawn *d, int i, int k) {
  for (int x = 0; x < SLOTS; x++)
    for (int y = 0; y < SLOTS; y++)
      if (((use_of(d, i, x) | use_of(d, k, y)) & 2) && use_of(d, i, x) && use_of(d, k, y) && share(d, x, y))
        return true;
  return false;
}

static bool both_serial(const drawn *d, int i, int k) { return d->bound[i].serial && d->bound[k].serial; }

/* As the executor sees it: no step runs beside one that it meets, but where one thread does both, nor beside a call. */
static void check(const drawn *d, int steps, int64_t *spared) {
  for (int k = 1, from = 0; k < steps; k++) {
    bool after_call = d->step[k - 1].kind == SN_STEP_SWAP;
    if (!d->bound[k].goes_on || after_call) from = k;
    *spared += d->bound[k].goes_on;
    assert_false(d->bound[k].goes_on && (d->step[k].kind == SN_STEP_SWAP || after_call));
    for (int i = from; i < k; i++) assert_false(!both_serial(d, i, k) && meet(d, i, k));
  }
}

static void try_lists(sn_rng *rng, int lists, int steps, int64_t *spared) {
  static drawn d;
  for (int list = 0; list < lists; list++) {
    draw(rng, steps, &d);
    assert_int_equal(sn_bind_barriers(&d.b, d.root, d.step, steps), SN_OK);
    check(&d, steps, spared);
  }
}

static void steps_that_meet_have_a_barrier_between_them(void **state) {
  (void)state;
  sn_rng rng = {.seed = 7};
  int64_t spared = 0;
  try_lists(&rng, LISTS, SHORT, &spared);
  assert_true(spared > LISTS); /* and many have none */
  try_lists(&rng, LONG_LISTS, STEPS, &spared);
}

/* q, k and v of one input: nobody waits between them, but for what is made of them */
static void independent_steps_go_on(void **state) {
  (void)state;
  static drawn d;
  d = (drawn){.b = {.step = d.bound, .bytes = d.bytes, .offset = d.offset}};
  const int uses[4][3] = {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 1, 2}}; /* writes, reads, reads */
  for (int i = 0; i < SLOTS; i++) d.root[i] = i, d.bytes[i] = 64, d.offset[i] = 64 * i;
  for (int i = 0; i < 4; i++) {
    d.step[i] = (sn_step){.kind = SN_STEP_LAUNCH, .arg = d.arg[i], .arg_count = 3, .writes = 1};
    for (int k = 0; k < 3; k++) d.arg[i][k] = (sn_plan_arg){true, uses[i][k]};
  }
  assert_int_equal(sn_bind_barriers(&d.b, d.root, d.step, 4), SN_OK);
  assert_false(d.bound[0].goes_on);
  assert_true(d.bound[1].goes_on && d.bound[2].goes_on);
  assert_false(d.bound[3].goes_on);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(steps_that_meet_have_a_barrier_between_them),
      cmocka_unit_test(independent_steps_go_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
