/* Build tool: text files -> one C string, the corpus that `sinter train` uses without --data.
 * usage: embed OUT.c LIST   (LIST: one path a line) */
#include <stdio.h>
#include <string.h>

static void put(FILE *out, int c, long *column) {
  if (!*column) fputs("  \"", out);
  if (c == '\n')
    fputs("\\n", out);
  else if (c == '"' || c == '\\')
    fprintf(out, "\\%c", c);
  else if (c == '?' || c < 32 || c > 126)
    fprintf(out, "\\%03o", c);
  else
    fputc(c, out);
  if (++*column == 100 || c == '\n') fputs("\"\n", out), *column = 0;
}

static long embed(FILE *out, const char *path) {
  FILE *f = fopen(path, "rb");
  long bytes = 0, column = 0;
  if (!f) return -1;
  for (int c; (c = fgetc(f)) != EOF; bytes++) put(out, c, &column);
  if (column) fputs("\"\n", out);
  fclose(f);
  return bytes;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  FILE *out = fopen(argv[1], "wb"), *list = fopen(argv[2], "rb");
  char path[4096];
  long total = 0;
  if (!out || !list) return 1;
  fputs("/* generated: the default corpus */\n#include \"frontend/cli/corpus.h\"\n\nconst char sn_corpus[] =\n", out);
  while (fgets(path, sizeof path, list)) {
    path[strcspn(path, "\r\n")] = 0;
    long bytes = path[0] ? embed(out, path) : 0;
    if (bytes < 0) return fprintf(stderr, "embed: %s cannot be read\n", path), 1;
    total += bytes;
  }
  fprintf(out, "  \"\";\nconst long sn_corpus_bytes = %ld;\n", total);
  fclose(list);
  return fclose(out) != 0;
}
