/* Files: atomic writes under every failure, reads of what is no file, run folders, metrics. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "runtime/io/dir.h"
#include "runtime/io/file.h"
#include "runtime/io/metrics.h"
#include "tests/runtime/support.h"

static char folder[64], path[128];

static int setup(void **state) {
  (void)state;
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/file", folder);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  remove_folder(folder);
  return 0;
}

/* The whole file as text; NULL: there is none. owns: the caller. */
static char *content(const char *of) {
  char *text;
  size_t bytes;
  return sn_file_read(of, 1 << 20, NULL, &text, &bytes) ? NULL : text;
}

static int entries(const char *of) {
  char command[256];
  snprintf(command, sizeof command, "exit $(ls -A '%s' | wc -l)", of);
  return WEXITSTATUS(system(command));
}

static void writes_replace_the_whole_file(void **state) {
  (void)state;
  assert_int_equal(sn_file_write_all(path, "first", 5, NULL), SN_OK);
  assert_int_equal(sn_file_write_all(path, "2nd", 3, NULL), SN_OK);
  char *text = content(path);
  assert_string_equal(text, "2nd");
  free(text);
  sn_file_out *f;
  assert_int_equal(sn_file_begin(path, NULL, &f), SN_OK);
  assert_int_equal(sn_file_write(f, "half", 4, NULL), SN_OK);
  sn_file_abandon(f);
  text = content(path);
  assert_string_equal(text, "2nd");
  free(text);
  assert_int_equal(entries(folder), 1);
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  mode_t mask = umask(0);
  umask(mask);
  assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
}

static void links_stay_and_their_files_are_replaced(void **state) {
  (void)state;
  char link[160], deep[160], inside[160];
  struct stat st;
  snprintf(inside, sizeof inside, "%s/inside", folder);
  snprintf(link, sizeof link, "%s/link", folder);
  snprintf(deep, sizeof deep, "%s/inside/file", folder);
  assert_int_equal(mkdir(inside, 0777), 0);
  put_file(deep, "old", 3);
  assert_int_equal(symlink("inside/file", link), 0);
  assert_int_equal(symlink("link", path), 0); /* path -> link -> inside/file */
  assert_int_equal(sn_file_write_all(path, "new", 3, NULL), SN_OK);
  assert_true(!lstat(path, &st) && S_ISLNK(st.st_mode));
  assert_true(!lstat(link, &st) && S_ISLNK(st.st_mode));
  assert_true(!lstat(deep, &st) && S_ISREG(st.st_mode));
  char *text = content(deep);
  assert_string_equal(text, "new");
  free(text);
  assert_int_equal(entries(folder), 3);
  assert_int_equal(entries(inside), 1);
  unlink(deep); /* a link to nothing is replaced itself */
  assert_int_equal(sn_file_write_all(path, "newer", 5, NULL), SN_OK);
  assert_true(!lstat(path, &st) && S_ISREG(st.st_mode));
  assert_int_equal(entries(inside), 0);
}

static void fifos_are_written_to(void **state) {
  (void)state;
  char text[8] = "";
  struct stat st;
  sn_file_out *f;
  assert_int_equal(mkfifo(path, 0600), 0);
  int fd = open(path, O_RDONLY | O_NONBLOCK);
  assert_int_equal(sn_file_write_all(path, "all", 3, NULL), SN_OK);
  assert_int_equal(sn_file_begin(path, NULL, &f), SN_OK);
  assert_int_equal(sn_file_write(f, "part", 4, NULL), SN_OK);
  sn_file_abandon(f);
  assert_int_equal(read(fd, text, sizeof text), 7);
  assert_memory_equal(text, "allpart", 7);
  close(fd);
  assert_true(!lstat(path, &st) && S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0600);
  assert_int_equal(entries(folder), 1);
}

/* A device of the test's own that swallows everything, where one may be made and opened. */
static void devices_stay(void **state) {
  (void)state;
  struct stat st;
  int fd = mknod(path, S_IFCHR | 0600, makedev(1, 3)) ? -1 : open(path, O_WRONLY);
  if (fd < 0) skip();
  close(fd);
  assert_int_equal(sn_file_write_all(path, "gone", 4, NULL), SN_OK);
  assert_true(!lstat(path, &st) && S_ISCHR(st.st_mode) && (st.st_mode & 0777) == 0600);
  assert_int_equal(entries(folder), 1);
}

