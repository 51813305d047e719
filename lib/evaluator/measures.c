/* Measures of a text: what can be counted without understanding it. */
#include "evaluator/measures.h"

#include "text/text.h"

#include <math.h>

enum { WINDOW = 12, MOST_NAMES = 32, SHORTEST_CONTENT = 4 };

static const char *const measure_names[] = {
    "length",       /* log of 1 + words */
    "variety",      /* distinct words over the root of the words */
    "sentence",     /* log of words a sentence */
    "paragraphs",   /* log of 1 + paragraphs */
    "speech",       /* log of 1 + quotation marks */
    "exclamations", /* over sentences */
    "doubled",      /* words that stand twice in a row, of 100 words */
    "small_starts", /* sentences that begin with a small letter, over sentences */
    "open_quote",   /* 1: the quotation marks are odd in number */
    "unfinished",   /* 1: it does not end like a sentence */
    "articles",     /* "a" before a vowel, "an" before none, of 100 words */
    "repetition",   /* share of four words in a row that were there before */
    "names",        /* log of 1 + names that the prompt has not */
    "named",        /* names over words */
    "genders",      /* share of names that are he as well as she */
    "pronouns",     /* he, she, it and they over words */
    "carried",      /* share of the prompt's names and longer words that come again; 0 without a prompt */
    "close",        /* share of the first sentence's names and longer words that come again in the second half */
    "followed",     /* share of what an instruction asks for that rules find in it; 1 without an instruction */
    "asked",        /* 1: there is an instruction */
    "missed_ending" /* 1: a bad ending is asked for, and no sad word is in the last third */,
    "loss",         /* the n-gram model's mean loss of a token, as deviations from the mean of its own text; so are the next five */
    "beginning",    /* the same of the first 12 tokens */
    "worst",        /* of the tenth that is the least likely */
    "surprises",    /* share of tokens of more than 8 nats */
    "unknown",      /* share of tokens that its text has not */
    "novelty",      /* share of three tokens in a row that its text has not */
    "first",        /* the mean loss of the first sentence; in the same units, as the next two */
    "common_worst", /* of the tenth of the text's common words that is the least likely where it stands */
    "odd_pairs",    /* share of common words side by side that its text never has so */
    "opening",      /* the most nats of one of the first 5 tokens; in the same units, as the next */
    "misplaced",    /* the median over the tokens of what one costs beyond its rarity */
    "copied",       /* share of tokens in runs of 16 and more that its text has */
    "returns",      /* share of a sentence's longer words that an earlier sentence or the prompt has; the mean of the sentences behind the first */
    "newcomers",    /* names that come up for the first time behind the first sentence, over those sentences */
    "little_words", /* share of the words that are among the hundred or so that hold any English together */
    "present",      /* share of the verbs outside of speech that are in the present tense, which a told story has not */
};
_Static_assert(TS_COUNT_OF(measure_names) == TS_MEASURE_COUNT && TS_MEASURE_PRESENT + 1 == TS_MEASURE_COUNT, "a name each");

const char *ts_measure_name(uint32_t measure)
{
    return measure < TS_MEASURE_COUNT ? measure_names[measure] : NULL;
}

/* ---- words and marks ---- */

static bool is_space(char c)
{
    return strchr(" \t\n\v\f\r", c) != NULL && c != 0;
}

static bool is_ascii_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* A character that is no part of a word; quotation marks of all forms are alike. */
static ts_token mark_at(const char *text, size_t size)
{
    static const char *const quotes[] = {"\xe2\x80\x9c", "\xe2\x80\x9d"};
    uint32_t code;
    size_t length = ts_utf8_decode(text, size, &code);
    for (size_t i = 0; i < TS_COUNT_OF(quotes); i++)
        if (length == 3 && memcmp(text, quotes[i], 3) == 0)
            return (ts_token){.hash = ts_plain_word_hash("\"", 1), .text = "\"", .size = 1};
    return (ts_token){.hash = ts_plain_word_hash(text, length), .text = text, .size = (uint32_t)length};
}

