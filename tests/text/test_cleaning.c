/* Mended text: mojibake in all its forms, punctuation, white space, rules; sentences and syllables; entries of TinyStories-Instruct; and hostile bytes. */
#include "support/support.h"
#include "text/text.h"
#include "tinystories/dataset.h"

#define LQ "\xe2\x80\x9c"
#define RQ "\xe2\x80\x9d"
#define MOJI_LQ "\xc3\xa2\xe2\x82\xac\xc5\x93"     /* the opening quote's bytes e2 80 9c as windows-1252 characters */
#define MOJI_APOS "\xc3\xa2\xe2\x82\xac\xe2\x84\xa2" /* the apostrophe's */
#define MOJI_CUT "\xc3\xa2\xe2\x82\xac"             /* a closing quote's, whose last byte windows-1252 does not have */

static char mended[1 << 16];

static const char *clean_sized(const char *text, size_t size, uint32_t steps, uint32_t *reason)
{
    ts_clean_options options;
    size_t got;
    assert_ok(ts_clean_options_init(&options, sizeof options));
    options.steps = steps;
    assert_ok(ts_story_clean(text, size, &options, mended, sizeof mended, &got, reason));
    assert_int_equal(mended[got], 0);
    return mended;
}

static const char *clean(const char *text)
{
    return clean_sized(text, strlen(text), TS_CLEAN_MOJIBAKE | TS_CLEAN_PUNCTUATION | TS_CLEAN_SPACES, NULL);
}

static void test_mojibake(void **state)
{
    (void)state;
    assert_string_equal(clean(MOJI_LQ "Hi" MOJI_CUT "\xc2\x9d she said."), "\"Hi\" she said.");       /* the byte 9d kept as U+009D */
    assert_string_equal(clean(MOJI_LQ "Hi" MOJI_CUT " she said."), "\"Hi\" she said.");                /* cut */
    assert_string_equal(clean(MOJI_LQ "Hi" MOJI_CUT "\xef\xbf\xbd she said."), "\"Hi\" she said.");    /* replaced by U+FFFD */
    assert_string_equal(clean("Tom" MOJI_APOS "s"), "Tom's");
    assert_string_equal(clean("wait" MOJI_CUT "\xc2\xa6"), "wait...");                                 /* e2 80 a6, an ellipsis */
    assert_string_equal(clean("one " MOJI_CUT "\xe2\x80\x9c two"), "one - two");                       /* e2 80 93, an en dash */
    assert_string_equal(clean("one " MOJI_CUT "\xe2\x80\x9d two"), "one - two");                       /* e2 80 94, an em dash */
    assert_string_equal(clean("one " MOJI_CUT "\" two"), "one - two");                                 /* the same after its third byte was made straight */
    assert_string_equal(clean("a\xc3\x82\xc2\xa0"
                              "b"),
                        "a b");                                                                        /* c2 a0: a space that does not break */
    assert_string_equal(clean("a\xc3\x82 b"), "a b");                                                  /* whose second byte became a common space */
    assert_string_equal(clean("\xc3\xaf\xc2\xbb\xc2\xbfOnce"), "Once");                                /* a byte order mark */
    assert_string_equal(clean("caf\xc3\x83\xc2\xa9"), "caf\xc3\xa9");
    assert_string_equal(clean("\xc3\xb0\xc5\xb8\xcb\x9c\xe2\x82\xac"), "\xf0\x9f\x98\x80");            /* a face */
    /* twice: each character of the damage damaged again */
    assert_string_equal(clean("\xc3\x83\xc2\xa2\xc3\xa2\xe2\x80\x9a\xc2\xac\xc3\x85\xe2\x80\x9cHi"), "\"Hi");
    assert_string_equal(clean("Tom\xc3\x83\xc2\xa2\xc3\xa2\xe2\x80\x9a\xc2\xac\xc3\xa2\xe2\x80\x9e\xc2\xa2s"), "Tom's");
    assert_string_equal(clean("Hi\xc3\x83\xc2\xa2\xc3\xa2\xe2\x80\x9a\xc2\xac he"), "Hi\" he"); /* and cut */
    /* bytes that are no UTF-8: windows-1252 all along, and characters that were cut */
    assert_string_equal(clean("\x93Hi\x94, don\x92t\x85"), "\"Hi\", don't...");
    assert_string_equal(clean("Hi\xe2\x80"), "Hi\"");
    assert_string_equal(clean("Hi\xe2\x80 he"), "Hi\" he");
    assert_string_equal(clean("caf\xe9 x"), "caf\xc3\xa9 x");
}