/* A full disk, as far as a process can make one: files may not grow beyond `limit`. The child reports through its exit.
 */
static int with_file_limit(rlim_t limit, int (*body)(void)) {
  pid_t child = fork();
  if (!child) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit r;
    getrlimit(RLIMIT_FSIZE, &r);
    r.rlim_cur = limit;
    setrlimit(RLIMIT_FSIZE, &r);
    _exit(body());
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static int write_much(void) {
  static char data[100000];
  sn_diags *d = sn_diags_create();
  sn_code code = sn_file_write_all(path, data, sizeof data, d);
  bool named =
      code && strstr(sn_diags_print(d, d->arena), path) && strstr(sn_diags_print(d, d->arena), strerror(EFBIG));
  sn_diags_destroy(d);
  return named ? (int)code : 99;
}

static void a_full_disk_leaves_the_old_file(void **state) {
  (void)state;
  assert_int_equal(sn_file_write_all(path, "old", 3, NULL), SN_OK);
  for (rlim_t limit = 0; limit < 100000; limit += 33000)
    assert_int_equal(with_file_limit(limit, write_much), SN_ERR_LIMIT);
  char *text = content(path);
  assert_string_equal(text, "old");
  free(text);
  assert_int_equal(entries(folder), 1);
}

static int print_much(void) {
  static char data[100000];
  sn_diags *d = sn_diags_create();
  FILE *f = fopen(path, "w");
  sn_code code = sn_file_print(f, "the stream", data, sizeof data, d);
  bool named = code && d->count == 1 && strstr(sn_diags_print(d, d->arena), "cannot write the stream") &&
               strstr(sn_diags_print(d, d->arena), strerror(EFBIG));
  fclose(f);
  sn_diags_destroy(d);
  return named ? (int)code : 99;
}

/* The limit within the first buffer and behind it; a pipe without a reader is left to the caller. */
static void streams_say_why_they_take_no_more(void **state) {
  (void)state;
  for (rlim_t limit = 0; limit < 100000; limit += 33000)
    assert_int_equal(with_file_limit(limit, print_much), SN_ERR_LIMIT);
  assert_int_equal(with_file_limit(100000, print_much), 99);
  int end[2];
  assert_int_equal(pipe(end), 0);
  close(end[0]);
  FILE *f = fdopen(end[1], "w");
  void (*before)(int) = signal(SIGPIPE, SIG_IGN);
  assert_int_equal(sn_file_print(f, "the stream", "text", 4, NULL), SN_OK);
  assert_true(ferror(f));
  fclose(f);
  signal(SIGPIPE, before);
}

static void messages_name_path_and_reason(void **state) {
  (void)state;
  sn_diags *d = sn_diags_create();
  char *text;
  size_t bytes;
  sn_file_map map;
  assert_int_equal(sn_file_read("/nowhere/x", 10, d, &text, &bytes), SN_ERR_INPUT);
  assert_int_equal(sn_file_read(folder, 10, d, &text, &bytes), SN_ERR_INPUT);
  assert_int_equal(sn_file_map_open("/dev/zero", d, &map), SN_ERR_INPUT);
  assert_int_equal(sn_file_write_all("/nowhere/y", "", 0, d), SN_ERR_FAIL);
  assert_int_equal(sn_file_write_all(folder, "", 0, d), SN_ERR_FAIL); /* rename onto a folder */
  put_file(path, "12345", 5);
  assert_int_equal(sn_file_read(path, 4, d, &text, &bytes), SN_ERR_LIMIT);
  const char *all = sn_diags_print(d, d->arena);
  const char *const parts[] = {"/nowhere/x", strerror(ENOENT), folder,           strerror(EISDIR),
                               "/dev/zero",  "/nowhere/y",     "at most 4 bytes"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_non_null(strstr(all, parts[i]));
  assert_int_equal(entries(folder), 1);
  put_file(path, "", 0);
  assert_int_equal(sn_file_map_open(path, d, &map), SN_OK);
  assert_null(map.data);
  sn_file_map_close(&map);
  assert_int_equal(sn_file_read(path, 0, d, &text, &bytes), SN_OK);
  free(text);
  sn_diags_destroy(d);
}

/* ---- run folders -------------------------------------------------------------------------------- */

static void folders_are_made_kept_and_locked(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_dir dir = sn_dir_of(arena, sn_arena_printf(arena, "%s/a/b", folder));
  sn_dir_lock lock, second;
  assert_int_equal(sn_dir_open(&dir, SN_DIR_RESUME, d, &lock), SN_ERR_USAGE);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_FORCE, d, &lock), SN_OK);
  sn_dir_release(lock);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_NEW, d, &lock), SN_ERR_USAGE); /* also an empty one */
  assert_int_equal(sn_dir_open(&dir, SN_DIR_FORCE, d, &lock), SN_OK);
  put_file(dir.weights, "w", 1);
  put_file(sn_arena_printf(arena, "%s/mine", dir.path), "m", 1);
  assert_int_equal(mkdir(dir.checkpoints, 0777), 0);
  put_file(sn_arena_printf(arena, "%s/step-00000001.ckpt", dir.checkpoints), "c", 1);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_NEW, d, &second), SN_ERR_USAGE);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_RESUME, d, &second), SN_ERR_FAIL);
  assert_non_null(strstr(sn_diags_print(d, arena), "another run is writing"));
  sn_dir_release(lock);
  const char *left = sn_arena_printf(arena, "%s.tmp-a1B2c3", dir.weights); /* by a kill */
  put_file(left, "x", 1);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_RESUME, d, &lock), SN_OK);
  assert_int_equal(access(left, F_OK), -1);
  assert_int_equal(access(dir.weights, F_OK), 0);
  sn_dir_release(lock);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_FORCE, d, &lock), SN_OK);
  assert_int_equal(entries(dir.path), 2); /* mine, .lock */
  sn_dir_release(lock);
  put_file(path, "", 0);
  dir = sn_dir_of(arena, path);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_FORCE, d, &lock), SN_ERR_USAGE);
  dir = sn_dir_of(arena, "/proc/nothing/x");
  assert_int_equal(sn_dir_open(&dir, SN_DIR_NEW, d, &lock), SN_ERR_FAIL);
  assert_string_equal(sn_dir_of(arena, "x/").plan, "x/model.plan");
  sn_diags_destroy(d);
  sn_arena_destroy(arena);
}

