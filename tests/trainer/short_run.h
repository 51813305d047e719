/*
 * What short runs train on: sixty little stories in a folder that goes with them, and a tokenizer made of them. For one test program each.
 */
#ifndef TESTS_TRAINER_SHORT_RUN_H
#define TESTS_TRAINER_SHORT_RUN_H

#include "support/support.h"

#include "trainer/trainer.h"

enum { STORIES = 60 };

static ts_tokenizer *tokenizer;
static const char *text_path;

/* Sets up a group of tests; a text of a vocabulary of so many tokens. */
static inline int make_run_on(void **state, const char *text, size_t size, uint32_t vocabulary)
{
    static char kept[200];
    ts_tokenizer_train_options options;
    if (make_folder(state) != 0)
        return 1;
    snprintf(kept, sizeof kept, "%s", in_work("text.txt"));
    text_path = kept;
    write_file(text_path, text, size);
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = vocabulary;
    return ts_tokenizer_train_files(&tokenizer, NULL, &text_path, 1, &options) != TS_OK;
}

static inline int make_all(void **state)
{
    char text[STORIES * 64];
    size_t size = 0;
    for (int i = 0; i < STORIES; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "Tom saw %d cakes. Lily hid the %d balls.\n<|endoftext|>\n", i % 7, i % 5);
    return make_run_on(state, text, size, 270);
}

static inline int remove_all(void **state)
{
    ts_tokenizer_free(tokenizer);
    return remove_folder(state);
}

#endif
