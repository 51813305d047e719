/* Shapes in error details. */
#ifndef TS_FORMAT_SHAPE_H
#define TS_FORMAT_SHAPE_H

#include "base/base.h"

#define TS_SHAPE_TEXT_SIZE 192

/* "(3, 4)"; at most 8 dimensions. Returns `text`. */
const char *ts_shape_text(char text[TS_SHAPE_TEXT_SIZE], uint32_t rank, const uint64_t *shape);

#endif
