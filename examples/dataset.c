/*
 * Writes ten stories, by a chat service when there is a key for one in the environment (TINYSTORIES_API_KEY), with the embedded author when not.
 *
 * usage: dataset FILE(.txt|.jsonl)(.gz) [SEED [MODEL [BASE_URL]]]      what the service is paid for is kept in FILE.journal
 */
#include <stdio.h>
#include <stdlib.h>
#include <tinystories.h>

#define STORIES 10

static int32_t tell(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    fprintf(stderr, "%llu of %llu\n", (unsigned long long)done, (unsigned long long)total);
    return 0;
}

static ts_status show(ts_generator *generator)
{
    ts_story story = {.struct_size = sizeof story};
    ts_status status = ts_generator_next(generator, &story);
    if (status != TS_OK)
        return status;
    printf("by %s\nwords: %s, %s, %s\nfeatures:", story.source, story.words[0], story.words[1], story.words[2]);
    for (uint32_t bit = 0; bit < TS_FEATURE_COUNT; bit++)
        if (story.features >> bit & 1)
            printf(" %s", ts_feature_name(1u << bit));
    printf("\n\n%s\n", story.story);
    return TS_OK;
}

int main(int count, char **values)
{
    if (count < 2) {
        fprintf(stderr, "usage: dataset FILE(.txt|.jsonl)(.gz) [SEED [MODEL [BASE_URL]]]\n");
        return 2;
    }
    const char *key = getenv("TINYSTORIES_API_KEY");
    char journal[4096];
    ts_generator *generator = NULL;
    ts_generator_options options;
    ts_chat_options chat;
    ts_status status = ts_generator_options_init(&options, sizeof options);
    options.seed = count > 2 ? strtoull(values[2], NULL, 10) : 0;
    if (status == TS_OK && key != NULL && *key != 0) {
        status = ts_chat_options_init(&chat, sizeof chat);
        snprintf(journal, sizeof journal, "%s.journal", values[1]);
        chat.key = key;
        chat.model = count > 3 ? values[3] : "gpt-4o-mini";
        chat.base_url = count > 4 ? values[4] : chat.base_url;
        chat.journal = journal;
        options.author = TS_AUTHOR_CHAT;
        options.chat = &chat;
    }
    if (status == TS_OK)
        status = ts_generator_new(&generator, NULL, &options);
    if (status == TS_OK)
        status = ts_generator_write(generator, STORIES, values[1], options.author == TS_AUTHOR_CHAT ? tell : NULL, NULL);
    if (status == TS_OK)
        status = ts_generator_seek(generator, 0);
    if (status == TS_OK)
        status = show(generator); /* of the journal: it is not asked for again */
    if (status != TS_OK)
        fprintf(stderr, "dataset: %s\n", ts_error_detail());
    ts_generator_free(generator);
    return status != TS_OK;
}
