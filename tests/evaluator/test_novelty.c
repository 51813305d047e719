/* Indexes of training texts: bytes that are damaged or cut, every allocation and every write failing, a process that is killed while it writes. */
#define _GNU_SOURCE /* memmem */
#include "evaluator/novelty.h"
#include "support/support.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *text_path, *index_path;

/* Stories with frequent and rare 2-grams: some have lists, some have not. */
static void write_text(const char *path)
{
    ts_random random = {.seed = 4};
    ts_bytes text = {0};
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_REFERENCE);
    text.runtime = runtime;
    for (int i = 0; i < 40; i++) /* of few stories, but of more places than are looked up */
        assert_ok(ts_bytes_format(&text, "w50 w51 "));
    assert_ok(ts_bytes_format(&text, "<|endoftext|>\n"));
    for (int story = 0; story < 130; story++) {
        for (int word = 0; word < 30; word++) {
            uint64_t drawn = ts_random_below(&random, 40);
            assert_ok(ts_bytes_format(&text, "w%llu%s", (unsigned long long)(drawn < 30 ? drawn % 3 : drawn), word % 7 == 6 ? ". " : " "));
        }
        assert_ok(ts_bytes_format(&text, "<|endoftext|>\n"));
    }
    write_file(path, text.data, text.size);
    ts_bytes_free(&text);
    ts_runtime_free(runtime);
}

static ts_status build(ts_runtime *runtime, const char *out)
{
    ts_novelty_options options;
    assert_ok(ts_novelty_options_init(&options, sizeof options));
    options.working_memory = 20 * 400; /* several parts */
    return ts_novelty_build(runtime, &text_path, 1, out, &options);
}

static int set_up(void **state)
{
    static char text[160], index[160];
    if (make_folder(state) != 0)
        return 1;
    snprintf(text, sizeof text, "%s", in_work("text.txt"));
    snprintf(index, sizeof index, "%s", in_work("index.gguf"));
    text_path = text;
    index_path = index;
    write_text(text_path);
    return build(NULL, index_path) != TS_OK;
}

/* ---- what is found ---- */

static void a_small_text_by_hand(void **state)
{
    static const char stories[] = "The big dog ran.<|endoftext|>A big dog sat; the big cat ran!<|endoftext|>The big dog sat.";
    const char *path = put_file("small.txt", stories, sizeof stories - 1), *out = in_work("s.gguf");
    ts_novelty *novelty;
    ts_novelty_about about = {.struct_size = sizeof about};
    ts_novelty_match match = {.struct_size = sizeof match};
    const char *text;
    size_t size;
    uint64_t count;
    (void)state;
    assert_ok(ts_novelty_build(NULL, &path, 1, out, NULL));
    assert_ok(ts_novelty_open(&novelty, NULL, out));
    assert_ok(ts_novelty_describe(novelty, &about));
    assert_int_equal(about.stories, 3);
    assert_int_equal(about.words, 4 + 8 + 4);
    assert_int_equal(about.distinct_words, 7);
    assert_int_equal(about.grams[4], 4);
    assert_ok(ts_novelty_count(novelty, "BIG dog", 7, &count));
    assert_int_equal(count, 3);
    assert_ok(ts_novelty_count(novelty, "a big dog sat the big cat", 25, &count));
    assert_int_equal(count, 1);
    assert_ok(ts_novelty_count(novelty, "ran a", 5, &count)); /* from one story into the next */
    assert_int_equal(count, 0);
    assert_ok(ts_novelty_find(novelty, "Oh, the big dog sat down", 24, &match));
    assert_int_equal(match.bigrams, 5);
    assert_int_equal(match.nearest_common, 3);
    assert_true(match.nearest_story == 1 || match.nearest_story == 2);
    assert_float_equal(match.nearest_precision, 0.6, 1e-12);
    assert_int_equal(match.copied_words, 4);
    assert_int_equal(match.copied_begin, 4);
    assert_int_equal(match.copied_size, 15);
    assert_ok(ts_novelty_story(novelty, match.source_story, &text, &size));
    assert_memory_equal(text + match.source_begin, "The big dog sat", 15);
    assert_ok(ts_novelty_find(novelty, "", 0, &match));
    assert_true(isnan(match.nearest_precision) && match.nearest_story == UINT64_MAX && match.copied_words == 0);
    assert_status(ts_novelty_story(novelty, 3, &text, &size), TS_ERROR_INVALID_ARGUMENT);
    ts_novelty_free(novelty);
    remove_file("small.txt");
    remove_file("s.gguf");
}