static ts_token token_at(const char **text, size_t *size)
{
    uint32_t code;
    const char *at = *text, *word;
    size_t length = ts_utf8_decode(at, *size, &code), left = *size, word_size;
    ts_class class = ts_unicode_class(code);
    ts_token token;
    if (class == TS_CLASS_LETTER || class == TS_CLASS_NUMBER) {
        ts_plain_word(&at, &left, &word, &word_size);
        length = word_size;
        token = (ts_token){ts_plain_word_hash(word, word_size), word, (uint32_t)word_size, true, is_ascii_capital(*word), false};
    } else {
        token = mark_at(*text, *size);
    }
    *text += length;
    *size -= length;
    return token;
}

ts_status ts_tokens_add(ts_runtime *runtime, ts_token_list *list, const char *text, size_t size)
{
    bool breaks = false;
    while (size > 0) {
        if (is_space(*text)) {
            breaks = breaks || *text == '\n';
            text++;
            size--;
            continue;
        }
        TS_TRY(ts_reserve(runtime, &list->items, &list->capacity, list->count + 1, sizeof *list->items));
        list->items[list->count] = token_at(&text, &size);
        list->items[list->count++].breaks = breaks;
        breaks = false;
    }
    return TS_OK;
}

static bool is(const ts_token *token, const char *word)
{
    return token->hash == ts_plain_word_hash(word, strlen(word));
}

static bool is_any(const ts_token *token, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is(token, words[i]))
            return true;
    return false;
}

static bool ends_sentence(const ts_token *token)
{
    return !token->word && token->size == 1 && strchr(".!?", *token->text) != NULL;
}

static bool is_quote(const ts_token *token)
{
    return !token->word && *token->text == '"';
}

/* ---- a text that is measured: tokens[0 .. known) are the prompt ---- */

typedef struct measuring {
    const ts_token *tokens;
    size_t known, count;
    double *out;
    size_t words, sentences;
    uint64_t names[MOST_NAMES]; /* hashes of names of the completion */
    size_t name_count;
} measuring;

/* Whether a token begins a sentence: what stands before it ends one, but for quotation marks. */
static bool starts_sentence(const measuring *m, size_t at)
{
    while (at > 0 && is_quote(&m->tokens[at - 1]))
        at--;
    return at == 0 || ends_sentence(&m->tokens[at - 1]) || m->tokens[at].breaks;
}

static bool is_name(const measuring *m, size_t at)
{
    const ts_token *token = &m->tokens[at];
    return token->word && token->capital && token->size > 1 && !starts_sentence(m, at) && !(at > 0 && is_quote(&m->tokens[at - 1]));
}

static bool has_hash(const uint64_t *hashes, size_t count, uint64_t hash)
{
    for (size_t i = 0; i < count; i++)
        if (hashes[i] == hash)
            return true;
    return false;
}

static bool occurs(const measuring *m, size_t from, size_t to, uint64_t hash)
{
    for (size_t i = from; i < to; i++)
        if (m->tokens[i].hash == hash)
            return true;
    return false;
}

/* ---- shape and rules ---- */

static void measure_shape(measuring *m)
{
    size_t paragraphs = 1, quotes = 0, exclamations = 0, small = 0, all_quotes = 0, starts = 0;
    for (size_t i = 0; i < m->count; i++) {
        const ts_token *t = &m->tokens[i];
        all_quotes += is_quote(t);
        if (i < m->known)
            continue;
        m->words += t->word;
        m->sentences += ends_sentence(t) && !(i > m->known && ends_sentence(t - 1));
        quotes += is_quote(t);
        exclamations += !t->word && *t->text == '!';
        paragraphs += t->breaks;
        if (t->word && i > m->known && starts_sentence(m, i)) {
            starts++;
            small += !t->capital && *t->text >= 'a' && *t->text <= 'z';
        }
    }
    double words = (double)m->words, sentences = (double)TS_MAX(m->sentences, (size_t)1);
    const ts_token *last = &m->tokens[m->count - 1];
    m->out[TS_MEASURE_LENGTH] = log(1 + words);
    m->out[TS_MEASURE_SENTENCE] = log(1 + words / sentences);
    m->out[TS_MEASURE_PARAGRAPHS] = log((double)paragraphs);
    m->out[TS_MEASURE_SPEECH] = log(1 + (double)quotes);
    m->out[TS_MEASURE_EXCLAMATIONS] = (double)exclamations / sentences;
    m->out[TS_MEASURE_SMALL_STARTS] = starts > 0 ? (double)small / (double)starts : 0;
    m->out[TS_MEASURE_OPEN_QUOTE] = all_quotes % 2 == 1;
    m->out[TS_MEASURE_UNFINISHED] = !ends_sentence(last) && !is_quote(last);
}

