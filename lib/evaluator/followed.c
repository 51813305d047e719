/* What a completion has of its instruction, by rules: the features, the words, the sentence, the summary. */
#include "evaluator/measures.h"

#include "text/text.h"

static bool mentions_any(const ts_passage *m, size_t from, const char *const *words, size_t count)
{
    for (size_t i = from; i < m->count; i++)
        if (ts_token_is_any(&m->tokens[i], words, count))
            return true;
    return false;
}

static bool ends_badly(const ts_passage *m)
{
    static const char *const sad[] = {"sad",   "cried", "cry",    "tears", "lost",   "hurt",  "died",  "dead",  "gone",   "scared", "afraid",
                                      "sorry", "broke", "broken", "alone", "lonely", "never", "angry", "upset", "regret", "wished"};
    return mentions_any(m, m->count - (m->count - m->known) / 3, sad, TS_COUNT_OF(sad));
}

/* Something is said: a pair of quotation marks. */
static bool speaks(const ts_passage *m)
{
    size_t quotes = 0;
    for (size_t i = m->known; i < m->count; i++)
        quotes += ts_token_is_quote(&m->tokens[i]);
    return quotes >= 2;
}

/* Whether a text asks for a feature by one of its names. */
static bool asks(const char *features, const char *name)
{
    size_t size = strlen(name);
    for (; features && *features; features++) {
        size_t same = 0;
        while (same < size && (features[same] | 0x20) == name[same])
            same++;
        if (same == size)
            return true;
    }
    return false;
}

static void check_features(const ts_passage *m, const char *features, ts_followed *f)
{
    static const char *const lesson[] = {"learned", "learnt", "lesson", "moral", "remember", "important", "always"},
                             *const turn[] = {"suddenly", "surprise", "surprised", "unexpected", "unexpectedly", "turned", "realized"},
                             *const quarrel[] = {"argue",   "argued", "fight",   "fought", "angry", "mad",
                                                 "quarrel", "wanted", "refused", "yelled", "upset"};
    const struct {
        const char *name;
        bool there;
    } rules[] = {{"dialog", speaks(m)},
                 {"bad", ends_badly(m)},
                 {"moral", mentions_any(m, m->known, lesson, TS_COUNT_OF(lesson))},
                 {"twist", mentions_any(m, m->known, turn, TS_COUNT_OF(turn))},
                 {"conflict", mentions_any(m, m->known, quarrel, TS_COUNT_OF(quarrel))}};
    for (size_t i = 0; i < TS_COUNT_OF(rules); i++)
        if (asks(features, rules[i].name)) {
            f->asked[TS_FOLLOWED_FEATURES]++;
            f->found[TS_FOLLOWED_FEATURES] += rules[i].there;
        }
}

static bool same_letters(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)a[i] | 0x20) != ((unsigned char)b[i] | 0x20))
            return false;
    return true;
}

/* Whether a stem that was found before an ending is that of a word: the same, without its last "e" (bak-ing), with its last letter twice (run-n-ing)
 * or with an "i" for its "y" (carri-ed). */
static bool is_stem(const char *stem, size_t stem_size, const char *word, size_t size, bool vowel)
{
    if (stem_size == size)
        return same_letters(stem, word, size - 1) &&
               (same_letters(stem + size - 1, word + size - 1, 1) || ((word[size - 1] | 0x20) == 'y' && (stem[size - 1] | 0x20) == 'i'));
    if (vowel && stem_size + 1 == size)
        return (word[size - 1] | 0x20) == 'e' && same_letters(stem, word, stem_size);
    return vowel && stem_size == size + 1 && same_letters(stem, word, size) && same_letters(stem + size, word + size - 1, 1);
}

