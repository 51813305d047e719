/* Shapes in error details. */
#include "format/shape.h"

#include <stdio.h>

const char *ts_shape_text(char text[TS_SHAPE_TEXT_SIZE], uint32_t rank, const uint64_t *shape)
{
    size_t used = 0;
    text[used++] = '(';
    for (uint32_t i = 0; i < rank && i < 8; i++)
        used += (size_t)snprintf(text + used, TS_SHAPE_TEXT_SIZE - used, i == 0 ? "%llu" : ", %llu", (unsigned long long)shape[i]);
    text[used++] = ')';
    text[used] = '\0';
    return text;
}