/* "a" and "an" before the wrong letter; words in h, u, o and e are left alone, whose sound may be another. */
static bool wrong_article(const ts_token *article, const ts_token *word)
{
    char c = word->word ? (char)(*word->text | 0x20) : 0;
    if (is(article, "a"))
        return c == 'a' || c == 'i';
    return is(article, "an") && c >= 'b' && c <= 'z' && !strchr("aehiou", c);
}

static void measure_rules(measuring *m)
{
    size_t doubled = 0, articles = 0;
    for (size_t i = TS_MAX(m->known, (size_t)1); i < m->count; i++) {
        const ts_token *t = &m->tokens[i], *before = t - 1;
        /* "had had" and "that that" may be right, and so may "very very" */
        doubled += t->word && t->hash == before->hash && !is(t, "had") && !is(t, "that") && !is(t, "very");
        articles += wrong_article(before, t);
    }
    double words = (double)TS_MAX(m->words, (size_t)1);
    m->out[TS_MEASURE_DOUBLED] = 100 * (double)doubled / words;
    m->out[TS_MEASURE_ARTICLES] = 100 * (double)articles / words;
}

static void measure_tense(measuring *m)
{
    static const char *const now[] = {"is",    "are", "am",   "has",   "have",   "do",   "does",  "go",  "goes", "say",  "says", "want",
                                      "wants", "see", "sees", "think", "thinks", "make", "makes", "get", "gets", "come", "comes"},
                             *const then[] = {"was", "were", "had", "said", "went", "saw"};
    size_t present = 0, past = 0;
    bool spoken = false;
    for (size_t i = 0; i < m->count; i++) {
        const ts_token *t = &m->tokens[i];
        spoken = spoken != is_quote(t);
        if (i < m->known || spoken || !t->word)
            continue;
        present += is_any(t, now, TS_COUNT_OF(now));
        past += (t->size > 2 && (t->text[t->size - 2] | 0x20) == 'e' && (t->text[t->size - 1] | 0x20) == 'd') || is_any(t, then, TS_COUNT_OF(then));
    }
    m->out[TS_MEASURE_PRESENT] = (double)present / (double)(present + past + 1);
}

/* ---- variety ---- */

static ts_status measure_variety(measuring *m, ts_runtime *runtime)
{
    ts_tally words = {.runtime = runtime}, fours = {.runtime = runtime};
    uint64_t last[4] = {0};
    size_t seen = 0;
    ts_status status = TS_OK;
    for (size_t i = m->known; i < m->count && status == TS_OK; i++) {
        if (!m->tokens[i].word)
            continue;
        memmove(last, last + 1, 3 * sizeof *last);
        last[3] = m->tokens[i].hash;
        status = ts_tally_add(&words, last[3]);
        if (++seen >= 4 && status == TS_OK)
            status = ts_tally_add(&fours, ts_hash(last, sizeof last, 0));
    }
    m->out[TS_MEASURE_VARIETY] = seen > 0 ? (double)words.kinds / sqrt((double)seen) : 0;
    m->out[TS_MEASURE_REPETITION] = fours.seen > 0 ? 1 - (double)fours.kinds / (double)fours.seen : 0;
    ts_tally_free(&words);
    ts_tally_free(&fours);
    return status;
}

/* ---- who is who ---- */

static void measure_cast(measuring *m)
{
    static const char *const pronouns[] = {"he", "she", "they", "it", "him", "her", "them"};
    size_t named = 0, fresh = 0, pronoun = 0;
    for (size_t i = m->known; i < m->count; i++) {
        uint64_t hash = m->tokens[i].hash;
        pronoun += is_any(&m->tokens[i], pronouns, TS_COUNT_OF(pronouns));
        if (!is_name(m, i))
            continue;
        named++;
        if (has_hash(m->names, m->name_count, hash) || m->name_count == MOST_NAMES)
            continue;
        m->names[m->name_count++] = hash;
        fresh += !occurs(m, 0, m->known, hash);
    }
    double words = (double)TS_MAX(m->words, (size_t)1);
    m->out[TS_MEASURE_NAMES] = log(1 + (double)fresh);
    m->out[TS_MEASURE_NAMED] = (double)named / words;
    m->out[TS_MEASURE_PRONOUNS] = (double)pronoun / words;
}