/* What only looks like it. */
static void test_no_mojibake(void **state)
{
    (void)state;
    static const char *const kept[] = {"caf\xc3\xa9",       "\xc3\x82ngela",      "na\xc3\xafve", "Stra\xc3\x9f" "e", "\xe4\xb8\xad\xe6\x96\x87", "\xf0\x9f\x98\x80",
                                       "\xc3\xa9\xc3\xa8",  "\xc3\x89t\xc3\xa9",  "\xe2\x82\xac" "5", "plain"};
    for (size_t i = 0; i < TS_COUNT_OF(kept); i++)
        assert_string_equal(clean_sized(kept[i], strlen(kept[i]), TS_CLEAN_MOJIBAKE, NULL), kept[i]);
    assert_string_equal(clean("Stra\xc3\x9f" "e\xe2\x80\x9d"), "Stra\xc3\x9f" "e\"");
}

static void test_punctuation(void **state)
{
    (void)state;
    assert_string_equal(clean(LQ "It" "\xe2\x80\x99" "s" RQ), "\"It's\"");
    assert_string_equal(clean("a\xe2\x80\x94" "b\xe2\x80\x93" "c\xe2\x80\xa6"), "a-b-c...");
    assert_string_equal(clean("\xc2\xabHi\xc2\xbb \xe2\x80\x98x\xe2\x80\x9a\xe2\x80\xb2"), "\"Hi\" 'x''");
    assert_string_equal(clean("a\xe2\x80\x8b\xc2\xad\xef\xbb\xbf" "b\xe2\x80\x83" "c\xe3\x80\x80" "d"), "ab c d");
    assert_string_equal(clean("a\xe2\x80\xa8" "b\xe2\x80\xa9" "c"), "a\nb\n\nc");
    assert_string_equal(clean_sized(LQ "x", 4, TS_CLEAN_SPACES, NULL), LQ "x");
}

static void test_spaces(void **state)
{
    (void)state;
    assert_string_equal(clean(" \n a  b \t c \r\n\r\n\n d\n e\rf \v g \n"), "a b c\n\nd\ne\nf g");
    assert_string_equal(clean(""), "");
    assert_string_equal(clean(" \n "), "");
    assert_string_equal(clean_sized("a  b", 4, TS_CLEAN_MOJIBAKE, NULL), "a  b");
}

static void test_backslashes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {{"a\\b", "ab"},       {"\\", ""},          {"\\\\a\\", "a"},          {"He said, \\\"Hi.\\\"", "He said, \"Hi.\""},
                 {"a \\ b", "a b"},     {"one\\\ntwo", "one\ntwo"}, {"\xe2\x80\x9cHi\\\xe2\x80\x9d", "\"Hi\""}, {"no", "no"}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++)
        assert_string_equal(clean(cases[i].text), cases[i].expected);
    assert_string_equal(clean_sized("a\\b", 3, TS_CLEAN_MOJIBAKE | TS_CLEAN_SPACES, NULL), "a\\b");
}

static uint32_t reason_of(const char *text, size_t size)
{
    uint32_t reason = 99;
    clean_sized(text, size, TS_CLEAN_MOJIBAKE | TS_CLEAN_PUNCTUATION | TS_CLEAN_SPACES, &reason);
    return reason;
}

