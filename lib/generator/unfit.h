/*
 * Whether a story that was asked for is what was asked for: has the drawn words, and is English.
 */
#ifndef TS_GENERATOR_UNFIT_H
#define TS_GENERATOR_UNFIT_H

#include "generator/draw.h"

/* TS_UNFIT_ bits. A word counts in any inflection, and as a possessive; of one of several parts ("ice-cream") the last part is what is inflected. */
uint32_t ts_story_unfit(const ts_drawn *drawn, const char *text, size_t size);

#endif
