/* model.c -> shared object -> sn_model: compiles a model file with $CC, keeps the object by content, loads it.
 *
 *   1. preprocess; the text, the compiler and its flags make the name of the object
 *   2. an object of that name that belongs to the user is taken; otherwise compile beside it and rename
 *   3. dlopen, and the symbol that SN_MODEL leaves
 *
 * Model files are programs: they run with the user's rights. Cached objects are taken only from files that the user
 * owns and nobody else can write. */
#include "frontend/build.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/sinter.h"
#include "ir/base/place.h"

extern char **environ;

struct sn_model_file {
  void *handle;
  const sn_model *model;
};

enum { WORDS_MAX = 64, TEXT_MAX = 64 << 20 };

typedef struct load_job {
  const char *path, *cache_dir;
  sn_diags *diags;
  sn_arena *arena;
  int word_count;
  const char *words[WORDS_MAX]; /* the compiler and flags that both steps share */
  const char *own;              /* a folder for this call alone; NULL: none */
  const char *temp[3];          /* files that go when it ends: messages, text and object */
  sn_model_file *out;
} load_job;

/* ---- files ---------------------------------------------------------------------------------------------- */

static sn_code fail(load_job *j, sn_code code, const char *what, const char *path) {
  const char *why = strerror(errno);
  return sn_fail(j->diags, errno == ENOMEM ? SN_ERR_LIMIT : code, (sn_loc){.file = path}, "%s: %s", what, why);
}

/* Makes a directory and those above it. */
static sn_code make_dirs(load_job *j, const char *path) {
  char *copy = sn_arena_strdup(j->arena, path);
  for (char *at = copy + 1;; at++) {
    if (*at && *at != '/') continue;
    char end = *at;
    *at = 0;
    if (mkdir(copy, 0700) && errno != EEXIST) return fail(j, SN_ERR_LIMIT, "cannot make a folder for objects", path);
    *at = end;
    if (!end) return SN_OK;
  }
}

/* Without a cache: a folder that goes when the object is loaded. */
static sn_code make_own(load_job *j) {
  const char *tmp = getenv("TMPDIR");
  char *path = sn_arena_printf(j->arena, "%s/sinter-model-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(path)) return fail(j, SN_ERR_LIMIT, "cannot make a folder for objects", path);
  j->own = j->cache_dir = path;
  return SN_OK;
}

static sn_code find_cache(load_job *j) {
  const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (!j->cache_dir && base && *base == '/') j->cache_dir = sn_arena_printf(j->arena, "%s/sinter", base);
  if (!j->cache_dir && home && *home == '/') j->cache_dir = sn_arena_printf(j->arena, "%s/.cache/sinter", home);
  if (!j->cache_dir)
    return sn_fail(j->diags, SN_ERR_LIMIT, (sn_loc){0},
                   "no folder for objects: set HOME or XDG_CACHE_HOME, or do without a cache (--no-cache)");
  if (!*j->cache_dir) return make_own(j);
  SN_TRY(make_dirs(j, j->cache_dir));
  struct stat st;
  if (stat(j->cache_dir, &st)) return fail(j, SN_ERR_LIMIT, "cannot be used for objects", j->cache_dir);
  if (st.st_uid == geteuid() && !(st.st_mode & S_IWOTH)) return SN_OK;
  sn_code code = sn_fail(j->diags, SN_ERR_LIMIT, (sn_loc){.file = j->cache_dir}, "the folder for objects is not safe");
  sn_fail_expected(j->diags, "a folder of this user that others cannot write");
  return code;
}

static sn_code read_file(load_job *j, const char *path, const char **text, size_t *bytes) {
  FILE *f = fopen(path, "rb");
  if (!f) return fail(j, SN_ERR_INPUT, "cannot be read", path);
  struct stat st;
  if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) || st.st_size > TEXT_MAX) {
    fclose(f);
    return sn_fail(j->diags, SN_ERR_INPUT, (sn_loc){.file = path}, "not a file of at most 64 MiB");
  }
  size_t size = (size_t)st.st_size;
  fclose(f); /* nothing is open while the arena may give up */
  char *at = sn_arena_alloc(j->arena, size + 1);
  f = fopen(path, "rb");
  if (!f) return fail(j, SN_ERR_INPUT, "cannot be read", path);
  *bytes = fread(at, 1, size, f);
  fclose(f);
  *text = at;
  return SN_OK;
}

