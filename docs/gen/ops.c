/* Prints docs/ops.md but for its last section: the reference of graph and kernel ops, from their tables. A test
 * compares it with the file in the tree. The last section is what `compile_test_op_table --print` prints: what tests
 * have shown. */
#include <stdio.h>

#include "ir/kernel/kernel.h"
#include "ir/ops/ops.h"

static const char *const class_title[] = {
    "Leaves",   "Elementwise",    "Views",      "Reductions", "Contraction",
    "Indexing", "Random numbers", "Structured", "Expansions",
};

static const char *kind_text(char kind) {
  switch (kind) {
    case 'i': return "integer";
    case 'f': return "number";
    case 's': return "string";
    case 'e': return "element type";
    case 'd': return "dim";
    case 'I': return "integers";
    case 'D': return "dims";
    default: return "region";
  }
}

static void print_attributes(const sn_op_info *info) {
  for (int i = 0; i < info->attr_count; i++)
    printf("%s`%s` %s%s", i ? ", " : "", info->attr[i].name, kind_text(info->attr[i].kind),
           info->attr[i].optional ? "?" : "");
  if (!info->attr_count) printf("–");
}

static void print_count(int n) {
  if (n < 0)
    printf("any");
  else
    printf("%d", n);
}

/* Text of a table cell. */
static void print_cell(const char *s) {
  for (; *s; s++) printf(*s == '|' ? "\\|" : "%c", *s);
}

static void print_op(sn_op op) {
  const sn_op_info *info = sn_op_get(op);
  const sn_op_rules *rules = sn_op_rules_of(op);
  printf("| `%s` | ", info->name);
  print_count(info->operands);
  printf(" → ");
  print_count(info->results);
  printf(" | ");
  print_attributes(info);
  printf(" | ");
  print_cell(rules->grad ? "yes" : rules->why_no_grad ? rules->why_no_grad : "through its expansion");
  printf(" | ");
  print_cell(rules->doc ? rules->doc : "");
  printf(" |\n");
}

static void print_kernel_ops(void) {
  static const char *const title[] = {"index",   "memory",  "source", "unary",   "binary",
                                      "compare", "ternary", "shape",  "product", "control"};
  printf(
      "\n## Kernel ops\n\nThe tile-program IR; meanings are in `ir/kernel/kop.def`.\n\n| class | ops |\n|---|---|\n");
  for (int cls = 0; cls <= SN_KCLASS_CTL; cls++) {
    printf("| %s |", title[cls]);
    for (int op = 1; op < SN_K_COUNT; op++)
      if ((int)sn_kop_class((sn_kop)op) == cls) printf(" `%s`", sn_kop_name((sn_kop)op));
    printf(" |\n");
  }
}

int main(void) {
  printf(
      "# Ops\n\nGenerated from `ir/types/op.def`, the rules in `ir/ops` and `ir/kernel/kop.def` by `docs/gen/ops.c`; "
      "do not edit.\n"
      "The last section comes from `compile_test_op_table --print`.\n"
      "Operands of elementwise ops have one shape: broadcasting is an op of its own, and costs nothing.\n");
  for (int cls = SN_CLASS_LEAF; cls <= SN_CLASS_EXPAND; cls++) {
    printf("\n## %s\n\n| op | operands → results | attributes | gradient | meaning |\n|---|---|---|---|---|\n",
           class_title[cls]);
    for (int op = 1; op < SN_OP_COUNT; op++)
      if ((int)sn_op_get((sn_op)op)->cls == cls) print_op((sn_op)op);
  }
  print_kernel_ops();
  printf("\n");
  return 0;
}
