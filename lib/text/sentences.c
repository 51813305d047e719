/* Sentences, syllables, and summaries that are made of a story's own sentences. */
#include "text/text.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- sentences ---- */

/* Whether the full stop at text[at] belongs to a title. */
static bool is_title(const char *text, size_t at)
{
    static const char *const titles[] = {"Mr", "Mrs", "Ms", "Dr", "St"};
    for (size_t i = 0; i < TS_COUNT_OF(titles); i++) {
        size_t size = strlen(titles[i]);
        if (at >= size && memcmp(text + at - size, titles[i], size) == 0 && (at == size || is_space(text[at - size - 1]) || text[at - size - 1] == '"'))
            return true;
    }
    return false;
}

/* The length of a closing quote or bracket at `text`, 0 for anything else. */
static size_t closing(const char *text, size_t size)
{
    if (size > 0 && (*text == '"' || *text == '\'' || *text == ')'))
        return 1;
    return size >= 3 && (memcmp(text, "\xe2\x80\x9d", 3) == 0 || memcmp(text, "\xe2\x80\x99", 3) == 0) ? 3 : 0;
}

/* The length of the sentence at `text`, where no white space is. */
static size_t sentence_length(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        char c = text[at];
        size_t mark = at++, stop;
        if (c == '\n' && at < size && text[at] == '\n')
            return mark;
        if ((c != '.' && c != '!' && c != '?') || (c == '.' && is_title(text, mark)))
            continue;
        while (at < size && (text[at] == '.' || text[at] == '!' || text[at] == '?'))
            at++;
        for (size_t length; (length = closing(text + at, size - at)) > 0;)
            at += length;
        for (stop = at; stop < size && is_space(text[stop]);)
            stop++;
        if (stop == size || (stop > at && !(text[stop] >= 'a' && text[stop] <= 'z')))
            return at;
    }
    return size;
}

bool ts_sentence(const char **text, size_t *size, const char **sentence, size_t *sentence_size)
{
    while (*size > 0 && is_space(**text)) {
        (*text)++;
        (*size)--;
    }
    size_t length = *size > 0 ? sentence_length(*text, *size) : 0;
    *sentence = *text;
    *sentence_size = length;
    *text += length;
    *size -= length;
    ts_trim(sentence, sentence_size);
    return length > 0;
}

/* ---- syllables ---- */

size_t ts_syllables(const char *word, size_t size)
{
    size_t groups = 0;
    bool before = false, last_e = false;
    for (size_t i = 0; i < size; i++) {
        char c = (char)(word[i] | 0x20);
        bool vowel = c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || (c == 'y' && i > 0);
        groups += vowel && !before;
        last_e = c == 'e' && !before && i + 1 == size;
        before = vowel;
    }
    /* silent: the e of "made", not of "table"; the one of "played", not of "wanted" */
    bool le = size >= 3 && (word[size - 2] | 0x20) == 'l' && strchr("aeiouy", word[size - 3] | 0x20) == NULL;
    if (groups > 1 && last_e && !le)
        groups--;
    else if (groups > 1 && size > 3 && (word[size - 1] | 0x20) == 'd' && (word[size - 2] | 0x20) == 'e' && strchr("td", word[size - 3] | 0x20) == NULL &&
             strchr("aeiouy", word[size - 3] | 0x20) == NULL)
        groups--;
    return TS_MAX(groups, (size_t)1);
}

/* ---- summaries ---- */

enum {
    MOST_WORDS = 512,     /* of a story that count */
    MOST_SENTENCES = 96,  /* of a story that are weighed */
    SUMMARY_BYTES = 240,  /* one sentence that is as long as this is enough */
    LEAST_WORDS = 5,      /* of a sentence that says something */
    MOST_SENTENCE_WORDS = 40
};

typedef struct weighed {
    const char *text;
    size_t size, words;
    double weight;
} weighed;

/* The words of a story that tell stories apart, and how often they are in it. */
typedef struct counts {
    uint64_t hashes[MOST_WORDS];
    uint32_t times[MOST_WORDS];
    size_t count;
} counts;

/* Words of every story. Anything shorter than four letters is left out too. */
static bool is_common(const char *word, size_t size)
{
    static const char common[] = " once upon time there were that they them their then this with from have said says very will would could what when where "
                                 "which after before your about into just like some more back over went came want wanted because every each being been than "
                                 "didn't don't even also much many made make ";
    char padded[24];
    if (size < 4)
        return true;
    if (size > sizeof padded - 3)
        return false;
    padded[0] = ' ';
    for (size_t i = 0; i < size; i++)
        padded[i + 1] = word[i] >= 'A' && word[i] <= 'Z' ? (char)(word[i] + 'a' - 'A') : word[i];
    padded[size + 1] = ' ';
    padded[size + 2] = 0;
    return strstr(common, padded) != NULL;
}