/* A regular file of the user that nobody else can write. */
static bool is_own(const char *path) {
  struct stat st;
  return !lstat(path, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static sn_code temporary(load_job *j, const char **out) {
  char *path = sn_arena_printf(j->arena, "%s/model-XXXXXX", j->cache_dir);
  int fd = mkstemp(path);
  if (fd < 0) return fail(j, SN_ERR_LIMIT, "cannot make a file for objects", j->cache_dir);
  close(fd);
  *out = path;
  return SN_OK;
}

/* ---- the compiler ------------------------------------------------------------------------------------------ */

static void add_word(load_job *j, const char *word) {
  if (j->word_count < WORDS_MAX) j->words[j->word_count++] = word;
}

/* $CC may hold flags; then what every model file is compiled with. */
static sn_code compiler_words(load_job *j) {
  const char *cc = getenv("CC"), *include = getenv("SINTER_INCLUDE");
  if (!include || !*include) include = sn_place_find(j->arena, "include/sinter");
  if (!include) {
    sn_code code = sn_fail(j->diags, SN_ERR_INPUT, (sn_loc){.file = j->path}, "sinter.h was not found");
    sn_fail_note(j->diags, "set SINTER_INCLUDE to the folder that holds it");
    return code;
  }
  char *copy = sn_arena_strdup(j->arena, cc && *cc ? cc : "cc"), *rest = NULL;
  bool clang = strstr(copy, "clang") != NULL;
  for (char *word = strtok_r(copy, " \t", &rest); word && j->word_count < WORDS_MAX / 2;
       word = strtok_r(NULL, " \t", &rest))
    add_word(j, word);
  static const char *const flags[] = {
      "-std=c17", "-Wall", "-Werror=implicit-function-declaration", "-Werror=return-type", "-DSN_PLUGIN", "-fPIC"};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) add_word(j, flags[i]);
  if (clang) add_word(j, "-fmacro-backtrace-limit=1");
  add_word(j, sn_arena_printf(j->arena, "-I%s", include));
  return SN_OK;
}

/* Runs the compiler with more words; what it says goes to the file `log`. -> its exit status, -1 if it did not start */
static int run_compiler(load_job *j, const char *const *more, const char *log) {
  char *argv[WORDS_MAX + 16];
  int n = 0;
  for (int i = 0; i < j->word_count; i++) argv[n++] = (char *)(uintptr_t)j->words[i];
  for (; *more; more++) argv[n++] = (char *)(uintptr_t)*more;
  argv[n] = NULL;
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions)) return -1;
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_TRUNC, 0600);
  pid_t pid;
  int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ), status = 0;
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return -1;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static sn_code compiler_failed(load_job *j, int status, const char *log) {
  const char *said = "";
  size_t bytes;
  sn_loc loc = {.file = j->path};
  if (status < 0) {
    sn_code code = sn_fail(j->diags, SN_ERR_INPUT, loc, "the C compiler %s does not run", j->words[0]);
    sn_fail_note(j->diags, "set CC to a C compiler such as gcc or clang");
    return code;
  }
  if (read_file(j, log, &said, &bytes)) said = "";
  size_t length = strlen(said);
  while (length && said[length - 1] == '\n') length--;
  sn_code code = sn_fail(j->diags, SN_ERR_INPUT, loc, "the C compiler %s refuses the model", j->words[0]);
  sn_fail_found(j->diags, "%.*s", (int)(length > 20000 ? 20000 : length), said);
  return code;
}

