/* Stories that do not fit: drawn words in all their forms, and languages. */
#include "support/support.h"

#include "format/stories.h"
#include "generator/unfit.h"
#include "tinystories/generator.h"

#define REST " and it was there with them when they said that they had to go."

static ts_runtime *runtime;
static ts_word_list words;

static int set_up(void **state)
{
    return ts_runtime_new(&runtime, NULL) != TS_OK || ts_word_list_open(&words, runtime) != TS_OK || make_folder(state);
}

static int tear_down(void **state)
{
    ts_word_list_free(&words);
    ts_runtime_free(runtime);
    return remove_folder(state);
}

/* An entry of the built-in vocabulary, or one that knows no forms. */
static const ts_entry *entry_of(const char *base)
{
    static ts_entry own[3];
    static size_t next;
    for (size_t i = 0; i < words.word_count; i++)
        if (strcmp(words.words[i].base, base) == 0 && words.words[i].kind <= TS_KIND_ADJECTIVE)
            return &words.words[i];
    own[next] = (ts_entry){.base = base};
    next = (next + 1) % TS_COUNT_OF(own);
    return &own[(next + 2) % 3];
}

static uint32_t judge(const char *base, const char *text)
{
    ts_drawn drawn = {.words = {entry_of(base), entry_of(base), entry_of(base)}};
    return ts_story_unfit(&drawn, text, strlen(text));
}

static void forms_count_as_their_word(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"run", "ran"},
        {"run", "Running"},
        {"run", "runs"},
        {"dog", "dog's"},
        {"dog", "DOGS"},
        {"happy", "happily"},
        {"happy", "happier"},
        {"big", "biggest"},
        {"nice", "nicer"},
        {"gentle", "gently"},
        {"sad", "sadly"},
        {"leaf", "leaves"},
        {"knife", "knives"},
        {"box", "boxes"},
        {"berry", "berries"},
        {"eat", "eaten"},
        {"know", "known"},
        {"ride", "ridden"},
        {"write", "written"},
        {"hide", "hidden"},
        {"forget", "forgotten"},
        {"speak", "spoken"},
        {"sing", "sung"},
        {"fly", "flown"},
        {"lie", "lying"},
        {"travel", "travelled"},
        {"travel", "traveling"},
        {"ice-cream", "ice cream"},
        {"ice-cream", "ice-creams"},
        {"mouse", "mice"},
        {"polar bear", "polar bears"},
        {"paint", "painter"},
        {"take", "taking"},
        {"dance", "dancing"},
    };
    static const char *const other[][2] = {{"run", "rung"},        {"dog", "dogma"},
                                           {"car", "care"},        {"cat", "caterpillar"},
                                           {"big", "bigot"},       {"ice-cream", "ice and cream"},
                                           {"ice-cream", "cream"}, {"sing", "single"},
                                           {"bus", "busy"},        {"run", ""},
                                           {"hat", "that"},        {"ear", "bear"}};
    char text[256];
    for (size_t i = 0; i < TS_COUNT_OF(same); i++) {
        snprintf(text, sizeof text, "There was one: %s," REST, same[i][1]);
        if (judge(same[i][0], text) != 0)
            fail_msg("%s is no %s", same[i][1], same[i][0]);
    }
    for (size_t i = 0; i < TS_COUNT_OF(other); i++) {
        snprintf(text, sizeof text, "There was one: %s," REST, other[i][1]);
        if (judge(other[i][0], text) != TS_UNFIT_WORDS)
            fail_msg("%s is taken for %s", other[i][1], other[i][0]);
    }
}

static void all_three_words_are_wanted(void **state)
{
    (void)state;
    ts_drawn drawn = {.words = {entry_of("run"), entry_of("dog"), entry_of("big")}};
    static const char *const texts[] = {"A big dog ran" REST, "A dog ran" REST, "A big dog" REST, "Big it ran" REST, ""};
    for (size_t i = 0; i < TS_COUNT_OF(texts); i++)
        assert_int_equal(ts_story_unfit(&drawn, texts[i], strlen(texts[i])), i == 0 ? 0 : TS_UNFIT_WORDS);
    assert_int_equal(ts_story_unfit(&drawn, "A big dog ran. \xff\xfe\x80 \xe2\x80", 22), 0); /* no UTF-8: nothing is read beyond the end */
}

