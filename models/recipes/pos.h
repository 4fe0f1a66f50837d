/* What the rows of positions share: graphs that turn rows, tables of sinusoids, and how to run them on arrays. */
#ifndef SINTER_MODELS_RECIPES_POS_H
#define SINTER_MODELS_RECIPES_POS_H

#include "models/recipes/loops.h"

/* Graphs turned(at, x, w -> y, dx), where dx is the gradient of the sum of y w, and sinusoids(at -> y); and both with
 * angles that are a product in f32: turned_f32, sinusoids_f32. */
extern const sn_model sn_model_rotary, sn_model_positions;

enum { POS_ROWS = 32, POS_WIDTH = 128 /* at most */ };

/* One graph of it. real: "f32" or "f64" */
net *pos_net(recipe *r, const char *graph, const char *real, const char *settings, ...)
    __attribute__((format(printf, 4, 5)));

/* Rows x, w [count, width] at positions `at`. Values are those of f32; NULL: as x. */
typedef struct pos_rows {
  int count, width;
  const int32_t *at;
  const double *x, *w;
} pos_rows;
/* An output [count, width]; zeros after an error. */
const double *pos_run(net *n, const char *graph, pos_rows rows, const char *output);
/* How far the pairs of a row of `width` turn at a position, and by what they are scaled: [width / 2] each. */
void pos_angles(net *n, int width, int32_t at, double *angle, double *scale);

/* Operands of the variants of models/attention, one sequence: q, w [length, heads, d], k, v [length, heads, d]. Values
 * are those of f32; NULL: zeros. */
typedef struct pos_heads {
  int length, heads, d;
  const double *q, *k, *v, *w;
} pos_heads;
/* An output; NULL after an error. */
const double *pos_attend(net *n, const char *graph, pos_heads x, const char *output);
/* What the score of query i and key j <= i gets beside q . k, less what key i gets: out [heads, length, length]. n: the
 * graph forward of a variant with heads of size `length` */
void pos_biases(recipe *r, net *n, int heads, int length, double *out);

/* EXACT: the gradient of a small decoder, models/positions.c with these settings, against differences, in f64. */
void pos_gradient(recipe *r, const char *what, const char *settings);

/* Logits of a decoder in f64 at one text of drawn tokens, up to 128, beside those of nested loops. n: graph "logits" of
 * models/positions.c with the settings of c */
double pos_decoder_apart(recipe *r, net *n, const loops_decoder *c, int length);
/* EXACT: that of a small decoder with these settings and POS_LENGTH tokens. scheme: what its positions are */
enum { POS_LENGTH = 24 };
net *pos_decoder(recipe *r, const char *what, const char *settings, loops_decoder *scheme);

/* Normal numbers that f32 has, too. */
void pos_draw(recipe *r, uint64_t use, int count, double *out);
double pos_dot(int n, const double *a, const double *b);
/* Largest difference. */
double pos_apart(int n, const double *a, const double *b);

#endif