/* The name of the object that this text, compiler and flags give. */
static sn_code object_path(load_job *j, const char *log, const char *text_path, const char **out) {
  const char *const more[] = {"-E", j->path, "-o", text_path, NULL};
  int status = run_compiler(j, more, log);
  if (status) return compiler_failed(j, status, log);
  const char *text;
  size_t bytes;
  SN_TRY(read_file(j, text_path, &text, &bytes));
  uint64_t low = sn_hash_bytes(text, bytes, 1), high = sn_hash_bytes(text, bytes, 2);
  for (int i = 0; i < j->word_count; i++) {
    low = sn_hash_bytes(j->words[i], strlen(j->words[i]) + 1, low);
    high = sn_hash_bytes(j->words[i], strlen(j->words[i]) + 1, high);
  }
  *out = sn_arena_printf(j->arena, "%s/model-%016llx%016llx.so", j->cache_dir, (unsigned long long)high,
                         (unsigned long long)low);
  return SN_OK;
}

/* to: where it is kept; NULL: nowhere. */
static sn_code compile(load_job *j, const char *log, const char *object, const char *to) {
  const char *const more[] = {"-O1", "-shared", j->path, "-o", object, "-lm", NULL};
  int status = run_compiler(j, more, log);
  if (status) return compiler_failed(j, status, log);
  if (!to) return SN_OK;
  if (chmod(object, 0600) || rename(object, to)) return fail(j, SN_ERR_LIMIT, "cannot keep the object", to);
  return SN_OK;
}

/* ---- loading ---------------------------------------------------------------------------------------------------- */

static sn_code open_object(load_job *j, const char *object) {
  sn_loc loc = {.file = j->path};
  void *handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return sn_fail(j->diags, SN_ERR_INPUT, loc, "the model cannot be loaded: %s", dlerror());
  const sn_model *const *plugin = (const sn_model *const *)dlsym(handle, "sn_plugin");
  sn_model_file *f = malloc(sizeof *f);
  if (!f) {
    dlclose(handle);
    return SN_ERR_LIMIT;
  }
  if (!plugin || !*plugin) {
    free(f);
    dlclose(handle);
    sn_code code = sn_fail(j->diags, SN_ERR_INPUT, loc, "there is no model in the file");
    sn_fail_expected(j->diags, "SN_MODEL(name, settings, graph, ...) as its last line");
    return code;
  }
  *f = (sn_model_file){handle, *plugin};
  j->out = f;
  return SN_OK;
}

static sn_code load_with(load_job *j, const char *log, const char *text, const char *object) {
  const char *to = NULL;
  if (!j->own) SN_TRY(object_path(j, log, text, &to));
  if (j->own || !is_own(to)) SN_TRY(compile(j, log, object, to));
  return open_object(j, to ? to : object);
}

static int run_load(void *arg) {
  load_job *j = arg;
  if (access(j->path, R_OK)) return fail(j, SN_ERR_INPUT, "cannot be read", j->path);
  SN_TRY(find_cache(j));
  SN_TRY(compiler_words(j));
  for (int i = 0; i < 3; i++) SN_TRY(temporary(j, &j->temp[i]));
  return load_with(j, j->temp[0], j->temp[1], j->temp[2]);
}

sn_code sn_model_load(const char *path, const char *cache_dir, sn_diags *diags, sn_model_file **out) {
  load_job j = {.path = path, .cache_dir = cache_dir, .diags = diags, .arena = sn_arena_scratch()};
  if (!j.arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  sn_code code = (sn_code)sn_protect(run_load, &j);
  for (int i = 0; i < 3; i++)
    if (j.temp[i]) unlink(j.temp[i]);
  if (j.own) rmdir(j.own);
  sn_arena_destroy(j.arena);
  if (code) return code;
  *out = j.out;
  return SN_OK;
}

void sn_model_unload(sn_model_file *f) {
  if (!f) return;
  dlclose(f->handle);
  free(f);
}

const sn_model *sn_model_of(const sn_model_file *f) { return f->model; }