/* Written for this test. All have the word "max", so that the language alone is wrong. */
static void other_languages(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Es war einmal ein kleiner Hund namens Max. Er war sehr gro\xc3\x9f und lief gern im Park. Eines Tages sah Max einen roten Ball in einem "
        "Baum.",
        "Er was eens een kleine hond die Max heette. Hij was heel groot en rende graag in het park. Op een dag zag Max een rode bal in een boom.",
        "Il \xc3\xa9tait une fois un petit chien qui s'appelait Max. Il a couru dans le parc et il a vu une grande balle rouge dans un arbre.",
        "Hab\xc3\xad\x61 una vez un perro que se llamaba Max. A Max le gustaba correr a la casa y jugar a la pelota. Un d\xc3\xad\x61 vio a una "
        "ni\xc3\xb1\x61.",
        "C'era una volta un cane piccolo che si chiamava Max. A Max piaceva correre nel parco. Un giorno vide una palla rossa su un albero.",
        "Era uma vez um c\xc3\xa3o que se chamava Max. Ele gostava de correr no parque. Um dia viu a bola vermelha e quis brincar com a menina.",
        "Det var en g\xc3\xa5ng en liten hund som hette Max. Han var mycket stor och sprang g\xc3\xa4rna i parken. En dag s\xc3\xa5g Max en "
        "r\xc3\xb6\x64 boll.",
        "Pewnego dnia ma\xc5\x82y pies o imieniu Max pobieg\xc5\x82 do parku. To by\xc5\x82 dobry dzie\xc5\x84 a on by\xc5\x82 bardzo "
        "szcz\xc4\x99\xc5\x9bliwy w domu.",
        "Pada suatu hari ada seekor anjing kecil bernama Max. Dia suka berlari di taman. Suatu hari dia melihat bola merah.",
        "\xd0\x96\xd0\xb8\xd0\xbb-\xd0\xb1\xd1\x8b\xd0\xbb \xd0\xbf\xd1\x91\xd1\x81 \xd0\xbf\xd0\xbe \xd0\xb8\xd0\xbc\xd0\xb5\xd0\xbd\xd0\xb8 Max.",
        "\xe4\xbb\x8e\xe5\x89\x8d\xe6\x9c\x89\xe4\xb8\x80\xe5\x8f\xaa\xe5\xb0\x8f\xe7\x8b\x97\xe5\x8f\xab Max "
        "\xe5\xae\x83\xe5\x96\x9c\xe6\xac\xa2\xe5\x9c\xa8.",
        /* English that falls into another language in its middle, or its end */
        "Max had a big house and he said that they were there. "
        "\xe4\xbb\x8e\xe5\x89\x8d\xe6\x9c\x89\xe4\xb8\x80\xe5\x8f\xaa\xe5\xb0\x8f\xe7\x8b\x97\xe5\x8f\xab\xe5\xae\x83. And they "
        "were happy when the day was over.",
        "Max and the dog had a house. They said that it was very big and that they had to go there. Then the dog went with him. "
        "Es war einmal ein kleiner Hund, der war sehr lieb. Er lief gern im Park und sah dort einen roten Ball in einem Baum. Er wollte damit "
        "spielen, aber "
        "der Baum war sehr hoch. Da kam ein kleines Kind und half ihm. Nun spielten beide den ganzen Tag im Park, bis es Abend war und alle nach "
        "Hause gingen."};
    for (size_t i = 0; i < TS_COUNT_OF(texts); i++)
        if (judge("max", texts[i]) != TS_UNFIT_LANGUAGE)
            fail_msg("%u: %s", judge("max", texts[i]), texts[i]);
    assert_int_equal(judge("max", "Max ran."), 0); /* too short to tell */
    assert_int_equal(judge("max", "Max had a caf\xc3\xa9 na\xc3\xafve \xce\xb1 \xce\xb2" REST), 0);
}

/* Nothing that is fit is thrown away: the embedded author uses its words in every form that a plot wants. */
static void embedded_stories_fit(void **state)
{
    (void)state;
    enum { STORIES = 2000 };
    ts_generator *generator;
    ts_generator_options options;
    assert_ok(ts_generator_options_init(&options, sizeof options));
    assert_ok(ts_generator_new(&generator, runtime, &options));
    for (uint64_t i = 0; i < STORIES; i++) {
        ts_story story = {.struct_size = sizeof story};
        ts_drawn drawn;
        assert_ok(ts_generator_next(generator, &story));
        ts_draw(&drawn, &words, 0, i, 63);
        uint32_t unfit = ts_story_unfit(&drawn, story.story, story.story_size);
        if (unfit != 0)
            fail_msg("story %u of %s, %s, %s: %u\n%s", (unsigned)i, story.words[0], story.words[1], story.words[2], unfit, story.story);
    }
    ts_generator_free(generator);
}

static void real_stories_are_english(void **state)
{
    (void)state;
    static const char *const names[] = {"stories/tinystories-train.txt", "stories/tinystories-valid.txt"};
    uint64_t stories = 0, foreign = 0;
    for (size_t i = 0; i < TS_COUNT_OF(names); i++) {
        const char *const paths[] = {test_data(names[i])}, *text;
        ts_stories *all;
        size_t size;
        assert_ok(ts_stories_open(&all, runtime, paths, 1));
        ts_drawn drawn = {.words = {entry_of("run"), entry_of("dog"), entry_of("big")}};
        while (ts_stories_next(all, &text, &size) == TS_OK && text) {
            stories++;
            foreign += (ts_story_unfit(&drawn, text, size) & TS_UNFIT_LANGUAGE) != 0;
        }
        ts_stories_close(all);
    }
    assert_true(stories > 9000);
    assert_true(foreign <= 1); /* one of them counts to fifty */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_count_as_their_word), cmocka_unit_test(all_three_words_are_wanted), cmocka_unit_test(other_languages),
        cmocka_unit_test(embedded_stories_fit),      cmocka_unit_test(real_stories_are_english),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
