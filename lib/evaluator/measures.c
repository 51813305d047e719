/* Measures of a text: what can be counted without understanding it. */
#include "evaluator/measures.h"

#include "text/text.h"

#include <math.h>

enum { WINDOW = 12, MOST_NAMES = 32 };

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
    while (at > 0 && ts_token_is_quote(&m->tokens[at - 1]))
        at--;
    return at == 0 || ts_token_ends_sentence(&m->tokens[at - 1]) || m->tokens[at].breaks;
}

static bool is_name(const measuring *m, size_t at)
{
    const ts_token *token = &m->tokens[at];
    return token->word && token->capital && token->size > 1 && !starts_sentence(m, at) && !(at > 0 && ts_token_is_quote(&m->tokens[at - 1]));
}

static bool has_hash(const uint64_t *hashes, size_t count, uint64_t hash)
{
    for (size_t i = 0; i < count; i++)
        if (hashes[i] == hash)
            return true;
    return false;
}

/* ---- shape and rules ---- */

static void measure_shape(measuring *m)
{
    size_t paragraphs = 1, quotes = 0, exclamations = 0, small = 0, all_quotes = 0, starts = 0;
    for (size_t i = 0; i < m->count; i++) {
        const ts_token *t = &m->tokens[i];
        all_quotes += ts_token_is_quote(t);
        if (i < m->known)
            continue;
        m->words += t->word;
        m->sentences += ts_token_ends_sentence(t) && !(i > m->known && ts_token_ends_sentence(t - 1));
        quotes += ts_token_is_quote(t);
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
    m->out[TS_MEASURE_UNFINISHED] = !ts_token_ends_sentence(last) && !ts_token_is_quote(last);
}

/* "a" and "an" before the wrong letter; words in h, u, o and e are left alone, whose sound may be another. */
static bool wrong_article(const ts_token *article, const ts_token *word)
{
    char c = word->word ? (char)(*word->text | 0x20) : 0;
    if (ts_token_is(article, "a"))
        return c == 'a' || c == 'i';
    return ts_token_is(article, "an") && c >= 'b' && c <= 'z' && !strchr("aehiou", c);
}

static void measure_rules(measuring *m)
{
    size_t doubled = 0, articles = 0;
    for (size_t i = TS_MAX(m->known, (size_t)1); i < m->count; i++) {
        const ts_token *t = &m->tokens[i], *before = t - 1;
        /* "had had" and "that that" may be right, and so may "very very" */
        doubled += t->word && t->hash == before->hash && !ts_token_is(t, "had") && !ts_token_is(t, "that") && !ts_token_is(t, "very");
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
        spoken = spoken != ts_token_is_quote(t);
        if (i < m->known || spoken || !t->word)
            continue;
        present += ts_token_is_any(t, now, TS_COUNT_OF(now));
        past += (t->size > 2 && (t->text[t->size - 2] | 0x20) == 'e' && (t->text[t->size - 1] | 0x20) == 'd') ||
                ts_token_is_any(t, then, TS_COUNT_OF(then));
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
        pronoun += ts_token_is_any(&m->tokens[i], pronouns, TS_COUNT_OF(pronouns));
        if (!is_name(m, i))
            continue;
        named++;
        if (has_hash(m->names, m->name_count, hash) || m->name_count == MOST_NAMES)
            continue;
        m->names[m->name_count++] = hash;
        fresh += !ts_tokens_have(m->tokens, 0, m->known, hash);
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
                bool other = is_name(m, j), is_he = ts_token_is_any(&m->tokens[j], male, TS_COUNT_OF(male)),
                     is_she = ts_token_is_any(&m->tokens[j], female, TS_COUNT_OF(female));
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
        if (!t->word || (t->size < SHORTEST_CONTENT && !is_name(m, i)) || ts_tokens_have(m->tokens, from, i, t->hash))
            continue;
        asked++;
        found += ts_tokens_have(m->tokens, first, m->count, t->hash);
    }
    return asked > 0 ? (double)found / (double)asked : 0;
}

static void measure_return(measuring *m)
{
    size_t end = 0;
    while (end < m->count && !ts_token_ends_sentence(&m->tokens[end]))
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
    return ts_token_is_any(token, little, TS_COUNT_OF(little));
}

/* What a sentence brings in: tokens[from .. to), of the first sentence only what later ones may come back to. */
static void measure_sentence(const measuring *m, size_t from, size_t to, double *shares, size_t *counted, size_t *newcomers)
{
    size_t longer = 0, again = 0;
    for (size_t i = from; i < to; i++) {
        const ts_token *t = &m->tokens[i];
        bool name = is_name(m, i);
        if (!t->word || (!name && (t->size < SHORTEST_CONTENT || is_little(t))) || ts_tokens_have(m->tokens, from, i, t->hash))
            continue;
        bool before = ts_tokens_have(m->tokens, 0, from, t->hash);
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
        if (!ts_token_ends_sentence(&m->tokens[i]) && i + 1 < m->count)
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

/* ---- all of them ---- */

static ts_status measure_instruction(measuring *m, ts_runtime *runtime, const ts_record *record)
{
    const ts_passage passage = {m->tokens, m->known, m->count};
    ts_followed f;
    uint64_t asked = 0, found = 0;
    TS_TRY(ts_passage_followed(&passage, runtime, record, &f));
    for (size_t part = 0; part < TS_FOLLOWED_COUNT; part++) {
        asked += f.asked[part];
        found += f.found[part];
    }
    m->out[TS_MEASURE_FOLLOWED] = asked > 0 ? (double)found / (double)asked : 1;
    m->out[TS_MEASURE_ASKED] = asked > 0;
    m->out[TS_MEASURE_BAD_ENDING] = ts_passage_misses_bad_ending(&passage, record);
    return TS_OK;
}

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
    size_t known = 0;
    *followed = (ts_followed){.struct_size = sizeof *followed};
    ts_status status = read_tokens(runtime, record, &tokens, &known);
    if (status == TS_OK)
        status = ts_passage_followed(&(ts_passage){tokens.items, known, tokens.count}, runtime, record, followed);
    ts_release(runtime, tokens.items);
    return status;
}
