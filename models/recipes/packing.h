/* Texts packed into one row, for rows of decoders. */
#ifndef SINTER_MODELS_RECIPES_PACKING_H
#define SINTER_MODELS_RECIPES_PACKING_H

#include "models/recipes/recipe.h"

/* EXACT: two texts and padding in one row of a decoder have the losses and gradients that the two have alone. Controls:
 * tokens see the text before theirs; places go on. */
void packing_checks(recipe *r);

#endif