/* Of a name, how often the next he or she behind it is which. */
static void measure_genders(measuring *m)
{
    static const char *const male[] = {"he", "his", "him"}, *const female[] = {"she", "her", "hers"};
    size_t both = 0;
    for (size_t n = 0; n < m->name_count; n++) {
        size_t he = 0, she = 0;
        for (size_t i = m->known; i < m->count; i++) {
            for (size_t j = i + 1; m->tokens[i].hash == m->names[n] && j < TS_MIN(m->count, i + WINDOW); j++) {
                bool other = is_name(m, j), is_he = is_any(&m->tokens[j], male, TS_COUNT_OF(male)),
                     is_she = is_any(&m->tokens[j], female, TS_COUNT_OF(female));
                he += is_he && !other;
                she += is_she && !other;
                if (other || is_he || is_she)
                    break;
            }
        }
        both += he > 0 && she > 0;
    }
    m->out[TS_MEASURE_GENDERS] = m->name_count > 0 ? (double)both / (double)m->name_count : 0;
}

/* ---- what comes again ---- */

/* Share of the names and longer words of tokens[from .. to) that occur in tokens[first .. count). */
static double comes_again(const measuring *m, size_t from, size_t to, size_t first)
{
    size_t asked = 0, found = 0;
    for (size_t i = from; i < to; i++) {
        const ts_token *t = &m->tokens[i];
        if (!t->word || (t->size < SHORTEST_CONTENT && !is_name(m, i)) || occurs(m, from, i, t->hash))
            continue;
        asked++;
        found += occurs(m, first, m->count, t->hash);
    }
    return asked > 0 ? (double)found / (double)asked : 0;
}

static void measure_return(measuring *m)
{
    size_t end = 0;
    while (end < m->count && !ends_sentence(&m->tokens[end]))
        end++;
    m->out[TS_MEASURE_CARRIED] = comes_again(m, 0, m->known, m->known);
    m->out[TS_MEASURE_CLOSE] = comes_again(m, 0, end, TS_MAX(end, m->known + (m->count - m->known) / 2));
}

/* ---- how sentences hold together ---- */

static bool is_little(const ts_token *token)
{
    static const char *const little[] = {
        "the",  "a",    "an",   "and",  "or",    "but",   "so",    "because", "if",   "when", "then",  "as",     "of",    "to",    "in",
        "on",   "at",   "by",   "for",  "with",  "from",  "up",    "down",    "out",  "into", "over",  "off",    "about", "after", "he",
        "she",  "it",   "they", "we",   "you",   "i",     "him",   "her",     "them", "us",   "me",    "his",    "its",   "their", "our",
        "your", "my",   "this", "that", "these", "those", "there", "here",    "what", "who",  "where", "why",    "how",   "is",    "are",
        "was",  "were", "be",   "been", "am",    "has",   "have",  "had",     "do",   "does", "did",   "will",   "would", "can",   "could",
        "not",  "no",   "yes",  "all",  "some",  "one",   "very",  "too",     "said", "went", "go",    "wanted", "saw",   "came",  "got",
        "made", "day",  "more", "back", "again", "just",  "than",  "let",     "s",    "t",    "other", "never"};
    return is_any(token, little, TS_COUNT_OF(little));
}

/* What a sentence brings in: tokens[from .. to), of the first sentence only what later ones may come back to. */
static void measure_sentence(const measuring *m, size_t from, size_t to, double *shares, size_t *counted, size_t *newcomers)
{
    size_t longer = 0, again = 0;
    for (size_t i = from; i < to; i++) {
        const ts_token *t = &m->tokens[i];
        bool name = is_name(m, i);
        if (!t->word || (!name && (t->size < SHORTEST_CONTENT || is_little(t))) || occurs(m, from, i, t->hash))
            continue;
        bool before = occurs(m, 0, from, t->hash);
        longer++;
        again += before;
        *newcomers += name && !before;
    }
    *shares += longer > 0 ? (double)again / (double)longer : 0;
    *counted += longer > 0;
}

