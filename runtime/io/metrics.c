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

enum { FILE_MAX = 1 << 30, PENDING_MAX = 1 << 20 };

struct sn_metrics {
  int fd;
  bool failed;   /* a line was not written */
  char *pending; /* what is still to be written, from wherever the file ends */
  size_t bytes;
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

/* Writes what is pending; true: nothing is left. */
static bool flush(sn_metrics *m) {
  size_t done = write_line(m->fd, m->pending, m->bytes);
  m->bytes -= done;
  if (m->bytes) memmove(m->pending, m->pending + done, m->bytes);
  return !m->bytes;
}

static bool put(sn_metrics *m, const char *text, size_t bytes) {
  char *more = m->bytes + bytes > PENDING_MAX ? NULL : realloc(m->pending, m->bytes + bytes);
  if (!more) return (void)flush(m), false; /* the line is lost as a whole */
  memcpy(more + m->bytes, text, bytes);
  m->pending = more;
  m->bytes += bytes;
  return flush(m);
}

bool sn_metrics_add(sn_metrics *m, int count, const sn_metric *metric) {
  sn_arena *arena = sn_arena_scratch();
  bool good = arena != NULL;
  if (good) {
    sn_text t = sn_text_begin(arena);
    sn_metrics_print(&t, count, metric);
    sn_text_char(&t, '\n');
    good = put(m, t.at, (size_t)t.count);
  }
  sn_arena_destroy(arena);
  bool first = !good && !m->failed;
  m->failed |= !good;
  return !first;
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* A line as an object; NULL: it is none (cut off by a crash). owns: arena. */
static sn_code parse_line(sn_arena *arena, const char *text, size_t bytes, json_t **out) {
  *out = NULL;
  sn_code code = sn_json_parse(arena, NULL, NULL, text, bytes, 0, out);
  if (!code && !json_is_object(*out)) *out = NULL;
  return code == SN_ERR_LIMIT ? code : SN_OK;
}

static const char *line_end(const char *at, const char *end) {
  const char *stop = memchr(at, '\n', (size_t)(end - at));
  return stop ? stop : end;
}

static sn_code is_kept(const char *text, size_t bytes, int64_t keep_step, bool *out) {
  json_t *line;
  sn_arena *own = sn_arena_scratch();
  sn_code code = parse_line(own, text, bytes, &line);
  const json_t *step = code ? NULL : json_object_get(line, "step");
  *out = !code && line && (!json_is_number(step) || json_number_value(step) <= (double)keep_step);
  sn_arena_destroy(own);
  return code;
}

typedef struct lines {
  char *text;
  size_t bytes;
  int64_t keep_step;
} lines;

/* Moves the lines that are kept to the front. */
static int keep_lines(void *arg) {
  lines *l = arg;
  char *to = l->text;
  for (const char *at = l->text, *end = l->text + l->bytes; at < end;) {
    const char *stop = line_end(at, end);
    size_t n = (size_t)(stop - at);
    bool kept;
    SN_TRY(is_kept(at, n, l->keep_step, &kept));
    if (kept) {
      memmove(to, at, n);
      to += n;
      *to++ = '\n'; /* a kept line is never longer than what was read, its end included, unless the last lacks one */
    }
    at = stop + 1;
  }
  l->bytes = (size_t)(to - l->text);
  return SN_OK;
}

static sn_code cut(const char *path, int64_t keep_step, sn_diags *diags) {
  lines l = {.keep_step = keep_step};
  if (access(path, F_OK)) return SN_OK;
  SN_TRY(sn_file_read(path, FILE_MAX, diags, &l.text, &l.bytes));
  sn_code code = (sn_code)sn_protect(keep_lines, &l);
  if (!code) code = sn_file_write_all(path, l.text, l.bytes, diags);
  free(l.text);
  return code;
}

sn_code sn_metrics_open(const char *path, int64_t keep_step, sn_diags *diags, sn_metrics **out) {
  if (keep_step >= 0) SN_TRY(cut(path, keep_step, diags));
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
  if (!m) return;
  (void)flush(m);
  close(m->fd);
  free(m->pending);
  free(m);
}

typedef struct columns {
  sn_arena *arena;
  const char *text, *x_name, *y_name;
  size_t bytes;
  int count, x_capacity, y_capacity;
  double *x, *y;
} columns;

static void add_point(columns *c, const json_t *line) {
  const json_t *x = json_object_get(line, c->x_name), *y = json_object_get(line, c->y_name);
  if (!json_is_number(x) || !json_is_number(y)) return;
  SN_GROW(c->arena, c->x, c->count, c->x_capacity);
  SN_GROW(c->arena, c->y, c->count, c->y_capacity);
  c->x[c->count] = json_number_value(x);
  c->y[c->count++] = json_number_value(y);
}

static int read_columns(void *arg) {
  columns *c = arg;
  for (const char *at = c->text, *end = c->text + c->bytes; at < end;) {
    const char *stop = line_end(at, end);
    sn_arena *own = sn_arena_scratch();
    json_t *line;
    sn_code code = parse_line(own, at, (size_t)(stop - at), &line);
    if (!code && line) add_point(c, line);
    sn_arena_destroy(own);
    if (code) return (int)code;
    at = stop + 1;
  }
  return SN_OK;
}

sn_code sn_metrics_read(sn_arena *arena, sn_diags *diags, const char *path, const char *x_name, const char *y_name,
                        int *out_count, double **out_x, double **out_y) {
  char *text;
  columns c = {.arena = arena, .x_name = x_name, .y_name = y_name};
  SN_TRY(sn_file_read(path, FILE_MAX, diags, &text, &c.bytes));
  c.text = text;
  sn_code code = (sn_code)sn_protect(read_columns, &c);
  free(text);
  if (code) return code;
  *out_count = c.count, *out_x = c.x, *out_y = c.y;
  return SN_OK;
}