static void a_folder_of_a_failed_start_goes_away(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_dir dir = sn_dir_of(arena, sn_arena_printf(arena, "%s/c", folder));
  sn_dir_lock lock;
  assert_int_equal(sn_dir_open(&dir, SN_DIR_NEW, NULL, &lock), SN_OK);
  assert_true(lock.made);
  sn_dir_abandon(&dir, lock);
  assert_int_equal(access(dir.path, F_OK), -1);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_FORCE, NULL, &lock), SN_OK);
  put_file(dir.weights, "w", 1); /* it had begun */
  sn_dir_abandon(&dir, lock);
  assert_int_equal(entries(dir.path), 2); /* model.safetensors, .lock */
  assert_int_equal(sn_dir_open(&dir, SN_DIR_FORCE, NULL, &lock), SN_OK);
  assert_false(lock.made);
  sn_dir_abandon(&dir, lock); /* it was there before */
  assert_int_equal(entries(dir.path), 1);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_RESUME, NULL, &lock), SN_OK); /* and is not locked */
  sn_dir_release(lock);
  sn_arena_destroy(arena);
}

static void a_lock_ends_with_its_process(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_dir dir = sn_dir_of(arena, folder);
  sn_dir_lock lock;
  pid_t child = fork();
  if (!child) _exit(sn_dir_open(&dir, SN_DIR_FORCE, NULL, &lock));
  int status = -1;
  waitpid(child, &status, 0);
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_int_equal(sn_dir_open(&dir, SN_DIR_FORCE, NULL, &lock), SN_OK);
  sn_dir_release(lock);
  sn_arena_destroy(arena);
}

/* ---- metrics ------------------------------------------------------------------------------------ */