static void measure_cohesion(measuring *m)
{
    size_t from = m->known, counted = 0, newcomers = 0, sentences = 0, little = 0;
    double shares = 0;
    for (size_t i = m->known; i < m->count; i++) {
        little += m->tokens[i].word && is_little(&m->tokens[i]);
        if (!ends_sentence(&m->tokens[i]) && i + 1 < m->count)
            continue;
        if (from > 0) {
            measure_sentence(m, from, i + 1, &shares, &counted, &newcomers);
            sentences++;
        }
        from = i + 1;
    }
    m->out[TS_MEASURE_RETURNS] = counted > 0 ? shares / (double)counted : 0;
    m->out[TS_MEASURE_NEWCOMERS] = sentences > 0 ? (double)newcomers / (double)sentences : 0;
    m->out[TS_MEASURE_LITTLE_WORDS] = (double)little / (double)TS_MAX(m->words, (size_t)1);
}

/* ---- instructions ---- */

static bool mentions_any(const measuring *m, size_t from, const char *const *words, size_t count)
{
    for (size_t i = from; i < m->count; i++)
        if (is_any(&m->tokens[i], words, count))
            return true;
    return false;
}

static bool ends_badly(const measuring *m)
{
    static const char *const sad[] = {"sad",   "cried", "cry",    "tears", "lost",   "hurt",  "died",  "dead",  "gone",   "scared", "afraid",
                                      "sorry", "broke", "broken", "alone", "lonely", "never", "angry", "upset", "regret", "wished"};
    return mentions_any(m, m->count - (m->count - m->known) / 3, sad, TS_COUNT_OF(sad));
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

static void check_features(const measuring *m, const char *features, ts_followed *f)
{
    static const char *const lesson[] = {"learned", "learnt", "lesson", "moral", "remember", "important", "always"},
                             *const turn[] = {"suddenly", "surprise", "surprised", "unexpected", "unexpectedly", "turned", "realized"},
                             *const quarrel[] = {"argue",   "argued", "fight",   "fought", "angry", "mad",
                                                 "quarrel", "wanted", "refused", "yelled", "upset"};
    const struct {
        const char *name;
        bool there;
    } rules[] = {{"dialog", m->out[TS_MEASURE_SPEECH] > 0.9},
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

/* Whether a token is a word or the word with an English ending. */
static bool is_form_of(const ts_token *token, const char *word, size_t size)
{
    static const char *const endings[] = {"s", "es", "d", "ed", "r", "er", "st", "est", "ing", "ly", "n", "en"};
    if (token->hash == ts_plain_word_hash(word, size))
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
static void check_words(const measuring *m, const char *words, ts_followed *f)
{
    const char *word;
    size_t size, left = words ? strlen(words) : 0;
    while (left > 0 && ts_plain_word(&words, &left, &word, &size)) {
        bool there = false;
        for (size_t i = m->known; i < m->count && !there; i++)
            there = is_form_of(&m->tokens[i], word, size);
        f->asked[TS_FOLLOWED_WORDS]++;
        f->found[TS_FOLLOWED_WORDS] += there;
    }
}

/* Whether the words of a sentence stand in the completion one behind another, whatever the marks and spaces between them are. */
static bool has_sentence(const measuring *m, const ts_token_list *sentence)
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

static ts_status check_sentence(const measuring *m, ts_runtime *runtime, const char *text, ts_followed *f)
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

static ts_status check_summary(const measuring *m, ts_runtime *runtime, const char *summary, ts_followed *f)
{
    ts_token_list about = {0};
    if (!summary)
        return TS_OK;
    ts_status status = ts_tokens_add(runtime, &about, summary, strlen(summary));
    for (size_t i = 0; status == TS_OK && i < about.count; i++)
        if (about.items[i].word && about.items[i].size >= SHORTEST_CONTENT) {
            f->asked[TS_FOLLOWED_SUMMARY]++;
            f->found[TS_FOLLOWED_SUMMARY] += occurs(m, m->known, m->count, about.items[i].hash);
        }
    ts_release(runtime, about.items);
    return status;
}

/* Its quotation marks must have been counted. */
static ts_status check_instruction(const measuring *m, ts_runtime *runtime, const ts_record *record, ts_followed *f)
{
    check_features(m, record->features, f);
    check_words(m, record->words, f);
    TS_TRY(check_sentence(m, runtime, record->sentence, f));
    return check_summary(m, runtime, record->summary, f);
}

static ts_status measure_instruction(measuring *m, ts_runtime *runtime, const ts_record *record)
{
    ts_followed f = {.struct_size = sizeof f};
    uint64_t asked = 0, found = 0;
    TS_TRY(check_instruction(m, runtime, record, &f));
    for (size_t part = 0; part < TS_FOLLOWED_COUNT; part++) {
        asked += f.asked[part];
        found += f.found[part];
    }
    m->out[TS_MEASURE_FOLLOWED] = asked > 0 ? (double)found / (double)asked : 1;
    m->out[TS_MEASURE_ASKED] = asked > 0;
    m->out[TS_MEASURE_BAD_ENDING] = asks(record->features, "bad") && !ends_badly(m);
    return TS_OK;
}

/* ---- all of them ---- */

static ts_status measure_language(const ts_language *language, const ts_token_list *tokens, size_t known, double *out)
{
    ts_surprise s;
    if (!language)
        return TS_OK;
    TS_TRY(ts_language_surprise(language, tokens, known, &s));
    const double values[] = {s.loss,  s.beginning, s.worst, s.surprises, s.unknown,   s.novelty,
                             s.first, s.common,    s.odd,   s.opening,   s.misplaced, s.copied};
    memcpy(out + TS_MEASURE_LOSS, values, sizeof values);
    return TS_OK;
}

static ts_status measure_tokens(ts_runtime *runtime, const ts_language *language, const ts_record *record, const ts_token_list *tokens, size_t known,
                                double *out)
{
    measuring m = {.tokens = tokens->items, .known = known, .count = tokens->count, .out = out};
    if (known == tokens->count)
        return TS_OK;
    measure_shape(&m);
    measure_rules(&m);
    measure_tense(&m);
    measure_cast(&m);
    measure_genders(&m);
    measure_return(&m);
    measure_cohesion(&m);
    TS_TRY(measure_variety(&m, runtime));
    TS_TRY(measure_instruction(&m, runtime, record));
    return measure_language(language, tokens, known, out);
}

/* The words and marks of a record, those of the prompt first; *known becomes their number. */
static ts_status read_tokens(ts_runtime *runtime, const ts_record *record, ts_token_list *tokens, size_t *known)
{
    TS_TRY(ts_tokens_add(runtime, tokens, record->prompt, record->prompt_size));
    *known = tokens->count;
    return ts_tokens_add(runtime, tokens, record->completion, record->completion_size);
}

ts_status ts_measure_record(ts_runtime *runtime, const ts_language *language, const ts_record *record, double measures[TS_MEASURE_COUNT])
{
    ts_token_list tokens = {0};
    size_t known = 0;
    memset(measures, 0, TS_MEASURE_COUNT * sizeof *measures);
    ts_status status = read_tokens(runtime, record, &tokens, &known);
    if (status == TS_OK)
        status = measure_tokens(runtime, language, record, &tokens, known, measures);
    ts_release(runtime, tokens.items);
    return status;
}

ts_status ts_measure_followed(ts_runtime *runtime, const ts_record *record, ts_followed *followed)
{
    ts_token_list tokens = {0};
    double measures[TS_MEASURE_COUNT] = {0};
    size_t known = 0;
    *followed = (ts_followed){.struct_size = sizeof *followed};
    ts_status status = read_tokens(runtime, record, &tokens, &known);
    measuring m = {.tokens = tokens.items, .known = known, .count = tokens.count, .out = measures};
    if (status == TS_OK && known < tokens.count)
        measure_shape(&m);
    if (status == TS_OK)
        status = check_instruction(&m, runtime, record, followed);
    ts_release(runtime, tokens.items);
    return status;
}