/* ---- many stories, by brute force ---- */

enum { MANY = 70000, STORY_WORDS = 7, QUESTION_WORDS = 24 };

/* Words 0 to 9 are common, those up to 1,099 are not, a few of them the less so by blocks of stories. */
static uint32_t draw_word(ts_random *random, uint32_t story)
{
    switch (ts_random_below(random, 8)) {
    case 0: return 10 + (uint32_t)ts_random_below(random, 1090);
    case 1: return 1100 + story / 1000;
    default: return (uint32_t)ts_random_below(random, 10);
    }
}

static void add_words(ts_bytes *text, const uint32_t *words, size_t count)
{
    static const char *const between[] = {" ", ", ", " \xe2\x80\x94 ", "                                                                         "};
    for (size_t i = 0; i < count; i++)
        assert_ok(ts_bytes_format(text, "w%u%s", words[i], between[words[i] % 37 == 0 ? words[i] / 37 % 4 : 0]));
}

static uint32_t count_common(const uint32_t *story, const uint32_t *asked)
{
    uint32_t common = 0;
    for (size_t i = 0; i + 1 < STORY_WORDS; i++) {
        bool found = false, seen = false;
        for (size_t j = 0; j + 1 < QUESTION_WORDS && !found; j++)
            found = story[i] == asked[j] && story[i + 1] == asked[j + 1];
        for (size_t j = 0; j < i && !seen; j++)
            seen = story[i] == story[j] && story[i + 1] == story[j + 1];
        common += found && !seen;
    }
    return common;
}

static size_t count_rows(const uint32_t *stories, const uint32_t *words, size_t k)
{
    size_t count = 0;
    for (size_t i = 0; i < MANY; i++)
        for (size_t at = 0; at + k <= STORY_WORDS; at++)
            count += memcmp(stories + i * STORY_WORDS + at, words, k * sizeof *words) == 0;
    return count;
}

