/* The data files, embedded by embed.cmake. A NUL follows each, which the size does not count. */
#ifndef TS_GENERATOR_DATA_H
#define TS_GENERATOR_DATA_H

#include <stddef.h>

extern const char ts_words_data[]; /* words.txt */
extern const size_t ts_words_data_size;
extern const char ts_plots_data[]; /* plots.txt */
extern const size_t ts_plots_data_size;
extern const char ts_prompt_data[]; /* prompt.txt */
extern const size_t ts_prompt_data_size;

#endif