static void test_rules(void **state)
{
    (void)state;
    static const char symbols[] = "|<>/`*=_&@~#%[]+()", others[] = "\"^{}$;:-,'?!"; /* karpathy's list */
    char story[101];
    memset(story, 'x', 99);
    story[99] = '.';
    story[100] = 0;
    assert_int_equal(reason_of(story, 100), TS_DROP_NONE);
    assert_int_equal(reason_of(story + 1, 99), TS_DROP_SHORT);
    for (const char *end = ".!\"?"; *end != 0; end++) {
        story[99] = *end;
        assert_int_equal(reason_of(story, 100), TS_DROP_NONE);
    }
    for (const char *end = ",x';"; *end != 0; end++) {
        story[99] = *end;
        assert_int_equal(reason_of(story, 100), TS_DROP_ENDING);
    }
    story[99] = '.';
    for (const char *c = symbols; *c != 0; c++) {
        story[50] = *c;
        assert_int_equal(reason_of(story, 100), TS_DROP_SYMBOL);
    }
    for (const char *c = others; *c != 0; c++) {
        story[50] = *c;
        assert_int_equal(reason_of(story, 100), TS_DROP_NONE);
    }
    for (int c = 1; c < 0x20; c++) {
        story[50] = (char)c;
        assert_int_equal(reason_of(story, 100), c >= '\t' && c <= '\r' ? TS_DROP_NONE : TS_DROP_CHARACTER);
    }
    story[50] = '\\'; /* it is taken out, or rejected where it is not */
    uint32_t kept;
    clean_sized(story, 100, TS_CLEAN_SPACES, &kept);
    assert_int_equal(kept, TS_DROP_SYMBOL);
    story[50] = 0;
    assert_int_equal(reason_of(story, 100), TS_DROP_CHARACTER);
    story[50] = 0x7f;
    assert_int_equal(reason_of(story, 100), TS_DROP_CHARACTER);
    memcpy(story + 50, "\xc3\xa9", 2);
    assert_int_equal(reason_of(story, 100), TS_DROP_SHORT); /* 99 characters */
    ts_clean_options options;
    uint32_t reason;
    size_t size;
    assert_ok(ts_clean_options_init(&options, sizeof options));
    options.min_characters = 99;
    assert_ok(ts_story_clean(story, 100, &options, mended, sizeof mended, &size, &reason));
    assert_int_equal(reason, TS_DROP_CHARACTER);
    options.rules &= ~(1u << TS_DROP_CHARACTER);
    assert_ok(ts_story_clean(story, 100, &options, mended, sizeof mended, &size, &reason));
    assert_int_equal(reason, TS_DROP_NONE);
    options.rules = 0;
    assert_ok(ts_story_clean(" ", 1, &options, mended, sizeof mended, &size, &reason));
    assert_int_equal(reason, TS_DROP_SHORT); /* nothing is no story */
    for (uint32_t i = 0; i <= TS_DROP_NEAR_DUPLICATE; i++)
        assert_non_null(ts_drop_name(i));
    assert_null(ts_drop_name(TS_DROP_NEAR_DUPLICATE + 1));
}

static void test_arguments(void **state)
{
    (void)state;
    ts_clean_options options;
    size_t size = 0;
    assert_status(ts_story_clean("  abc ", 6, NULL, mended, 3, &size, NULL), TS_ERROR_BUFFER_TOO_SMALL);
    assert_int_equal(size, 3);
    assert_status(ts_story_clean("abc", 3, NULL, NULL, 0, &size, NULL), TS_ERROR_BUFFER_TOO_SMALL);
    assert_status(ts_story_clean(NULL, 3, NULL, mended, 9, &size, NULL), TS_ERROR_INVALID_ARGUMENT);
    static const struct {
        const char *name;
        uint32_t steps, rules, near;
        double jaccard;
        uint32_t shingle, prompt;
        const char *symbols;
    } wrong[] = {{"steps", 8, 4, 0, 0.8, 5, 13, ""},    {"rules", 7, 2, 0, 0.8, 5, 13, ""},      {"near_duplicates", 7, 4, 2, 0.8, 5, 13, ""},
                 {"jaccard", 7, 4, 1, 0.49, 5, 13, ""}, {"jaccard", 7, 4, 1, 1.01, 5, 13, ""},   {"shingle_words", 7, 4, 1, 0.8, 0, 13, ""},
                 {"shingle_words", 7, 4, 1, 0.8, 33, 13, ""}, {"prompt_words", 7, 4, 1, 0.8, 5, 65, ""}, {"symbols", 7, 4, 1, 0.8, 5, 13, "\xc3\xa9"},
                 {"symbols", 7, 4, 1, 0.8, 5, 13, NULL}};
    for (size_t i = 0; i < TS_COUNT_OF(wrong); i++) {
        assert_ok(ts_clean_options_init(&options, sizeof options));
        options.steps = wrong[i].steps;
        options.rules = wrong[i].rules;
        options.near_duplicates = wrong[i].near;
        options.jaccard = wrong[i].jaccard;
        options.shingle_words = wrong[i].shingle;
        options.prompt_words = wrong[i].prompt;
        options.symbols = wrong[i].symbols;
        assert_status(ts_story_clean("abc", 3, &options, mended, 9, &size, NULL), TS_ERROR_INVALID_ARGUMENT);
        assert_detail(wrong[i].name);
    }
}

/* ---- sentences ---- */

