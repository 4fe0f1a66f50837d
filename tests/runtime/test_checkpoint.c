/* Checkpoints: everything comes back; damage at any byte is noticed and the older file taken; other runs are refused.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "runtime/io/checkpoint.h"
#include "runtime/io/file.h"
#include "tests/runtime/support.h"

typedef struct bench {
  world w;
  sn_runtime *r;
  sn_store *s;
  char root[64], folder[96];
  sn_checkpoint_info run;
} bench;

static bench bench_create(void) {
  bench b = {.w = world_create(1)};
  int p = add_slot(&b.w, "w", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, number(&b.w, 5), NULL);
  add_slot(&b.w, "steps", SN_SLOT_STATE, -1, SN_ELEM_I64, 0, NULL, NULL);
  add_slot(&b.w, "empty", SN_SLOT_STATE, -1, SN_ELEM_BF16, 1, number(&b.w, 0), NULL);
  b.w.plan->slot[p].init = SN_INITIAL_NORMAL, b.w.plan->slot[p].init_a = 1;
  b.r = runtime_of(&b.w, (sn_runtime_opt){.threads = 1});
  b.s = store_of(&b.w, b.r, 3);
  temp_folder(b.root);
  snprintf(b.folder, sizeof b.folder, "%s/checkpoints", b.root);
  b.run = (sn_checkpoint_info){.seed = UINT64_MAX,
                               .plan_hash = {1, 2},
                               .data_hash = 3,
                               .model = "gpt",
                               .settings = "layers=4 \"x\"",
                               .batch = 12,
                               .window = 64};
  return b;
}

static void bench_destroy(bench *b) {
  remove_folder(b->root);
  sn_store_destroy(b->s);
  sn_runtime_destroy(b->r);
  world_destroy(&b->w);
}

static void save(bench *b, int64_t step) {
  *(int64_t *)sn_store_data(b->s, 1, NULL) = step;
  ((float *)sn_store_data(b->s, 0, NULL))[0] = (float)step;
  b->run.step = step;
  if (sn_checkpoint_save(b->folder, b->s, b->w.plan, &b->run, b->w.diags)) fail_msg("%s", messages(&b->w));
}

static void on_skip(void *user, const char *message) {
  ++*(int *)user;
  assert_non_null(strstr(message, ".ckpt is skipped: "));
}

/* The step that is found; -9: refused. *skipped counts the damaged ones. */
static int64_t resume(bench *b, int *skipped) {
  int64_t step = -9;
  *skipped = 0;
  *(int64_t *)sn_store_data(b->s, 1, NULL) = -7;
  if (sn_checkpoint_resume(b->folder, b->s, b->w.plan, &b->run, on_skip, skipped, b->w.diags, &step)) return -9;
  assert_int_equal(*(int64_t *)sn_store_data(b->s, 1, NULL), step < 0 ? -7 : step);
  return step;
}

static bool have(const bench *b, int64_t step) {
  char path[160];
  snprintf(path, sizeof path, "%s/step-%08lld.ckpt", b->folder, (long long)step);
  return access(path, F_OK) == 0;
}

static void the_newest_two_are_kept(void **state) {
  (void)state;
  bench b = bench_create();
  int skipped;
  assert_int_equal(resume(&b, &skipped), -1); /* no folder yet */
  for (int64_t step = 100; step <= 500; step += 100) save(&b, step);
  assert_true(have(&b, 500) && have(&b, 400) && !have(&b, 300));
  assert_int_equal(resume(&b, &skipped), 500);
  char left[192], foreign[192];
  snprintf(left, sizeof left, "%s/step-00000500.ckpt.tmp-abcdef", b.folder);
  snprintf(foreign, sizeof foreign, "%s/notes.txt", b.folder);
  put_file(left, "x", 1);
  put_file(foreign, "x", 1);
  save(&b, 450); /* a run that resumed at 400: 500 was left behind */
  assert_true(have(&b, 450) && have(&b, 400) && !have(&b, 500));
  assert_true(access(left, F_OK) && !access(foreign, F_OK));
  float w[5];
  memcpy(w, sn_store_data(b.s, 0, NULL), sizeof w);
  memset(sn_store_data(b.s, 0, NULL), 0, sizeof w);
  assert_int_equal(resume(&b, &skipped), 450);
  assert_memory_equal(w, sn_store_data(b.s, 0, NULL), sizeof w);
  bench_destroy(&b);
}

