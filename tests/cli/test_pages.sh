#!/usr/bin/env bash
# Manual page and completions: every command and option is in them, and shells and man take them.
. "$(dirname "$0")/common.sh"
for page in man bash zsh fish; do
  expect 0 "$SINTER" pages $page
  cp "$scratch/stdout" "$scratch/$page"
done
expect 2 "$SINTER" pages tcsh
expect 2 "$SINTER" pages

# all that --help knows
"$SINTER" help | awk '/^  [a-z]/ { print $1 }' | while read -r command; do
  grep -q "^\.SS sinter $command " "$scratch/man" || die "the manual page lacks $command"
  grep -q "^    $command) options=" "$scratch/bash" || die "bash lacks $command"
  grep -q "^    $command)" "$scratch/zsh" || die "zsh lacks $command"
  grep -q -- "-a $command " "$scratch/fish" || die "fish lacks $command"
  "$SINTER" "$command" --help | awk '/^  --/ { print substr($1, 3) }' | while read -r option; do
    sed -n "/^\.SS sinter $command /,/^Examples/p" "$scratch/man" | sed 's/\\-/-/g' | finds "fB--$option\\\\fR" || die "man: $command --$option"
    grep "^    $command) options=" "$scratch/bash" | finds -- "--$option " || die "bash: $command --$option"
    sed -n "/^    $command)/,/;;/p" "$scratch/zsh" | finds -- "--$option\[" || die "zsh: $command --$option"
    grep -- " -l $option " "$scratch/fish" | finds "[ ']$command[ ']" || die "fish: $command --$option"
  done || exit 1
done || exit 1

# they work
if command -v groff >/dev/null; then
  warnings=$(groff -man -ww -Tutf8 "$scratch/man" 2>&1 >/dev/null)
  [ -z "$warnings" ] || die "the manual page: $warnings"
fi
complete_words() { # WORDS...: what bash offers for the last one
  bash --norc -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sinter; printf "%s\n" "${COMPREPLY[@]}"' - "$scratch/bash" "$@"
}
[ "$(complete_words sinter gener)" = generate ] || die "bash: gener"
[ "$(complete_words sinter train --token)" = --tokenizer ] || die "bash: train --token"
[ "$(complete_words sinter train --tokenizer by)" = byte ] || die "bash: --tokenizer by"
[ -z "$(complete_words sinter generate --data)" ] || die "bash offers generate an option that it lacks"
touch "$scratch/book.txt"
[ "$(complete_words sinter train --data "$scratch/bo")" = "$scratch/book.txt" ] || die "bash: files"
! command -v zsh >/dev/null || zsh -n "$scratch/zsh" || die "zsh"
! command -v fish >/dev/null || fish -n "$scratch/fish" || die "fish"
exit 0
