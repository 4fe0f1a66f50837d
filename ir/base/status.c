/* Diagnostics: collects mistakes and prints them as compilers do, with the source line. */
#include "ir/base/status.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ir/base/str.h"

enum { SOURCE_MAX = 16 << 20, LINES_BEFORE = 40, LINES_AFTER = 4 };

static sn_diags *list_in(sn_arena *arena) {
  if (!arena) return NULL;
  sn_diags *d = SN_NEW(arena, sn_diags); /* a new arena has room for it */
  d->arena = arena;
  return d;
}

sn_diags *sn_diags_create(void) { return list_in(sn_arena_create()); }
sn_diags *sn_diags_scratch(void) { return list_in(sn_arena_scratch()); }

void sn_diags_destroy(sn_diags *d) {
  if (d) sn_arena_destroy(d->arena);
}

static const char *format_text(sn_arena *arena, const char *format, va_list args) {
  sn_text t = sn_text_begin(arena);
  sn_text_add_list(&t, format, args);
  return t.at;
}

static const char *copy_or_null(sn_arena *arena, const char *s) { return s ? sn_arena_strdup(arena, s) : NULL; }

sn_code sn_fail(sn_diags *d, sn_code code, sn_loc loc, const char *format, ...) {
  if (!d) return code;
  loc.file = copy_or_null(d->arena, loc.file);
  loc.text = copy_or_null(d->arena, loc.text);
  va_list args;
  va_start(args, format);
  sn_diag one = {.code = code, .loc = loc, .message = format_text(d->arena, format, args)};
  va_end(args);
  SN_GROW(d->arena, d->at, d->count, d->capacity);
  d->at[d->count++] = one;
  return code;
}

/* The old text, if any, and a further line. */
static const char *append_line(sn_diags *d, const char *old, const char *format, va_list args) {
  const char *line = format_text(d->arena, format, args);
  return old ? sn_arena_printf(d->arena, "%s\n%s", old, line) : line;
}

void sn_fail_expected_list(sn_diags *d, const char *format, va_list args) {
  if (!d || !d->count) return;
  sn_diag *last = &d->at[d->count - 1];
  last->expected = append_line(d, last->expected, format, args);
}

void sn_fail_found_list(sn_diags *d, const char *format, va_list args) {
  if (!d || !d->count) return;
  sn_diag *last = &d->at[d->count - 1];
  last->found = append_line(d, last->found, format, args);
}

void sn_fail_expected(sn_diags *d, const char *format, ...) {
  va_list args;
  va_start(args, format);
  sn_fail_expected_list(d, format, args);
  va_end(args);
}

void sn_fail_found(sn_diags *d, const char *format, ...) {
  va_list args;
  va_start(args, format);
  sn_fail_found_list(d, format, args);
  va_end(args);
}

sn_code sn_fail_list(sn_diags *d, sn_code code, sn_loc loc, const char *subject, const char *expected,
                     const char *found, const char *format, va_list args) {
  if (!d) return code;
  (void)sn_fail(d, code, loc, "%s: %s", subject, format_text(d->arena, format, args));
  if (expected) sn_fail_expected(d, "%s", expected);
  if (found) sn_fail_found(d, "%s", found);
  return code;
}

void sn_fail_note(sn_diags *d, const char *format, ...) {
  if (!d || !d->count) return;
  sn_diag *last = &d->at[d->count - 1];
  va_list args;
  va_start(args, format);
  last->note = append_line(d, last->note, format, args);
  va_end(args);
}

/* A file of the user, read for the excerpt; NULL when it cannot be. */
static const char *read_source(sn_arena *arena, const char *file) {
  struct stat st;
  if (stat(file, &st) || !S_ISREG(st.st_mode) || st.st_size > SOURCE_MAX) return NULL;
  char *text = sn_arena_alloc(arena, (size_t)st.st_size + 1);
  FILE *f = fopen(file, "rb");
  if (!f) return NULL;
  size_t count = fread(text, 1, (size_t)st.st_size, f);
  fclose(f);
  text[count] = 0;
  return text;
}