static void damage_anywhere_means_the_older_one(void **state) {
  (void)state;
  bench b = bench_create();
  save(&b, 1);
  save(&b, 2);
  char path[160];
  snprintf(path, sizeof path, "%s/step-00000002.ckpt", b.folder);
  char *image;
  size_t bytes;
  int skipped;
  assert_int_equal(sn_file_read(path, 1 << 20, NULL, &image, &bytes), SN_OK);
  for (size_t n = 0; n < bytes; n++) { /* cut off: as a crash leaves it on a file system that reorders */
    put_file(path, image, n);
    assert_int_equal(resume(&b, &skipped), 1);
    assert_int_equal(skipped, 1);
  }
  for (size_t n = 0; n < bytes; n++) {
    image[n] ^= (char)(1 << n % 8);
    put_file(path, image, bytes);
    assert_int_equal(resume(&b, &skipped), 1);
    assert_int_equal(skipped, 1);
    image[n] ^= (char)(1 << n % 8);
  }
  put_file(path, image, bytes);
  assert_int_equal(resume(&b, &skipped), 2);
  assert_int_equal(skipped, 0);
  snprintf(path, sizeof path, "%s/step-00000001.ckpt", b.folder);
  put_file(path, "", 0);
  snprintf(path, sizeof path, "%s/step-00000002.ckpt", b.folder);
  put_file(path, "SNCKPT", 6);
  assert_int_equal(resume(&b, &skipped), -1);
  assert_int_equal(skipped, 2);
  free(image);
  bench_destroy(&b);
}

static void other_runs_are_refused(void **state) {
  (void)state;
  bench b = bench_create();
  int skipped;
  save(&b, 7);
  const sn_checkpoint_info run = b.run;
  static const sn_run_option slower[] = {{"lr", "0.1", false}, {"steps", "5", true}}, more[] = {{"clip", "1", false}};
  sn_checkpoint_info other[9];
  for (int i = 0; i < 9; i++) other[i] = run;
  other[0].model = "llama", other[1].settings = "layers=5", other[2].batch = 13, other[3].window = 65;
  other[4].seed = 1, other[5].data_hash = 9, other[6].plan_hash[1] = 9;
  other[7].option = slower, other[7].option_count = 2, other[8].option = more, other[8].option_count = 1;
  static const char *const what[] = {"the model", "the settings",      "the batch size", "the context", "the seed",
                                     "the data",  "the compiled plan", "--lr",           "--clip"};
  for (int i = 0; i < 9; i++) {
    b.run = other[i];
    assert_int_equal(resume(&b, &skipped), -9);
    assert_non_null(strstr(b.w.diags->at[b.w.diags->count - 1].message, what[i]));
    assert_non_null(b.w.diags->at[b.w.diags->count - 1].expected);
  }
  b.run = run;
  assert_int_equal(resume(&b, &skipped), 7);
  static const sn_run_option was[] = {{"lr", "0.5", false}, {"steps", "9", true}};
  static const sn_run_option loose[] = {{"lr", "0.5", false}, {"steps", "5", true}, {"eval-every", "5", true}};
  b.run.option = was, b.run.option_count = 2;
  save(&b, 8);
  b.run.option = loose, b.run.option_count = 3;
  assert_int_equal(resume(&b, &skipped), 8); /* what is loose may differ */
  b.run.option_count = 0;
  assert_int_equal(resume(&b, &skipped), -9);
  assert_non_null(strstr(b.w.diags->at[b.w.diags->count - 1].message, "--lr"));
  bench_destroy(&b);
}

/* The same run, but the plan has other tensors: refused before anything is written. */
static void other_tensors_are_refused(void **state) {
  (void)state;
  bench b = bench_create();
  save(&b, 7);
  for (int kind = 0; kind < 2; kind++) {
    world v = world_create(1);
    add_slot(&v, "w", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, number(&v, 5), NULL);
    int s = add_slot(&v, kind ? "other" : "steps", SN_SLOT_STATE, -1, kind ? SN_ELEM_I64 : SN_ELEM_F64, 0, NULL, NULL);
    sn_runtime *r = runtime_of(&v, (sn_runtime_opt){.threads = 1});
    sn_store *store = store_of(&v, r, 1);
    int64_t step = -5;
    assert_int_equal(sn_checkpoint_resume(b.folder, store, v.plan, &b.run, NULL, NULL, v.diags, &step), SN_ERR_INPUT);
    assert_message(&v, v.plan->slot[s].name);
    assert_true(((float *)sn_store_data(store, 0, NULL))[0] == 0 && step == -5);
    sn_store_destroy(store);
    sn_runtime_destroy(r);
    world_destroy(&v);
  }
  bench_destroy(&b);
}