static void expect_sentences(const char *text, const char *expected)
{
    char joined[512] = "";
    size_t size = strlen(text), length, used = 0;
    const char *sentence;
    while (ts_sentence(&text, &size, &sentence, &length))
        used += (size_t)snprintf(joined + used, sizeof joined - used, "[%.*s]", (int)length, sentence);
    assert_string_equal(joined, expected);
}

static void test_sentences(void **state)
{
    (void)state;
    expect_sentences("", "");
    expect_sentences(" \n ", "");
    expect_sentences("One. Two! Three? Four", "[One.][Two!][Three?][Four]");
    expect_sentences("\"Hi!\" said Tom. \"Bye.\" He went.", "[\"Hi!\" said Tom.][\"Bye.\"][He went.]");
    expect_sentences("Mr. Dog and Mrs. Cat met Dr. Owl. St. Ives.", "[Mr. Dog and Mrs. Cat met Dr. Owl.][St. Ives.]");
    expect_sentences("Well... maybe. Oh... No!", "[Well... maybe.][Oh...][No!]");
    expect_sentences("A line\nthat goes on.\n\nNext without end\n\nLast", "[A line\nthat goes on.][Next without end][Last]");
    expect_sentences("It costs 3.50 now. Yes.", "[It costs 3.50 now.][Yes.]");
    expect_sentences(LQ "Hi." RQ " Tom ran.", "[" LQ "Hi." RQ "][Tom ran.]");
}

static void test_syllables(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        size_t count;
    } cases[] = {{"cat", 1},     {"happy", 2}, {"made", 1}, {"table", 2}, {"played", 1}, {"wanted", 2}, {"the", 1},
                 {"little", 2}, {"garden", 2}, {"Lily", 2}, {"yes", 1},   {"hmm", 1},   {"beautiful", 3}, {"a", 1}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++)
        assert_int_equal(ts_syllables(cases[i].word, strlen(cases[i].word)), cases[i].count);
}

/* ---- similarity ---- */

static size_t shingles_of(ts_runtime *runtime, const char *text, uint32_t *shingles, uint32_t keys[TS_SIGNATURE_BANDS])
{
    uint64_t *hashes = NULL;
    size_t capacity = 0, count;
    assert_ok(ts_word_hashes(runtime, text, strlen(text), &hashes, &capacity, &count));
    count = ts_shingles(hashes, count, 3, shingles, keys);
    ts_release(runtime, hashes);
    return count;
}

static void test_shingles(void **state)
{
    (void)state;
    static uint32_t a[4096], b[4096], keys[TS_SIGNATURE_BANDS], other_keys[TS_SIGNATURE_BANDS];
    ts_runtime *runtime;
    assert_ok(ts_runtime_new(&runtime, NULL));
    assert_int_equal(shingles_of(runtime, "", a, keys), 0);
    assert_int_equal(shingles_of(runtime, "a b", a, keys), 1);
    assert_int_equal(shingles_of(runtime, "a b c d e f", a, keys), 4); /* abc bcd cde def */
    assert_int_equal(shingles_of(runtime, "A b, c. d e X", b, other_keys), 4);
    assert_float_equal(ts_jaccard(a, 4, b, 4), 3.0 / 5, 1e-12);
    assert_int_equal(shingles_of(runtime, "a a a a a a a", a, keys), 1);
    assert_int_equal(shingles_of(runtime, "One two three four five.", a, keys), shingles_of(runtime, "one, TWO three (four) five", b, other_keys));
    assert_memory_equal(keys, other_keys, sizeof keys);
    /* sorted, at sizes on both sides of the two ways to sort */
    for (size_t words = 400; words <= 700; words += 100) {
        char text[8192];
        size_t used = 0;
        for (size_t i = 0; i < words; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "w%zu ", i);
        size_t count = shingles_of(runtime, text, a, keys);
        assert_int_equal(count, words - 2);
        for (size_t i = 1; i < count; i++)
            assert_true(a[i - 1] < a[i]);
    }
    ts_runtime_free(runtime);
}

/* ---- entries of TinyStories-Instruct ---- */

static ts_instruct parse(const char *text)
{
    ts_instruct fields = {.struct_size = sizeof fields};
    assert_ok(ts_instruct_parse(&fields, text, strlen(text)));
    return fields;
}

static void assert_field(const char *text, size_t size, const char *expected)
{
    assert_int_equal(text != NULL, expected != NULL);
    if (expected != NULL) {
        assert_int_equal(size, strlen(expected));
        assert_memory_equal(text, expected, size);
    }
}