/* Whether a token is a word, whose hash is given, or the word with an English ending. */
static bool is_form_of(const ts_token *token, const char *word, size_t size, uint64_t hash)
{
    static const char *const endings[] = {"s", "es", "d", "ed", "r", "er", "st", "est", "ing", "ly", "n", "en"};
    if (token->hash == hash)
        return true;
    for (size_t i = 0; token->word && size >= 2 && i < TS_COUNT_OF(endings); i++) {
        size_t ending = strlen(endings[i]), stem = token->size > ending ? token->size - ending : 0;
        bool vowel = strchr("ei", endings[i][0]) != NULL, bare_after_e = strchr("drn", endings[i][0]) != NULL || strcmp(endings[i], "st") == 0;
        if (stem < 2 || !same_letters(token->text + stem, endings[i], ending) || (bare_after_e && (size < 3 || (word[size - 1] | 0x20) != 'e')))
            continue;
        if (is_stem(token->text, stem, word, size, vowel))
            return true;
    }
    return false;
}

/* Every word of the list must be there, perhaps with an ending. */
static void check_words(const ts_passage *m, const char *words, ts_followed *f)
{
    const char *word;
    size_t size, left = words ? strlen(words) : 0;
    while (left > 0 && ts_plain_word(&words, &left, &word, &size)) {
        uint64_t hash = ts_plain_word_hash(word, size);
        bool there = false;
        for (size_t i = m->known; i < m->count && !there; i++)
            there = is_form_of(&m->tokens[i], word, size, hash);
        f->asked[TS_FOLLOWED_WORDS]++;
        f->found[TS_FOLLOWED_WORDS] += there;
    }
}

/* Whether the words of a sentence stand in the completion one behind another, whatever the marks and spaces between them are. */
static bool has_sentence(const ts_passage *m, const ts_token_list *sentence)
{
    for (size_t from = m->known; from < m->count; from++) {
        size_t at = from, i = 0, words = 0;
        for (;; at++, i++, words++) {
            while (i < sentence->count && !sentence->items[i].word)
                i++;
            while (at < m->count && !m->tokens[at].word)
                at++;
            if (i == sentence->count || at == m->count || m->tokens[at].hash != sentence->items[i].hash)
                break;
        }
        if (i == sentence->count && words > 0)
            return true;
    }
    return false;
}

static ts_status check_sentence(const ts_passage *m, ts_runtime *runtime, const char *text, ts_followed *f)
{
    ts_token_list sentence = {0};
    if (!text)
        return TS_OK;
    ts_status status = ts_tokens_add(runtime, &sentence, text, strlen(text));
    f->asked[TS_FOLLOWED_SENTENCE] = 1;
    f->found[TS_FOLLOWED_SENTENCE] = status == TS_OK && has_sentence(m, &sentence);
    ts_release(runtime, sentence.items);
    return status;
}

static ts_status check_summary(const ts_passage *m, ts_runtime *runtime, const char *summary, ts_followed *f)
{
    ts_token_list about = {0};
    if (!summary)
        return TS_OK;
    ts_status status = ts_tokens_add(runtime, &about, summary, strlen(summary));
    for (size_t i = 0; status == TS_OK && i < about.count; i++)
        if (about.items[i].word && about.items[i].size >= SHORTEST_CONTENT) {
            f->asked[TS_FOLLOWED_SUMMARY]++;
            f->found[TS_FOLLOWED_SUMMARY] += ts_tokens_have(m->tokens, m->known, m->count, about.items[i].hash);
        }
    ts_release(runtime, about.items);
    return status;
}

ts_status ts_passage_followed(const ts_passage *m, ts_runtime *runtime, const ts_record *record, ts_followed *f)
{
    *f = (ts_followed){.struct_size = sizeof *f};
    check_features(m, record->features, f);
    check_words(m, record->words, f);
    TS_TRY(check_sentence(m, runtime, record->sentence, f));
    return check_summary(m, runtime, record->summary, f);
}

bool ts_passage_misses_bad_ending(const ts_passage *m, const ts_record *record)
{
    return asks(record->features, "bad") && !ends_badly(m);
}
