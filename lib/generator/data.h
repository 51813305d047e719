/* The data files, embedded by embed.cmake. */
#ifndef TS_GENERATOR_DATA_H
#define TS_GENERATOR_DATA_H

#include "base/base.h"

extern const ts_packed ts_words_data;  /* words.txt */
extern const ts_packed ts_plots_data;  /* plots.txt */
extern const ts_packed ts_prompt_data; /* prompt.txt */

#endif