static void test_instruct_parse(void **state)
{
    (void)state;
    ts_instruct f = parse("Features: Dialogue\nWords: quit, oak, gloomy\nSummary: Sara and Ben were playing.\nStory: \n\nSara and Ben.\n\nThe end.\n");
    assert_field(f.features, f.features_size, "Dialogue");
    assert_field(f.words, f.words_size, "quit, oak, gloomy");
    assert_field(f.summary, f.summary_size, "Sara and Ben were playing.");
    assert_null(f.sentence);
    assert_field(f.story, f.story_size, "Sara and Ben.\n\nThe end.");
    assert_int_equal(f.order[0], TS_INSTRUCT_FEATURES);
    assert_int_equal(f.order[1], TS_INSTRUCT_WORDS);
    assert_int_equal(f.order[2], TS_INSTRUCT_SUMMARY);
    assert_int_equal(f.order[3], 0);
    f = parse("\n\nRandom sentence: He ran.\r\nStory: One. He ran.\nSummary: A run.\nWords: run\n"); /* headers behind the story */
    assert_field(f.sentence, f.sentence_size, "He ran.");
    assert_field(f.story, f.story_size, "One. He ran.");
    assert_field(f.summary, f.summary_size, "A run.");
    assert_field(f.words, f.words_size, "run");
    assert_int_equal(f.order[1], TS_INSTRUCT_WORDS); /* from the end */
    assert_int_equal(f.order[2], TS_INSTRUCT_SUMMARY);
    f = parse("Sentence: He ran.\nSummary: A\nb.\nStory:");
    assert_field(f.sentence, f.sentence_size, "He ran.");
    assert_field(f.summary, f.summary_size, "A\nb.");
    assert_field(f.story, f.story_size, "");
    f = parse("Story: x\nStory: y");
    assert_field(f.story, f.story_size, "x\nStory: y");
    f.struct_size = sizeof f;
    assert_status(ts_instruct_parse(&f, "Words: a\n", 9), TS_ERROR_FORMAT);
    assert_status(ts_instruct_parse(&f, "", 0), TS_ERROR_FORMAT);
    assert_status(ts_instruct_parse(&f, "Words: a\nWords: b\nStory: c", 26), TS_ERROR_FORMAT);
    assert_detail("twice");
    f.struct_size = 0;
    assert_status(ts_instruct_parse(&f, "Story: c", 8), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_instruct_parse(NULL, "Story: c", 8), TS_ERROR_INVALID_ARGUMENT);
}

