/* metrics.jsonl: lines out, columns in. */
#include "runtime/io/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/io/file.h"
#include "runtime/io/json.h"

enum { FILE_MAX = 1 << 30 };

struct sn_metrics {
  int fd;
  bool failed;  /* a line was lost */
  bool partial; /* the last line is cut off: the next one starts on a new line */
};

/* ---- writing ------------------------------------------------------------------------------------ */

void sn_metrics_print(sn_text *out, int count, const sn_metric *m) {
  for (int i = 0; i < count; i++) {
    sn_text_add(out, i ? ", " : "{");
    sn_json_quote(out, m[i].name);
    if (!isfinite(m[i].value)) {
      sn_text_add(out, ": null");
    } else if (m[i].value == floor(m[i].value) && fabs(m[i].value) < 1e15) {
      sn_text_add(out, ": %" PRId64, (int64_t)m[i].value);
    } else {
      char digits[40];
      snprintf(digits, sizeof digits, "%.9g", m[i].value);
      for (char *p = digits; *p; p++) *p = *p == ',' ? '.' : *p; /* locales */
      sn_text_add(out, ": %s", digits);
    }
  }
  sn_text_add(out, count ? "}" : "{}");
}

/* Bytes written of the line, all or a part. */
static size_t write_line(int fd, const char *text, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    ssize_t n = write(fd, text + done, bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += (size_t)n;
  }
  return done;
}

bool sn_metrics_add(sn_metrics *m, int count, const sn_metric *metric) {
  sn_arena *arena = sn_arena_create();
  bool good = arena != NULL;
  if (good) {
    sn_text t = sn_text_begin(arena);
    if (m->partial) sn_text_char(&t, '\n');
    sn_metrics_print(&t, count, metric);
    sn_text_char(&t, '\n');
    size_t done = write_line(m->fd, t.at, (size_t)t.count);
    good = done == (size_t)t.count;
    if (done) m->partial = !good;
  }
  sn_arena_destroy(arena);
  bool first = !good && !m->failed;
  m->failed |= !good;
  return !first;
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* A line as an object; NULL: it is none (cut off by a crash). owns: the caller. */
static json_t *parse_line(const char *text, size_t bytes) {
  json_t *root = NULL;
  if (sn_json_parse(NULL, NULL, text, bytes, &root)) return NULL;
  if (json_is_object(root)) return root;
  json_decref(root);
  return NULL;
}

static const char *line_end(const char *at, const char *end) {
  const char *stop = memchr(at, '\n', (size_t)(end - at));
  return stop ? stop : end;
}

static bool is_kept(const char *text, size_t bytes, int64_t keep_step) {
  json_t *line = parse_line(text, bytes);
  const json_t *step = json_object_get(line, "step");
  bool kept = line && (!json_is_number(step) || json_number_value(step) <= (double)keep_step);
  json_decref(line);
  return kept;
}

static sn_code keep_lines(const char *path, int64_t keep_step, sn_diags *diags) {
  char *text;
  size_t bytes;
  if (access(path, F_OK)) return SN_OK;
  SN_TRY(sn_file_read(path, FILE_MAX, diags, &text, &bytes));
  char *to = text;
  for (const char *at = text, *end = text + bytes; at < end;) {
    const char *stop = line_end(at, end);
    size_t n = (size_t)(stop - at);
    if (is_kept(at, n, keep_step)) {
      memmove(to, at, n);
      to += n;
      *to++ = '\n'; /* a kept line is never longer than what was read, its end included, unless the last lacks one */
    }
    at = stop + 1;
  }
  sn_code code = sn_file_write_all(path, text, (size_t)(to - text), diags);
  free(text);
  return code;
}

sn_code sn_metrics_open(const char *path, int64_t keep_step, sn_diags *diags, sn_metrics **out) {
  if (keep_step >= 0) SN_TRY(keep_lines(path, keep_step, diags));
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (keep_step < 0 ? O_TRUNC : 0), 0666);
  if (fd < 0) return sn_fail(diags, SN_ERR_FAIL, (sn_loc){.file = path}, "cannot write %s: %s", path, strerror(errno));
  sn_metrics *m = calloc(1, sizeof *m);
  if (!m) {
    close(fd);
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = path}, "out of memory");
  }
  m->fd = fd;
  *out = m;
  return SN_OK;
}

void sn_metrics_close(sn_metrics *m) {
  if (m) close(m->fd);
  free(m);
}

typedef struct columns {
  sn_arena *arena;
  int count, x_capacity, y_capacity;
  double *x, *y;
} columns;

static void add_point(columns *c, const json_t *line, const char *x_name, const char *y_name) {
  const json_t *x = json_object_get(line, x_name), *y = json_object_get(line, y_name);
  if (!json_is_number(x) || !json_is_number(y)) return;
  SN_GROW(c->arena, c->x, c->count, c->x_capacity);
  SN_GROW(c->arena, c->y, c->count, c->y_capacity);
  c->x[c->count] = json_number_value(x);
  c->y[c->count++] = json_number_value(y);
}

sn_code sn_metrics_read(sn_arena *arena, sn_diags *diags, const char *path, const char *x_name, const char *y_name,
                        int *out_count, double **out_x, double **out_y) {
  char *text;
  size_t bytes;
  columns c = {.arena = arena};
  SN_TRY(sn_file_read(path, FILE_MAX, diags, &text, &bytes));
  for (const char *at = text, *end = text + bytes; at < end;) {
    const char *stop = line_end(at, end);
    json_t *line = parse_line(at, (size_t)(stop - at));
    if (line) add_point(&c, line, x_name, y_name);
    json_decref(line);
    at = stop + 1;
  }
  free(text);
  *out_count = c.count, *out_x = c.x, *out_y = c.y;
  return SN_OK;
}