static void a_full_disk_keeps_the_old_ones(void **state) {
  (void)state;
  bench b = bench_create();
  int skipped;
  save(&b, 1);
  save(&b, 2);
  pid_t child = fork();
  if (!child) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit r = {200, 200};
    setrlimit(RLIMIT_FSIZE, &r);
    b.run.step = 3;
    _exit(sn_checkpoint_save(b.folder, b.s, b.w.plan, &b.run, NULL));
  }
  int status = -1;
  waitpid(child, &status, 0);
  assert_int_equal(WEXITSTATUS(status), SN_ERR_LIMIT);
  assert_true(have(&b, 1) && have(&b, 2) && !have(&b, 3));
  assert_int_equal(resume(&b, &skipped), 2);
  strcpy(b.folder, "/proc/nothing");
  assert_int_equal(sn_checkpoint_save(b.folder, b.s, b.w.plan, &b.run, b.w.diags), SN_ERR_FAIL);
  assert_message(&b.w, "/proc/nothing");
  bench_destroy(&b);
}

/* Processes killed while they write one checkpoint after the other: there is always a whole one, never older than two.
 */
static void kills_lose_nothing(void **state) {
  (void)state;
  bench b = bench_create();
  int64_t last = 0;
  sn_rng rng = {.seed = 5};
  for (int round = 0; round < 12; round++) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (!child) {
      for (int64_t step = last + 1;; step++) {
        save(&b, step);
        if (write(pipes[1], &step, sizeof step) < 0) _exit(1);
      }
    }
    close(pipes[1]);
    usleep((useconds_t)(500 + sn_rng_below(&rng, 20000)));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    int64_t done = last, step;
    while (read(pipes[0], &step, sizeof step) == sizeof step) done = step;
    close(pipes[0]);
    int skipped;
    last = resume(&b, &skipped);
    assert_true(last >= done || done == 0);
    assert_int_equal(skipped, 0);
    if (last < 0) last = 0;
  }
  bench_destroy(&b);
}

static void headers_are_readable(void **state) {
  (void)state;
  bench b = bench_create();
  save(&b, 12);
  char path[160], *image;
  size_t bytes;
  sn_checkpoint_info info;
  snprintf(path, sizeof path, "%s/step-00000012.ckpt", b.folder);
  assert_int_equal(sn_file_read(path, 1 << 20, NULL, &image, &bytes), SN_OK);
  assert_int_equal(sn_checkpoint_read_info(b.w.arena, b.w.diags, path, image, bytes, &info), SN_OK);
  assert_int_equal(info.step, 12);
  assert_int_equal(info.seed, UINT64_MAX);
  assert_string_equal(info.settings, "layers=4 \"x\"");
  free(image);
  bench_destroy(&b);
}

/* ---- memory ------------------------------------------------------------------------------------- */

typedef struct refusing {
  int left; /* requests that are granted */
} refusing;

static void *grant(void *user, size_t bytes, size_t align) {
  refusing *r = user;
  return r->left-- > 0 ? aligned_alloc(align, (bytes + align - 1) / align * align) : NULL;
}

static void take_back(void *user, void *at, size_t bytes) {
  (void)user, (void)bytes;
  free(at);
}

static int save_big(void *arg) {
  bench *b = arg;
  return sn_checkpoint_save(b->folder, b->s, b->w.plan, &b->run, b->w.diags);
}

static int files_in(const char *folder) {
  int n = 0;
  DIR *d = opendir(folder);
  for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
  if (d) closedir(d);
  return n;
}

/* Whichever request is refused, no half of a file is left, nor a file open. */
static void memory_runs_out_before_the_file_is_begun(void **state) {
  (void)state;
  bench b = bench_create();
  char model[20000];
  memset(model, 'm', sizeof model);
  model[sizeof model - 1] = 0;
  b.run.model = model;
  sn_code code = SN_ERR_LIMIT;
  for (int granted = 0; code; granted++) {
    refusing r = {granted};
    int next = dup(0);
    close(next);
    code = (sn_code)sn_protect_with(&(sn_allocator){grant, take_back, &r}, save_big, &b);
    assert_true(code == SN_OK || code == SN_ERR_LIMIT);
    assert_int_equal(files_in(b.folder), code == SN_OK);
    int now = dup(0);
    close(now);
    assert_int_equal(next, now);
    assert_in_range(granted, 0, 50);
  }
  bench_destroy(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_newest_two_are_kept),
      cmocka_unit_test(memory_runs_out_before_the_file_is_begun),
      cmocka_unit_test(damage_anywhere_means_the_older_one),
      cmocka_unit_test(other_runs_are_refused),
      cmocka_unit_test(other_tensors_are_refused),
      cmocka_unit_test(a_full_disk_keeps_the_old_ones),
      cmocka_unit_test(kills_lose_nothing),
      cmocka_unit_test(headers_are_readable),
      cmocka_unit_test(memory_runs_out_before_the_file_is_begun),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
