/* Private to the contract schedule: what its files share. */
#ifndef SN_PASSES_LOWER_CONTRACT_H
#define SN_PASSES_LOWER_CONTRACT_H

#include "passes/lower/internal.h"

typedef enum sn_contract_role { BATCH, ROW, COL, SUM } sn_contract_role;

typedef enum sn_contract_rows {
  SN_CONTRACT_ANY,
  SN_CONTRACT_FEW, /* a kernel for runs whose rows are few */
  SN_CONTRACT_MANY /* one for all other runs */
} sn_contract_rows;

typedef struct sn_contraction {
  sn_lower_ctx *c;
  const sn_node *node;
  sn_contract_spec spec;
  sn_contract_rows rows;
  const sn_dimx *when; /* 1 in runs of this kernel, 0 in others; NULL: in all */
  bool swapped;        /* rows of the tile come from the second operand */
  sn_group out, a, b;  /* result and epilogue; operand with the rows; operand with the columns; over one space */
  sn_contract_role role[SN_VIEW_RANK]; /* of each axis */
  int row, col, sum;                   /* axes that span tiles, -1: none */
  int bm, bn, bk;
  bool loop; /* over blocks of the summed axis */
  bool made; /* an operand is computed, and the target bounds such tiles */
  bool thin; /* few rows or columns, on a target that reads the other operand once for all of them */
  bool ta, tb;
  bool overshoot;       /* blocks of rows may begin beyond the end */
  const sn_dimx *share; /* rows of a tile that are used, the same in every tile but the last; NULL: all */
  sn_elem elem;         /* of the operands in the product */
  sn_elem panel;        /* of packed columns: that of the product, or i8 of a product of f32 */
  int packed;           /* slot of packed columns, -1: none */
  int packed_a;         /* of packed rows */
  bool vnni;
  sn_kv product;        /* the tile, once it was emitted */
  int part;             /* steps of a range of the summed axis */
  const sn_dimx *parts; /* ranges; NULL: an instance has all steps */
  sn_kv range;          /* number of that of the instance */
} sn_contraction;

/* Value of an operand, the anchor of the tile's group, in an element type: that of the product, or of panels. */
sn_kv sn_contract_operand(sn_contraction *k, sn_tile *t, sn_elem to);
/* Rows of a packed panel. */
const sn_dimx *sn_contract_panel_depth(const sn_contraction *k);
const sn_dimx *sn_contract_ceil(const sn_contraction *k, const sn_dimx *d, int64_t by);

/* Extent of the axis (-1: 1), `most` where it is longer. */
int sn_contract_within(const sn_contraction *k, int axis, int most);
/* Large tiles do more with what they read, small ones leave work for all of the device: the largest that leave enough.
 * Only matrices fill the widest. */
void sn_contract_tiles(sn_contraction *k);
/* Is the operand the same at all steps of the summed axis? */
bool sn_contract_repeats(const sn_contraction *k, const sn_group *g);
/* Do few rows, or few columns, make the time of the product that of reading the other operand? */
bool sn_contract_thin(const sn_contraction *k, sn_contract_role narrow);
/* Elements of the tile of such a product along the axis of the other role. side_by_side: they lie so in memory. */
int sn_contract_thin_width(const sn_contraction *k, sn_contract_role wide, int axis, bool side_by_side);
/* Are rows few in some runs, so that these have a kernel of their own? */
bool sn_contract_may_be_few(const sn_contraction *k);
const sn_dimx *sn_contract_when(const sn_contraction *k);
/* Figures of a kernel that some runs do not need. */
void sn_contract_report_when(const sn_contraction *k, sn_report *r);

/* What contract_split.c uses of contract.c: grid and limits of a tile; its product, as sn_tile.inner is called, and the
 * type of that; operations. */
void sn_contract_place(sn_contraction *k, sn_tile *t);
sn_kv sn_contract_product(sn_tile *t, sn_val v, void *user);
sn_elem sn_contract_sum_elem(const sn_contraction *k);
const sn_dimx *sn_contract_flops(const sn_contraction *k);

/* Should instances take ranges of the summed axis? Then sets k->part and k->parts, and blocks to go with them; k->when
 * where the axis may be so short that the product is better made whole. */
void sn_contract_split(sn_contraction *k);
/* First step of the range of an instance. *end: behind its last */
sn_kv sn_contract_range(const sn_contraction *k, sn_build_kernel *b, sn_kv *end);
/* The kernels of a product in ranges; outputs have slots. */
SN_MUST sn_code sn_contract_in_parts(sn_contraction *k);

/* Tiles that are wanted instead (sn_lower_ctx.want), where every sum stays as it is. Columns that are packed ahead of
 * time stay as wide as they are. */
enum { SN_CONTRACT_UNIT = 16 }; /* rows that blocks and tiles of multipliers divide */
void sn_contract_retile(sn_contraction *k, bool packed);

/* Are the columns an operand that no run changes, of static extents? */
bool sn_contract_may_pack(const sn_contraction *k);
/* Chooses the slot of the packed columns and, the first time, adds the step that fills it. */
SN_MUST sn_code sn_contract_pack(sn_contraction *k);
/* Appends the buffers of the operands, packed ones in place of their own. -> how many */
int sn_contract_buffers(const sn_contraction *k, sn_buffer_use *use);
/* Distinct bytes of the operands, and of what the epilogue reads. */
const sn_dimx *sn_contract_bytes_read(sn_contraction *k, bool epilogue);
/* contract_once.c: would instances copy both operands, some of them many times? */
bool sn_contract_may_pack_once(const sn_contraction *k);
/* Adds the steps that pack both, columns in panels of `width`. */
SN_MUST sn_code sn_contract_pack_once(sn_contraction *k, int width);
/* The tile of packed rows. */
sn_kv sn_contract_packed_rows(sn_contraction *k, sn_build_kernel *b, const sn_kv *at);

#endif