/* Start of line `line` (from 1), NULL if there is none. */
static const char *line_start(const char *source, int line) {
  for (; line > 1; line--) {
    source = strchr(source, '\n');
    if (!source) return NULL;
    source++;
  }
  return line == 1 && *source ? source : NULL;
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* End of the match of `text` at `at`, blanks ignored in both; NULL: no match. */
static const char *match_end(const char *at, const char *text) {
  const char *end = at;
  char last = 0;
  for (; *text; text++) {
    if (isspace((unsigned char)*text)) continue;
    while (isspace((unsigned char)*at)) at++;
    if (*at != *text) return NULL;
    last = *at++;
    end = at;
  }
  return last && !(is_word(last) && is_word(*end)) ? end : NULL;
}

typedef struct excerpt {
  int line;          /* from 1 */
  const char *start; /* of the line in the source */
  const char *caret; /* NULL: nothing to underline */
  const char *end;   /* of what is underlined */
} excerpt;

/* Looks for the text in one line of the source, where a word of it must start a word. */
static bool find_in_line(const char *source, int line, const char *text, excerpt *out) {
  const char *start = line_start(source, line);
  if (!start) return false;
  for (const char *at = start; *at && *at != '\n'; at++) {
    if (isspace((unsigned char)*at) || (at > start && is_word(at[-1]) && is_word(*at))) continue;
    const char *end = match_end(at, text);
    if (!end) continue;
    *out = (excerpt){.line = line, .start = start, .caret = at, .end = end};
    return true;
  }
  return false;
}

/* The stated line first, then upwards (a call over many lines may be given by its last), then downwards. */
static bool find_near(const char *source, sn_loc loc, excerpt *out) {
  if (!loc.text || !*loc.text) return false;
  for (int up = 0; up <= LINES_BEFORE && up < loc.line; up++) {
    if (find_in_line(source, loc.line - up, loc.text, out)) return true;
  }
  for (int down = 1; down <= LINES_AFTER; down++) {
    if (find_in_line(source, loc.line + down, loc.text, out)) return true;
  }
  return false;
}

/* The excerpt of a location whose column is known. */
static bool find_at_column(const char *source, sn_loc loc, excerpt *out) {
  const char *start = line_start(source, loc.line), *caret = start;
  if (!start || (int)strcspn(start, "\n") < loc.column - 1) return false;
  caret += loc.column - 1;
  const char *end = loc.text && *loc.text ? match_end(caret, loc.text) : NULL;
  *out = (excerpt){.line = loc.line, .start = start, .caret = caret, .end = end ? end : caret + 1};
  return true;
}

static bool find_excerpt(sn_arena *arena, sn_loc loc, excerpt *out) {
  const char *source = loc.file && loc.line > 0 ? read_source(arena, loc.file) : NULL;
  if (!source) return false;
  if (loc.column > 0) return find_at_column(source, loc, out);
  if (find_near(source, loc, out)) return true;
  *out = (excerpt){.line = loc.line, .start = line_start(source, loc.line)};
  return out->start != NULL;
}

/* The source line, and ^~~~ below what was found in it. */
static void print_excerpt(sn_text *out, const excerpt *e) {
  size_t length = strcspn(e->start, "\r\n");
  sn_text_add(out, "%5d | ", e->line);
  sn_text_bytes(out, e->start, length);
  sn_text_char(out, '\n');
  if (!e->caret) return;
  sn_text_add(out, "%5s | ", "");
  for (const char *at = e->start; at < e->caret; at++) {
    unsigned char c = (unsigned char)*at;
    if ((c & 0xc0) != 0x80) sn_text_char(out, c == '\t' ? '\t' : ' '); /* a character of UTF-8 is one column */
  }
  sn_text_char(out, '^');
  const char *end = e->end < e->start + length ? e->end : e->start + length;
  for (const char *at = e->caret + 1; at < end; at++) {
    if (((unsigned char)*at & 0xc0) != 0x80) sn_text_char(out, '~');
  }
  sn_text_char(out, '\n');
}

static void print_place(sn_text *out, sn_loc loc, const excerpt *e) {
  if (!loc.file) return;
  sn_text_add(out, "%s:", loc.file);
  int line = e ? e->line : loc.line, column = e && e->caret ? (int)(e->caret - e->start) + 1 : loc.column;
  if (line > 0) sn_text_add(out, "%d:", line);
  if (line > 0 && column > 0) sn_text_add(out, "%d:", column);
  sn_text_char(out, ' ');
}

/* One "= label:" entry; further lines stand below the first. */
static void print_field(sn_text *out, const char *label, const char *value) {
  if (!value) return;
  sn_text_add(out, "      = %-10s", label);
  for (;; value++) {
    size_t count = strcspn(value, "\n");
    sn_text_bytes(out, value, count);
    sn_text_char(out, '\n');
    value += count;
    if (!*value) return;
    sn_text_add(out, "%18s", "");
  }
}

const char *sn_diags_print(const sn_diags *d, sn_arena *arena) {
  sn_text out = sn_text_begin(arena);
  for (int i = 0; d && i < d->count; i++) {
    const sn_diag *one = &d->at[i];
    excerpt e;
    bool has_excerpt = find_excerpt(arena, one->loc, &e);
    if (i) sn_text_char(&out, '\n');
    print_place(&out, one->loc, has_excerpt ? &e : NULL);
    sn_text_add(&out, "error: %s\n", one->message);
    if (has_excerpt) print_excerpt(&out, &e);
    print_field(&out, "expected:", one->expected);
    print_field(&out, "found:", one->found);
    print_field(&out, "note:", one->note);
  }
  return out.at;
}
