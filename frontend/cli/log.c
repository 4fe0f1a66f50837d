/* SN_LOG, SN_DEBUG and the other variables of the table. */
#include "frontend/cli/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/cli/cli.h"
#include "runtime/io/json.h"

typedef struct variable {
  const char *name, *value, *help;
} variable;

static const variable variables[] = {
#define VARIABLE(name, value, help) {name, value, help},
#include "frontend/cli/variables.def"
#undef VARIABLE
};
enum { VARIABLES = sizeof variables / sizeof *variables };

static const char *const levels[] = {
#define VARIABLE(name, value, help)
#define LEVEL(id, word) word,
#include "frontend/cli/variables.def"
#undef LEVEL
#undef VARIABLE
};
enum { LEVELS = sizeof levels / sizeof *levels };

static const variable subjects[] = {
#define VARIABLE(name, value, help)
#define DEBUG(id, word, help) {word, "", help},
#include "frontend/cli/variables.def"
#undef DEBUG
#undef VARIABLE
};

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static void unknown(const char *variable_name, const char *word, int bytes) {
  fprintf(stderr, "sinter: warning: %s: \"%.*s\" is not known; `sinter help` lists the words\n", variable_name, bytes,
          word);
}

static void read_subjects(cli_log_state *s, const char *list) {
  while (list && *list) {
    size_t n = strcspn(list, ",");
    bool known = n == 3 && !strncmp(list, "all", 3);
    if (known) s->subjects = ~0u;
    for (int i = 0; i < CLI_DEBUG_COUNT && !known; i++) {
      known = strlen(subjects[i].name) == n && !strncmp(subjects[i].name, list, n);
      if (known) s->subjects |= 1u << i;
    }
    if (!known && n) unknown("SN_DEBUG", list, (int)n);
    list += n + (list[n] == ',');
  }
}

cli_log_state cli_log_begin(void) {
  cli_log_state s = {.level = CLI_LOG_WARN};
  const char *level = getenv("SN_LOG");
  bool known = !level || !*level;
  for (int i = 0; i < LEVELS && !known; i++) {
    known = !strcmp(level, levels[i]);
    if (known) s.level = (cli_level)i;
  }
  if (!known) unknown("SN_LOG", level, (int)strlen(level));
  read_subjects(&s, getenv("SN_DEBUG"));
  return s;
}

/* ---- saying ------------------------------------------------------------------------------------------------------ */

static void say(const char *mark, const char *format, va_list args) {
  char text[2048];
  vsnprintf(text, sizeof text, format, args);
  fprintf(stderr, "sinter: %s%s%s\n", mark, *mark ? ": " : "", text);
}

void cli_log(const cli_log_state *s, cli_level level, const char *format, ...) {
  va_list args;
  if (level > s->level) return;
  va_start(args, format);
  say(level > CLI_LOG_WARN ? levels[level] : "", format, args);
  va_end(args);
}

bool cli_debugs(const cli_log_state *s, cli_subject subject) { return s->subjects >> subject & 1; }

void cli_debug(const cli_log_state *s, cli_subject subject, const char *format, ...) {
  va_list args;
  if (!cli_debugs(s, subject)) return;
  va_start(args, format);
  say(subjects[subject].name, format, args);
  va_end(args);
}

/* ---- the tables -------------------------------------------------------------------------------------------------- */

void cli_variables_print(sn_text *out, bool values) {
  for (int i = 0; i < VARIABLES; i++) {
    const variable *v = &variables[i];
    const char *now = values ? getenv(v->name) : NULL;
    sn_text_add(out, "  %-18s %-9s %s%s%s\n", v->name, v->value, v->help, now ? "; now: " : "", now ? now : "");
  }
  sn_text_add(out, "words of SN_DEBUG:\n");
  for (int i = 0; i < CLI_DEBUG_COUNT; i++)
    sn_text_add(out, "    %-16s           %s\n", subjects[i].name, subjects[i].help);
  sn_text_add(out, "    %-16s           %s\n", "all", "all of these");
}

void cli_variables_roff(sn_text *out) {
  for (int i = 0; i < VARIABLES; i++)
    sn_text_add(out, ".TP\n\\fB%s\\fR=\\fI%s\\fR\n%s\n", variables[i].name, variables[i].value, variables[i].help);
  for (int i = 0; i < CLI_DEBUG_COUNT; i++)
    sn_text_add(out, "%s\\fB%s\\fR (%s)", i ? ", " : ".PP\nWords of SN_DEBUG: ", subjects[i].name, subjects[i].help);
  sn_text_add(out, ", \\fBall\\fR.\n");
}

void cli_variables_json(sn_text *out) {
  for (int i = 0; i < VARIABLES; i++) {
    const char *now = getenv(variables[i].name);
    sn_text_add(out, "%s\"%s\": ", i ? ", " : "", variables[i].name);
    if (now)
      sn_json_quote(out, now);
    else
      sn_text_add(out, "null");
  }
}
