/* host/sinter_host.h -> docs/api.md: what the header says, in the order in which it says it.
 * usage: sn_api_doc HEADER > docs/api.md */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 4096 };

typedef struct page {
  bool in_code;    /* a fence is open */
  bool in_comment; /* of more than one line */
  bool last_empty; /* the newest line */
} page;

static bool starts(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

/* Prints `count` bytes as a line; of several empty ones only the first. */
static void say(page *p, const char *s, int count) {
  if (count || !p->last_empty) printf("%.*s\n", count, s);
  p->last_empty = !count;
}

static void say_all(page *p, const char *s) { say(p, s, (int)strlen(s)); }

static void code(page *p, bool on) {
  if (p->in_code == on) return;
  if (on) say_all(p, "");
  say_all(p, on ? "```c" : "```");
  if (!on) say_all(p, "");
  p->in_code = on;
}

/* ---- declarations ------------------------------------------------------------------------------------------------ */

/* Of no interest to readers: guards, pragmas, includes, and the list of names with the version inside. */
static bool is_noise(const char *s) {
  return starts(s, "#if") || starts(s, "#endif") || starts(s, "#pragma") || starts(s, "#include") ||
         (starts(s, "#define ") && strstr(s, " SN_API(")) || starts(s, "#define SINTER_HOST_H");
}

/* As it is called: without SN_MUST, and without the size that a macro adds. */
static void say_code(page *p, const char *s) {
  char text[2 * LINE];
  const char *name = strstr(s, "SN_API("), *sized = strstr(s, ")(size_t opt_bytes, ");
  if (starts(s, "SN_MUST ")) s += 8;
  if (!name || !sized) {
    say_all(p, s);
    return;
  }
  snprintf(text, sizeof text, "%.*ssn_%.*s(%s", (int)(name - s), s, (int)(sized - name - 7), name + 7, sized + 20);
  say_all(p, text);
}

/* ---- comments ---------------------------------------------------------------------------------------------------- */

/* The text of a comment's line, without what only the comment needs. */
static char *comment_text(char *s) {
  s += strspn(s, " ");
  if (starts(s, "/*"))
    s += 2;
  else if (starts(s, "*") && !starts(s, "*/"))
    s += 1;
  char *end = strstr(s, "*/");
  if (end) *end = 0;
  size_t n = strlen(s);
  while (n && s[n - 1] == ' ') s[--n] = 0;
  return *s == ' ' ? s + 1 : s;
}

/* Where "errors:" or the like begins, from s on; NULL: nowhere. */
static const char *find_mark(const char *s) {
  static const char *const marks[] = {"errors:", "owns:", "needs:", "shape:", "units:"};
  const char *first = NULL;
  for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
    const char *at = strstr(s, marks[i]);
    if (at && (!first || at < first)) first = at;
  }
  return first;
}

/* A line of text; marks begin items of a list. */
static void say_text(page *p, const char *s) {
  for (s += strspn(s, " "); *s || !p->last_empty;) {
    const char *here = find_mark(s), *next = find_mark(s + 1);
    int n = next ? (int)(next - s) : (int)strlen(s);
    while (n && s[n - 1] == ' ') n--;
    if (here == s) fputs("- ", stdout);
    say(p, s, n);
    if (!next) return;
    s = next;
  }
}

static void comment_line(page *p, char *line) {
  bool ends = strstr(line, "*/") != NULL;
  const char *text = comment_text(line), *word = text + strspn(text, " ");
  bool example = word - text > 1 && !starts(word, "SN_ERR") && find_mark(word) != word; /* indented: code */
  code(p, example);
  if (example)
    say_all(p, text + 2);
  else
    say_text(p, text);
  p->in_comment = !ends;
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

static void body_line(page *p, char *line) {
  if (starts(line, "/* ---- ")) {
    char *title = line + 8, *end = strstr(title, " --");
    if (end) *end = 0;
    code(p, false);
    printf("\n## %s\n\n", title);
    p->last_empty = true;
  } else if (starts(line, "/*")) {
    code(p, false);
    comment_line(p, line);
  } else if (*line && !is_noise(line)) {
    code(p, true);
    say_code(p, line);
  }
}

int main(int argc, char **argv) {
  char line[LINE];
  FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
  page p = {.last_empty = true};
  if (!f) return fputs("usage: sn_api_doc HEADER\n", stderr), 2;
  puts("<!-- Written by docs/gen/api.c from host/sinter_host.h; do not edit. -->\n# The C interface\n");
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = 0;
    if (p.in_comment)
      comment_line(&p, line);
    else
      body_line(&p, line);
  }
  code(&p, false);
  return fclose(f) != 0;
}