/* Lists as rows of bits and as numbers, of several blocks, with one thread and with several. */
static void many_stories_by_brute_force(void **state)
{
    ts_random random = {.seed = 12};
    ts_bytes text = {.runtime = make_runtime(1, TS_CPU_LEVEL_REFERENCE)};
    ts_runtime *threads = make_runtime(4, TS_CPU_LEVEL_REFERENCE);
    uint32_t *stories = malloc(sizeof *stories * MANY * STORY_WORDS), asked[QUESTION_WORDS];
    const char *out = in_work("many.gguf");
    ts_novelty *one, *four;
    ts_novelty_options options;
    ts_novelty_about about = {.struct_size = sizeof about};
    ts_novelty_match match = {.struct_size = sizeof match}, other = match;
    char dots[1024];
    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        for (size_t j = 0; j < STORY_WORDS; j++)
            stories[i * STORY_WORDS + j] = draw_word(&random, i);
        stories[i * STORY_WORDS + ts_random_below(&random, STORY_WORDS)] = 2000 + i; /* a word of its own: there are more than codes of 16 bits */
        add_words(&text, stories + i * STORY_WORDS, i == MANY / 2 ? 3 : STORY_WORDS);
        if (i == MANY / 2) { /* so much between two words that the rest is of another batch */
            memset(dots, '.', sizeof dots);
            for (size_t j = 0; j < 9 << 10; j++)
                assert_ok(ts_bytes_add(&text, dots, sizeof dots));
            add_words(&text, stories + i * STORY_WORDS + 3, STORY_WORDS - 3);
        }
        assert_ok(ts_bytes_format(&text, "<|endoftext|>"));
    }
    const char *path = put_file("many.txt", text.data, text.size);
    assert_ok(ts_novelty_options_init(&options, sizeof options));
    options.working_memory = 4 << 20;
    assert_ok(ts_novelty_build(threads, &path, 1, out, &options));
    assert_ok(ts_novelty_open(&one, text.runtime, out));
    assert_ok(ts_novelty_open(&four, threads, out));
    assert_ok(ts_novelty_describe(one, &about));
    assert_true(about.distinct_words > 65535 && about.words == (uint64_t)MANY * STORY_WORDS);
    for (size_t trial = 0; trial < 30; trial++) {
        uint32_t best = 0;
        text.size = 0;
        for (size_t at = 0; at < QUESTION_WORDS; at += 4) /* pieces of stories and what is drawn anew */
            for (size_t j = 0, from = (size_t)ts_random_below(&random, MANY) * STORY_WORDS + ts_random_below(&random, 4); j < 4; j++)
                asked[at + j] = trial % 3 == 0 ? draw_word(&random, 0) : stories[from + j];
        add_words(&text, asked, QUESTION_WORDS);
        for (size_t i = 0; i < MANY; i++)
            best = TS_MAX(best, count_common(stories + i * STORY_WORDS, asked));
        assert_ok(ts_novelty_find(one, text.data, text.size, &match));
        assert_ok(ts_novelty_find(four, text.data, text.size, &other));
        assert_int_equal(match.nearest_common, best);
        assert_int_equal(count_common(stories + match.nearest_story * STORY_WORDS, asked), best);
        assert_memory_equal(&match, &other, sizeof match);
        for (size_t k = 1; k <= STORY_WORDS; k++) {
            uint64_t count;
            text.size = 0;
            add_words(&text, asked, k);
            assert_ok(ts_novelty_count(one, text.data, text.size, &count));
            assert_int_equal(count, count_rows(stories, asked, k));
        }
    }
    text.size = 0; /* so long that threads share its words */
    for (size_t i = 0; i < 2000; i++)
        add_words(&text, stories + i * 31 % MANY * STORY_WORDS + i % 4, 3);
    assert_ok(ts_novelty_find(one, text.data, text.size, &match));
    assert_ok(ts_novelty_find(four, text.data, text.size, &other));
    assert_int_equal(match.words, 6000);
    assert_memory_equal(&match, &other, sizeof match);
    ts_novelty_free(one);
    ts_novelty_free(four);
    ts_runtime_free(threads);
    ts_runtime *runtime = text.runtime;
    ts_bytes_free(&text);
    ts_runtime_free(runtime);
    free(stories);
    remove_file("many.txt");
    remove_file("many.gguf");
}

static void words_backwards_are_those_forwards(void **state)
{
    static const char *const texts[] = {"don't 'tis it''s a\xe2\x80\x99" "b' \xe2\x80\x99" "c", "na\xc3\xafve \xff\xc3 x\x80y \xe2\x80z", "'a'b'", "\xf0\x9f\x98\x80 e\xcc\x81 1st", "a\xe2\x80"};
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(texts); i++) {
        const char *text = texts[i], *words[32], *word;
        size_t size = strlen(text), sizes[32], count = 0, word_size;
        while (ts_plain_word(&text, &size, &words[count], &sizes[count]))
            count++;
        size = strlen(texts[i]);
        while (ts_plain_word_before(texts[i], size, &word, &word_size)) {
            assert_true(count > 0);
            count--;
            assert_ptr_equal(word, words[count]);
            assert_int_equal(word_size, sizes[count]);
            size = (size_t)(word - texts[i]);
        }
        assert_int_equal(count, 0);
    }
}

/* ---- damage ---- */

static const char question[] = "w0 w1 w2 w0 w35 w1 w1 w0 w2 w38 w0 w0 w1 w2 w2 w1 w0 w31 w0 w1. w2 w1 other words w50 w51";