static void test_instruct_prompt(void **state)
{
    (void)state;
    char text[256];
    size_t size;
    ts_instruct f = {.struct_size = sizeof f, .words = "quit, oak", .words_size = 9, .summary = " A\n  run. ", .summary_size = 10};
    assert_ok(ts_instruct_prompt(&f, text, sizeof text, &size));
    assert_string_equal(text, "Words: quit, oak\nSummary: A run.\nStory:");
    f.order[0] = TS_INSTRUCT_SUMMARY;
    f.story = "Once.";
    f.story_size = 5;
    assert_ok(ts_instruct_prompt(&f, text, sizeof text, &size));
    assert_string_equal(text, "Summary: A run.\nWords: quit, oak\nStory: \n\nOnce.");
    assert_int_equal(size, strlen(text));
    assert_status(ts_instruct_prompt(&f, text, size, &size), TS_ERROR_BUFFER_TOO_SMALL);
    f.order[1] = TS_INSTRUCT_SUMMARY;
    assert_status(ts_instruct_prompt(&f, text, sizeof text, &size), TS_ERROR_INVALID_ARGUMENT);
    f.order[1] = 3;
    assert_status(ts_instruct_prompt(&f, text, sizeof text, &size), TS_ERROR_INVALID_ARGUMENT);
    f.order[1] = 0;
    f.sentence = "a <|endoftext|> b";
    f.sentence_size = 17;
    assert_status(ts_instruct_prompt(&f, text, sizeof text, &size), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("sentence");
    f.sentence = "a <<|endoftext| b\0";
    f.sentence_size = 17;
    assert_ok(ts_instruct_prompt(&f, text, sizeof text, &size));
    f.sentence_size = 18;
    assert_status(ts_instruct_prompt(&f, text, sizeof text, &size), TS_ERROR_INVALID_ARGUMENT);
    ts_instruct none = {.struct_size = sizeof none};
    assert_ok(ts_instruct_prompt(&none, text, sizeof text, &size));
    assert_string_equal(text, "Story:");
}

/* ---- hostile bytes: TINYSTORIES_FUZZ_ROUNDS makes it longer ---- */

static long rounds(long usual)
{
    const char *wanted = getenv("TINYSTORIES_FUZZ_ROUNDS");
    return wanted != NULL ? strtol(wanted, NULL, 10) : usual;
}

/* A text of pieces that mean something to what reads it, and of anything. */
static size_t compose(char *text, size_t capacity, ts_random *random)
{
    static const char *const pieces[] = {MOJI_LQ, MOJI_CUT, MOJI_APOS, "\xc3\x82", "\xc3\xa2", "\xe2\x80", "\xc2", "\xe2", "\x9d", LQ, "\xef\xbf\xbd", "\"", " ", "\n", "\n\n",
                                         "Words:", "Summary: ", "Story:", "Random sentence:", "Features: a, b", "Once. ", "Mr.", "\xc3\x83\xc2\xa2", "<|endoftext|>", "", "x", "\t",
                                         "\xf0\x9f", "\xcb\x9c", "."};
    size_t used = 0;
    for (uint64_t left = ts_random_below(random, 40); left > 0; left--) {
        char byte = (char)ts_random_next(random);
        const char *piece = pieces[ts_random_below(random, TS_COUNT_OF(pieces))];
        size_t size = strlen(piece);
        if (ts_random_below(random, 8) == 0) {
            piece = &byte;
            size = 1;
        }
        if (used + size > capacity)
            break;
        memcpy(text + used, piece, size);
        used += size;
    }
    return used;
}

static void assert_within(const char *part, size_t size, const char *text, size_t whole)
{
    if (part != NULL)
        assert_true(part >= text && size <= whole && part - text <= (ptrdiff_t)(whole - size));
}

static void test_hostile(void **state)
{
    (void)state;
    ts_random random = {.seed = 5};
    long count = rounds(4000);
    for (long i = 0; i < count; i++) {
        char composed[512];
        size_t size = compose(composed, sizeof composed, &random), mended_size, again_size, sentence_size;
        char *text = malloc(size + 1), *rest; /* exactly so large, for the address sanitizer */
        assert_non_null(text);
        rest = realloc(text, size > 0 ? size : 1);
        assert_non_null(rest);
        text = rest;
        memcpy(text, composed, size);
        assert_ok(ts_story_clean(text, size, NULL, mended, sizeof mended, &mended_size, NULL));
        if (!ts_utf8_valid(mended, mended_size))
            fail_msg("round %ld: what was mended is not UTF-8", i);
        char first[4096];
        memcpy(first, mended, mended_size);
        assert_ok(ts_story_clean(first, mended_size, NULL, mended, sizeof mended, &again_size, NULL));
        assert_true(again_size <= mended_size);
        ts_instruct f = {.struct_size = sizeof f};
        if (ts_instruct_parse(&f, text, size) == TS_OK) {
            assert_within(f.words, f.words_size, text, size);
            assert_within(f.features, f.features_size, text, size);
            assert_within(f.summary, f.summary_size, text, size);
            assert_within(f.sentence, f.sentence_size, text, size);
            assert_within(f.story, f.story_size, text, size);
            if (ts_instruct_prompt(&f, mended, sizeof mended, &mended_size) == TS_OK) {
                ts_instruct g = {.struct_size = sizeof g};
                assert_ok(ts_instruct_parse(&g, mended, mended_size));
                assert_true(g.story_size <= f.story_size); /* a story may end in what then is a header */
            }
        }
        const char *at = text, *sentence;
        size_t left = size;
        while (ts_sentence(&at, &left, &sentence, &sentence_size))
            assert_within(sentence, sentence_size, text, size);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mojibake),       cmocka_unit_test(test_no_mojibake), cmocka_unit_test(test_punctuation),
                                       cmocka_unit_test(test_spaces),         cmocka_unit_test(test_backslashes), cmocka_unit_test(test_rules),       cmocka_unit_test(test_arguments),
                                       cmocka_unit_test(test_sentences),      cmocka_unit_test(test_syllables),   cmocka_unit_test(test_shingles),
                                       cmocka_unit_test(test_instruct_parse), cmocka_unit_test(test_instruct_prompt), cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
