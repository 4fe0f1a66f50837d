/* sinter pages: the manual page, and completions of shells, from the tables of commands and options. */
#include <stdio.h>
#include <string.h>

#include "frontend/cli/table.h"

/* ---- what may stand behind an option ----------------------------------------------------------------------------- */

/* Is the argument one of several words, "byte|char"? */
static bool is_choice(const char *argument) {
  return strchr(argument, '|') && !strpbrk(argument, "ABCDEFGHIJKLMNOPQRSTUVWXYZ=.");
}

static bool is_file(const char *argument) {
  return strstr(argument, "FILE") || strstr(argument, "DIR") || strstr(argument, "OUT");
}

/* "byte|char" -> "byte char" */
static const char *choices(sn_arena *arena, const char *argument) {
  char *words = sn_arena_strdup(arena, argument);
  for (char *at = words; *at; at++)
    if (*at == '|') *at = ' ';
  return words;
}

/* ---- manual page ------------------------------------------------------------------------------------------------- */

static void roff(sn_text *t, const char *s) {
  for (bool start = true; *s; s++) {
    if (start && (*s == '.' || *s == '\'')) sn_text_add(t, "\\&");
    start = *s == '\n';
    if (*s == '-' || *s == '\\')
      sn_text_add(t, *s == '-' ? "\\-" : "\\e");
    else
      sn_text_char(t, *s);
  }
}

static void roff_option(sn_text *t, const cli_option_row *o) {
  sn_text_add(t, ".TP\n\\fB\\-\\-");
  roff(t, o->name);
  sn_text_add(t, "\\fR");
  if (o->argument) {
    sn_text_add(t, " \\fI");
    roff(t, o->argument);
    sn_text_add(t, "\\fR");
  }
  sn_text_char(t, '\n');
  roff(t, o->help);
  sn_text_add(t, o->many == '+' ? " (may be repeated)\n" : "\n");
}

static void roff_lines(sn_text *t, const char *s) {
  sn_text_add(t, ".nf\n");
  roff(t, s);
  sn_text_add(t, ".fi\n");
}

static void roff_command(sn_text *t, const cli_command_row *k) {
  int count;
  const cli_option_row *o = cli_options(&count);
  sn_text_add(t, ".SS sinter ");
  roff(t, k->name);
  sn_text_char(t, ' ');
  roff(t, k->words);
  sn_text_char(t, '\n');
  roff(t, k->help);
  sn_text_char(t, '\n');
  for (int i = 0; i < count; i++)
    if (o[i].commands & k->bit) roff_option(t, &o[i]);
  sn_text_add(t, ".PP\nExamples:\n.PP\n");
  roff_lines(t, k->examples);
}

/* The codes as one paragraph. */
static void roff_exit_codes(sn_text *t) {
  sn_text line = sn_text_begin(t->arena);
  for (const char *s = cli_exit_codes; *s; s++)
    if (*s != ' ' || (line.count && line.at[line.count - 1] != '\n')) sn_text_char(&line, *s);
  roff(t, line.at);
}

static void man_page(sn_text *t) {
  int count;
  const cli_command_row *k = cli_commands(&count);
  sn_text_add(
      t,
      ".TH SINTER 1 \"\" \"sinter %s\" \"User Commands\"\n"
      ".SH NAME\nsinter \\- a dataflow\\-graph compiler for language models\n"
      ".SH SYNOPSIS\n\\fBsinter\\fR \\fICOMMAND\\fR [words] [options]\n"
      ".SH DESCRIPTION\n"
      "Trains, runs, and turns into native code language models that are described in a small language embedded "
      "in C. Results go to standard output, messages to standard error.\n.SH COMMANDS\n",
      SN_VERSION);
  for (int i = 0; i < count; i++) roff_command(t, &k[i]);
  sn_text_add(t, ".SH EXIT STATUS\n");
  roff_exit_codes(t);
  sn_text_add(t, ".SH ENVIRONMENT\n");
  cli_variables_roff(t);
}

/* ---- bash
 * ------------------------------------------------------------------------------------------------------------ */

static void bash_values(sn_text *t) {
  int count;
  const cli_option_row *o = cli_options(&count);
  sn_text_add(t, "  case $prev in\n");
  for (int i = 0; i < count; i++) {
    if (!o[i].argument) continue;
    if (is_choice(o[i].argument))
      sn_text_add(t, "    --%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", o[i].name,
                  choices(t->arena, o[i].argument));
    else if (is_file(o[i].argument))
      sn_text_add(t, "    --%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", o[i].name);
    else
      sn_text_add(t, "    --%s) return ;;\n", o[i].name);
  }
  sn_text_add(t, "    -o) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n  esac\n");
}