/* Asks everything of a file; whatever the answers, they are statuses. */
static ts_status ask(ts_runtime *runtime, const char *path)
{
    ts_novelty *novelty;
    ts_novelty_match match = {.struct_size = sizeof match};
    const char *text;
    size_t size;
    uint64_t count;
    TS_TRY(ts_novelty_open(&novelty, runtime, path));
    ts_status status = ts_novelty_find(novelty, question, sizeof question - 1, &match);
    if (status == TS_OK)
        status = ts_novelty_count(novelty, "w0 w1 w2 w0 w1 w0", 17, &count);
    for (uint64_t i = 0; i < 131 && status == TS_OK; i++)
        status = ts_novelty_story(novelty, i, &text, &size);
    ts_novelty_free(novelty);
    return status;
}

static void a_cut_index_is_refused(void **state)
{
    size_t size;
    char *bytes = read_file(index_path, &size);
    (void)state;
    assert_ok(ask(NULL, index_path));
    for (size_t i = 0; i < 300; i++) {
        size_t kept = i < 60 ? i : i < 160 ? size - 1 - (i - 60) : (size_t)((double)size * (double)(i - 160) / 140);
        const char *path = put_file("cut.gguf", bytes, kept);
        ts_status status = ask(NULL, path);
        if (status == TS_OK && size - kept < TS_GGUF_ALIGNMENT) /* the padding of the last tensor */
            continue;
        assert_int_equal(status, kept == 0 ? status : TS_ERROR_FORMAT);
        assert_detail("cut.gguf");
    }
    free(bytes);
    remove_file("cut.gguf");
}

/* Bytes are changed where they are all looked at: description, lists, starts, words, places. Whatever comes is a status, and no fault. */
static void a_damaged_index_is_no_fault(void **state)
{
    size_t size, refused = 0;
    ts_runtime *threads = make_runtime(3, TS_CPU_LEVEL_REFERENCE);
    unsigned char *bytes = read_file(index_path, &size), *changed = malloc(size);
    ts_random random = {.seed = 9};
    (void)state;
    for (size_t trial = 0; trial < 3000; trial++) {
        memcpy(changed, bytes, size);
        for (uint64_t i = 0, count = 1 + ts_random_below(&random, trial % 3 == 0 ? 1 : 40); i < count; i++) {
            size_t description = 6000, data = size - (128 << 10);
            size_t at = trial % 2 == 0 ? ts_random_below(&random, description) : (128 << 10) + ts_random_below(&random, data);
            changed[at] = (unsigned char)(trial % 5 == 0 ? 0xff : ts_random_next(&random));
        }
        ts_status status = ask(trial % 8 == 0 ? threads : NULL, put_file("damaged.gguf", changed, size));
        assert_true(status <= TS_OK && status != TS_ERROR_INVALID_ARGUMENT);
        refused += status != TS_OK;
    }
    assert_true(refused > 1000);
    ts_runtime_free(threads);
    free(bytes);
    free(changed);
    remove_file("damaged.gguf");
}