static uint32_t *times_of(counts *all, uint64_t hash, bool add)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->hashes[i] == hash)
            return &all->times[i];
    if (!add || all->count == MOST_WORDS)
        return NULL;
    all->hashes[all->count] = hash;
    all->times[all->count] = 0;
    return &all->times[all->count++];
}

static void count_words(counts *all, const char *text, size_t size)
{
    const char *word;
    size_t word_size;
    while (ts_plain_word(&text, &size, &word, &word_size)) {
        uint32_t *times = is_common(word, word_size) ? NULL : times_of(all, ts_plain_word_hash(word, word_size), true);
        if (times != NULL)
            (*times)++;
    }
}

/* What a sentence says of the story: the words that the story repeats, over its length; speech says less, the beginning and the end more. */
static void weigh(counts *all, weighed *s, size_t at, size_t count)
{
    const char *text = s->text, *word;
    size_t size = s->size, word_size;
    double sum = 0;
    s->words = 0;
    while (ts_plain_word(&text, &size, &word, &word_size)) {
        const uint32_t *times = is_common(word, word_size) ? NULL : times_of(all, ts_plain_word_hash(word, word_size), false);
        if (times != NULL)
            sum += *times;
        s->words++;
    }
    s->weight = s->words > 0 ? sum / (double)(s->words + 4) : 0;
    s->weight *= at == 0 ? 1.5 : at + 2 >= count ? 1.2 : 1;
    if (memchr(s->text, '"', s->size) != NULL || memchr(s->text, '?', s->size) != NULL)
        s->weight *= 0.4;
    if (s->words < LEAST_WORDS || s->words > MOST_SENTENCE_WORDS)
        s->weight *= 0.1;
}

/* Whether a sentence speaks of someone or something that only the one before it names. */
static bool points_back(const weighed *s)
{
    static const char *const words[] = {"He ", "She ", "They ", "It ", "But ", "So", "Then", "After", "His ", "Her ", "Their ", "This "};
    for (size_t i = 0; i < TS_COUNT_OF(words); i++)
        if (s->size > strlen(words[i]) && memcmp(s->text, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* The heaviest of the sentences [begin, end); `first` weighs those less that point back. */
static size_t heaviest(const weighed *sentences, size_t begin, size_t end, bool first)
{
    size_t best = begin;
    double most = -1;
    for (size_t i = begin; i < end; i++) {
        double weight = sentences[i].weight * (first && points_back(&sentences[i]) ? 0.3 : 1);
        if (weight > most) {
            most = weight;
            best = i;
        }
    }
    return best;
}

static ts_status add_on_one_line(ts_bytes *summary, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t run = 0, space = 0;
        while (at + run < size && !is_space(text[at + run]))
            run++;
        while (at + run + space < size && is_space(text[at + run + space]))
            space++;
        TS_TRY(ts_bytes_add(summary, text + at, run));
        at += run + space;
        if (at < size)
            TS_TRY(ts_bytes_add(summary, " ", 1));
    }
    return TS_OK;
}

ts_status ts_summarize(ts_bytes *summary, const char *story, size_t size)
{
    weighed sentences[MOST_SENTENCES];
    counts all = {.count = 0};
    size_t count = 0;
    count_words(&all, story, size);
    while (count < MOST_SENTENCES && ts_sentence(&story, &size, &sentences[count].text, &sentences[count].size))
        count++;
    for (size_t i = 0; i < count; i++)
        weigh(&all, &sentences[i], i, count);
    if (count == 0)
        return TS_OK;
    size_t first = heaviest(sentences, 0, (count + 1) / 2, true), second = heaviest(sentences, first + 1, count, false);
    if (second >= count || sentences[first].size + sentences[second].size > SUMMARY_BYTES || sentences[second].words < LEAST_WORDS)
        return add_on_one_line(summary, sentences[first].text, sentences[first].size);
    TS_TRY(add_on_one_line(summary, sentences[first].text, sentences[first].size));
    TS_TRY(ts_bytes_add(summary, " ", 1));
    return add_on_one_line(summary, sentences[second].text, sentences[second].size);
}
