/* What the command says on stderr beside results and mistakes: by level (SN_LOG), and by subject (SN_DEBUG). */
#ifndef SN_FRONTEND_CLI_LOG_H
#define SN_FRONTEND_CLI_LOG_H

#include "ir/base/status.h"
#include "ir/base/str.h"

typedef enum cli_level {
#define VARIABLE(name, value, help)
#define LEVEL(id, word) CLI_LOG_##id,
#include "frontend/cli/variables.def"
#undef LEVEL
#undef VARIABLE
} cli_level;

typedef enum cli_subject {
#define VARIABLE(name, value, help)
#define DEBUG(id, word, help) CLI_DEBUG_##id,
#include "frontend/cli/variables.def"
#undef DEBUG
#undef VARIABLE
  CLI_DEBUG_COUNT
} cli_subject;

typedef struct cli_log_state {
  cli_level level;
  unsigned subjects; /* bit per cli_subject */
} cli_log_state;

/* From SN_LOG and SN_DEBUG; words that they do not know are told on stderr. */
cli_log_state cli_log_begin(void);
/* "sinter: info: ..." when the level is wanted; warnings have no other mark. */
void cli_log(const cli_log_state *s, cli_level level, const char *format, ...) SN_PRINTF(3, 4);
/* "sinter: passes: ..." when the subject is wanted. */
void cli_debug(const cli_log_state *s, cli_subject subject, const char *format, ...) SN_PRINTF(3, 4);
bool cli_debugs(const cli_log_state *s, cli_subject subject);
/* The tables as text, one line an entry, with the present values of the variables; or as members of a JSON object. */
void cli_variables_print(sn_text *out, bool values);
void cli_variables_json(sn_text *out);
/* The same for the manual page. */
void cli_variables_roff(sn_text *out);

#endif
