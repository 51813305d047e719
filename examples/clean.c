/*
 * Cleans files of stories and makes TinyStories-Instruct of what is left: mends broken characters, drops what is cut off or there twice, and gives each story
 * some headers that a model can be asked by.
 *
 * usage: clean OUT(.txt|.jsonl)(.gz) INSTRUCT(.txt|.jsonl)(.gz) STORIES...
 */
#include <stdio.h>
#include <stdlib.h>
#include <tinystories.h>

/* Mends the files; says what was dropped, and why. */
static ts_status clean(const char *const *paths, size_t count, const char *out)
{
    ts_clean_options options;
    ts_clean_report report = {.struct_size = sizeof report};
    ts_status status = ts_clean_options_init(&options, sizeof options);
    options.near_duplicates = 1; /* stories that share four fifths of their word sequences */
    if (status == TS_OK)
        status = ts_dataset_clean(&report, NULL, paths, count, out, &options);
    if (status != TS_OK)
        return status;
    printf("%llu of %llu stories kept, %llu mended\n", (unsigned long long)report.kept, (unsigned long long)report.stories,
           (unsigned long long)report.repaired_stories);
    for (uint32_t reason = TS_DROP_NONE + 1; ts_drop_name(reason); reason++)
        if (report.dropped[reason] > 0)
            printf("dropped %llu: %s\n", (unsigned long long)report.dropped[reason], ts_drop_name(reason));
    return TS_OK;
}

/* Entries with random headers; every one has a summary, as in the published file. */
static ts_status instruct(const char *stories, const char *out)
{
    ts_instruct_options options;
    ts_instruct_report report = {.struct_size = sizeof report};
    ts_status status = ts_instruct_options_init(&options, sizeof options);
    options.always = TS_INSTRUCT_SUMMARY;
    if (status == TS_OK)
        status = ts_dataset_instruct(&report, NULL, &stories, 1, out, &options);
    if (status == TS_OK)
        printf("%llu entries\n", (unsigned long long)report.entries);
    return status;
}

/* What a model of such entries is asked with. */
static ts_status show_prompt(void)
{
    char prompt[256];
    size_t size;
    ts_instruct fields = {.struct_size = sizeof fields, .words = "jump, dog, happy", .words_size = 16, .features = "Dialogue", .features_size = 8};
    ts_status status = ts_instruct_prompt(&fields, prompt, sizeof prompt, &size);
    if (status == TS_OK)
        printf("\n%s\n", prompt);
    return status;
}

int main(int count, char **values)
{
    if (count < 4) {
        fprintf(stderr, "usage: clean OUT INSTRUCT STORIES...\n");
        return 2;
    }
    ts_status status = clean((const char *const *)values + 3, (size_t)count - 3, values[1]);
    if (status == TS_OK)
        status = instruct(values[1], values[2]);
    if (status == TS_OK)
        status = show_prompt();
    if (status != TS_OK)
        fprintf(stderr, "clean: %s\n", ts_error_detail());
    return status != TS_OK;
}
