/* The tables of commands and options (main.c, options.def) as data: for help, the manual page and completions. */
#ifndef SN_FRONTEND_CLI_TABLE_H
#define SN_FRONTEND_CLI_TABLE_H

#include "frontend/cli/cli.h"

typedef struct cli_option_row {
  const char *name;     /* without dashes */
  const char *argument; /* "N", "FILE", "byte|char"; NULL: a flag */
  char many;            /* '1' once, '+' may be repeated, '*' takes all words up to the next option */
  int commands;         /* bits of those that know it */
  const char *help;
} cli_option_row;

typedef struct cli_command_row {
  const char *name;
  int bit;
  sn_code (*run)(cli *c);
  const char *words; /* positional arguments */
  const char *help, *examples;
} cli_command_row;

const cli_option_row *cli_options(int *count);
const cli_command_row *cli_commands(int *count);
extern const char cli_exit_codes[]; /* lines */

#endif