static void other_files_are_refused(void **state)
{
    ts_novelty *novelty;
    size_t size;
    unsigned char *bytes = read_file(index_path, &size), *version = memmem(bytes, size, "novelty.version", 15);
    (void)state;
    version[15 + 4] = 1; /* behind its type: an index as it was made before */
    assert_status(ts_novelty_open(&novelty, NULL, put_file("old.gguf", bytes, size)), TS_ERROR_VERSION);
    assert_detail("old.gguf: novelty.version is 1, expected 2");
    free(bytes);
    remove_file("old.gguf");
    assert_status(ts_novelty_open(&novelty, NULL, text_path), TS_ERROR_FORMAT);
    assert_status(ts_novelty_open(&novelty, NULL, in_work("missing.gguf")), TS_ERROR_IO);
    assert_status(ts_novelty_open(NULL, NULL, index_path), TS_ERROR_INVALID_ARGUMENT);
    const char *shard = "tokens.bin";
    assert_status(ts_novelty_build(NULL, &shard, 1, in_work("x.gguf"), NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_novelty_build(NULL, NULL, 0, in_work("x.gguf"), NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_novelty_build(NULL, &text_path, 1, "-", NULL), TS_ERROR_INVALID_ARGUMENT);
}

/* ---- memory ---- */

static ts_status build_and_ask(ts_runtime *runtime, void *user)
{
    ts_novelty *novelty;
    ts_diversity *diversity = NULL;
    ts_diversity_report report = {.struct_size = sizeof report};
    (void)user;
    TS_TRY(build(runtime, in_work("swept.gguf")));
    TS_TRY(ts_novelty_open(&novelty, runtime, in_work("swept.gguf")));
    ts_status status = ts_diversity_new(&diversity, runtime, novelty);
    for (int i = 0; i < 3 && status == TS_OK; i++) {
        status = ts_diversity_add(diversity, question + 3 * i, sizeof question - 1 - 3 * (size_t)i, "w0 w1 w3", 8);
        ts_diversity_report before = {.struct_size = sizeof before};
        if (status != TS_OK && ts_diversity_measure(diversity, &before) == TS_OK)
            assert_int_equal(before.completions, i); /* as it was */
    }
    if (status == TS_OK)
        status = ts_diversity_measure(diversity, &report);
    ts_diversity_free(diversity);
    ts_novelty_free(novelty);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(sweep_memory_alone(build_and_ask, NULL) > 50);
    remove_file("swept.gguf");
}

/* ---- files ---- */

static void every_change_may_fail(void **state)
{
    (void)state;
    for (int kind = FAULT_ERROR; kind <= FAULT_INTERRUPT; kind++)
        for (long at = 1;; at++) {
            faulty f;
            ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_REFERENCE);
            faulty_init(&f, (fault)kind, ON_CHANGES, at);
            ts_runtime_set_io(runtime, &f.io);
            ts_status status = build(runtime, in_work("out.gguf"));
            ts_runtime_set_io(runtime, &ts_io_system);
            ts_runtime_free(runtime);
            assert_true(status == TS_OK || status == TS_ERROR_IO);
            size_t files = files_in(work_folder());
            assert_true(files == 2 || files == 3); /* no temporary */
            if (status == TS_OK)
                assert_ok(ask(NULL, in_work("out.gguf")));
            if (f.calls < at)
                break;
            unlink(in_work("out.gguf"));
        }
    unlink(in_work("out.gguf"));
}

/* Killed at any call the old file is there whole, or the new one. */
static void killed_while_writing(void **state)
{
    (void)state;
    size_t size, kept_size;
    char *old = read_file(index_path, &size);
    for (long at = 1; at < 200; at++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            faulty f;
            ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_REFERENCE);
            faulty_init(&f, FAULT_KILL, ON_CHANGES, at);
            ts_runtime_set_io(runtime, &f.io);
            _exit(build(runtime, index_path) != TS_OK);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        char *kept = read_file(index_path, &kept_size);
        assert_int_equal(kept_size, size);
        assert_memory_equal(kept, old, size);
        free(kept);
        ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_REFERENCE);
        ts_writer_sweep(runtime, index_path);
        ts_runtime_free(runtime);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            break;
        }
        assert_true(at < 199);
    }
    free(old);
}

/* ---- threads ---- */

static void threads_make_the_same_file(void **state)
{
    ts_runtime *runtime = make_runtime(4, TS_CPU_LEVEL_REFERENCE);
    size_t size, other_size;
    (void)state;
    assert_ok(build(runtime, in_work("threads.gguf")));
    ts_runtime_free(runtime);
    char *one = read_file(index_path, &size), *four = read_file(in_work("threads.gguf"), &other_size);
    assert_int_equal(size, other_size);
    assert_memory_equal(one, four, size);
    free(one);
    free(four);
    remove_file("threads.gguf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_text_by_hand),
        cmocka_unit_test(many_stories_by_brute_force),
        cmocka_unit_test(words_backwards_are_those_forwards),
        cmocka_unit_test(a_cut_index_is_refused),
        cmocka_unit_test(a_damaged_index_is_no_fault),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_change_may_fail),
        cmocka_unit_test(killed_while_writing),
        cmocka_unit_test(threads_make_the_same_file),
    };
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