static void bash_page(sn_text *t) {
  int commands, count;
  const cli_command_row *k = cli_commands(&commands);
  const cli_option_row *o = cli_options(&count);
  sn_text_add(t,
              "# completion of sinter for bash; written by `sinter pages bash`\n_sinter() {\n"
              "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} options=\n"
              "  compopt -o filenames 2>/dev/null\n"
              "  if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W '");
  for (int i = 0; i < commands; i++) sn_text_add(t, "%s ", k[i].name);
  sn_text_add(t, "help version' -- \"$cur\"))\n    return\n  fi\n");
  bash_values(t);
  sn_text_add(t, "  case ${COMP_WORDS[1]} in\n");
  for (int i = 0; i < commands; i++) {
    sn_text_add(t, "    %s) options='", k[i].name);
    for (int j = 0; j < count; j++)
      if (o[j].commands & k[i].bit) sn_text_add(t, "--%s ", o[j].name);
    sn_text_add(t, "' ;;\n");
  }
  sn_text_add(t,
              "  esac\n"
              "  case $cur in\n"
              "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
              "    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
              "  esac\n}\ncomplete -F _sinter sinter\n");
}

/* ---- zsh
 * ------------------------------------------------------------------------------------------------------------- */

/* Text inside of '...[..]': without the signs that end it. */
static void zsh_text(sn_text *t, const char *s) {
  for (; *s; s++) {
    if (*s == '\'')
      sn_text_add(t, "'\\''");
    else if (strchr("[]:\\", *s))
      sn_text_add(t, "\\%c", *s);
    else
      sn_text_char(t, *s);
  }
}

static void zsh_option(sn_text *t, const cli_option_row *o) {
  sn_text_add(t, " \\\n        '%s--%s[", o->many == '1' ? "" : "*", o->name);
  zsh_text(t, o->help);
  sn_text_char(t, ']');
  if (o->argument) {
    sn_text_char(t, ':');
    zsh_text(t, o->argument);
    if (is_choice(o->argument))
      sn_text_add(t, ":(%s)", choices(t->arena, o->argument));
    else
      sn_text_add(t, is_file(o->argument) ? ":_files" : ": ");
  }
  sn_text_char(t, '\'');
}

static void zsh_page(sn_text *t) {
  int commands, count;
  const cli_command_row *k = cli_commands(&commands);
  const cli_option_row *o = cli_options(&count);
  sn_text_add(t, "#compdef sinter\n# written by `sinter pages zsh`\n_sinter() {\n  local -a commands=(\n");
  for (int i = 0; i < commands; i++) {
    sn_text_add(t, "    '%s:", k[i].name);
    zsh_text(t, k[i].help);
    sn_text_add(t, "'\n");
  }
  sn_text_add(t,
              "  )\n  if (( CURRENT == 2 )); then\n    _describe 'command' commands\n    return\n  fi\n"
              "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n");
  for (int i = 0; i < commands; i++) {
    sn_text_add(t, "    %s)\n      _arguments", k[i].name);
    for (int j = 0; j < count; j++)
      if (o[j].commands & k[i].bit) zsh_option(t, &o[j]);
    sn_text_add(t, " \\\n        '*:file:_files' ;;\n");
  }
  sn_text_add(t, "  esac\n}\n_sinter \"$@\"\n");
}

/* ---- fish
 * ------------------------------------------------------------------------------------------------------------ */

static void fish_text(sn_text *t, const char *s) {
  sn_text_char(t, '\'');
  for (; *s; s++) {
    if (*s == '\'' || *s == '\\') sn_text_char(t, '\\');
    sn_text_char(t, *s);
  }
  sn_text_char(t, '\'');
}

static void fish_option(sn_text *t, const cli_option_row *o, const char *seen) {
  sn_text_add(t, "complete -c sinter -n '__fish_seen_subcommand_from%s' -l %s", seen, o->name);
  if (o->argument && is_choice(o->argument))
    sn_text_add(t, " -x -a '%s'", choices(t->arena, o->argument));
  else if (o->argument)
    sn_text_add(t, is_file(o->argument) ? " -r -F" : " -x");
  sn_text_add(t, " -d ");
  fish_text(t, o->help);
  sn_text_char(t, '\n');
}

static void fish_page(sn_text *t) {
  int commands, count;
  const cli_command_row *k = cli_commands(&commands);
  const cli_option_row *o = cli_options(&count);
  sn_text_add(t, "# completion of sinter for fish; written by `sinter pages fish`\n");
  for (int i = 0; i < commands; i++) {
    sn_text_add(t, "complete -c sinter -n __fish_use_subcommand -f -a %s -d ", k[i].name);
    fish_text(t, k[i].help);
    sn_text_char(t, '\n');
  }
  for (int j = 0; j < count; j++) {
    sn_text seen = sn_text_begin(t->arena);
    for (int i = 0; i < commands; i++)
      if (o[j].commands & k[i].bit) sn_text_add(&seen, " %s", k[i].name);
    fish_option(t, &o[j], seen.at);
  }
}

/* ---- command
 * --------------------------------------------------------------------------------------------------------- */

sn_code cli_pages(cli *c) {
  static const struct {
    const char *name;
    void (*write)(sn_text *t);
  } pages[] = {{"man", man_page}, {"bash", bash_page}, {"zsh", zsh_page}, {"fish", fish_page}};
  const char *name;
  SN_TRY(cli_word(c, "man, bash, zsh or fish", &name));
  for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
    if (strcmp(name, pages[i].name)) continue;
    sn_text t = sn_text_begin(c->arena);
    pages[i].write(&t);
    return cli_print(c, &t);
  }
  return cli_usage_error(c, "no page called %s: man, bash, zsh or fish", name);
}