static void metrics_are_lines_that_read_back(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_metrics *m;
  assert_int_equal(sn_metrics_open(path, -1, NULL, &m), SN_OK);
  for (int i = 1; i <= 5; i++) {
    sn_metric line[] = {{"step", i * 10}, {"loss", 1.23456789012 / i}, {"val_loss", i % 2 ? NAN : 2}};
    assert_true(sn_metrics_add(m, 3, line));
  }
  sn_metrics_close(m);
  char *text = content(path);
  assert_ptr_equal(strstr(text, "{\"step\": 10, \"loss\": 1.23456789, \"val_loss\": null}\n{\"step\": 20"), text);
  free(text);
  FILE *f = fopen(path, "a");
  fputs("{\"step\": 60, \"lo", f); /* cut off by a crash */
  fclose(f);
  assert_int_equal(sn_metrics_open(path, 30, NULL, &m), SN_OK);
  assert_true(sn_metrics_add(m, 1, (sn_metric[]){{"step", 31}}));
  sn_metrics_close(m);
  int count;
  double *x, *y;
  assert_int_equal(sn_metrics_read(arena, NULL, path, "step", "loss", &count, &x, &y), SN_OK);
  assert_int_equal(count, 3);
  assert_true(x[2] == 30 && fabs(y[2] - 1.23456789012 / 3) < 1e-9); /* 9 digits */
  assert_int_equal(sn_metrics_read(arena, NULL, path, "step", "val_loss", &count, &x, &y), SN_OK);
  assert_int_equal(count, 1);
  assert_int_equal(sn_metrics_open("/nowhere/x", -1, NULL, &m), SN_ERR_FAIL);
  sn_arena_destroy(arena);
}

static int add_beyond_the_limit(void) {
  sn_metrics *m;
  int reports = 0;
  if (sn_metrics_open(path, -1, NULL, &m)) return 99;
  for (int i = 0; i < 20; i++) reports += !sn_metrics_add(m, 1, (sn_metric[]){{"step", i}});
  sn_metrics_close(m);
  return reports;
}

/* Lines that found no room, and one after there is some again: how many the file has. */
static int add_around_the_limit(void) {
  sn_metrics *m;
  struct rlimit limit;
  int count = 0;
  if (sn_metrics_open(path, -1, NULL, &m)) return 99;
  for (int i = 0; i < 20; i++) (void)!sn_metrics_add(m, 1, (sn_metric[]){{"step", i}});
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_FSIZE, &limit);
  (void)!sn_metrics_add(m, 1, (sn_metric[]){{"step", 20}});
  sn_metrics_close(m);
  char *text = content(path), line[32];
  const char *at = text;
  for (; count < 21; count++, at += strlen(line)) {
    snprintf(line, sizeof line, "{\"step\": %d}\n", count);
    if (strncmp(at, line, strlen(line))) break;
  }
  count += *at != 0;
  free(text);
  return count;
}

static void what_found_no_room_is_written_later(void **state) {
  (void)state;
  assert_int_equal(with_file_limit(50, add_around_the_limit), 21);
}

static void a_full_disk_is_reported_once(void **state) {
  (void)state;
  assert_int_equal(with_file_limit(50, add_beyond_the_limit), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(writes_replace_the_whole_file, setup, teardown),
      cmocka_unit_test_setup_teardown(links_stay_and_their_files_are_replaced, setup, teardown),
      cmocka_unit_test_setup_teardown(fifos_are_written_to, setup, teardown),
      cmocka_unit_test_setup_teardown(devices_stay, setup, teardown),
      cmocka_unit_test_setup_teardown(streams_say_why_they_take_no_more, setup, teardown),
      cmocka_unit_test_setup_teardown(a_full_disk_leaves_the_old_file, setup, teardown),
      cmocka_unit_test_setup_teardown(messages_name_path_and_reason, setup, teardown),
      cmocka_unit_test_setup_teardown(folders_are_made_kept_and_locked, setup, teardown),
      cmocka_unit_test_setup_teardown(a_folder_of_a_failed_start_goes_away, setup, teardown),
      cmocka_unit_test_setup_teardown(a_lock_ends_with_its_process, setup, teardown),
      cmocka_unit_test_setup_teardown(metrics_are_lines_that_read_back, setup, teardown),
      cmocka_unit_test_setup_teardown(a_full_disk_is_reported_once, setup, teardown),
      cmocka_unit_test_setup_teardown(what_found_no_room_is_written_later, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
