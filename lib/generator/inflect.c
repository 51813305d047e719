/* English morphology by rule: plurals, third persons, pasts, -ing, a or an. */
#include "generator/word_list.h"

static bool is_vowel(char letter)
{
    return letter != 0 && strchr("aeiou", letter) != NULL;
}

static bool ends_with(const char *word, const char *end)
{
    size_t size = strlen(word), length = strlen(end);
    return size >= length && memcmp(word + size - length, end, length) == 0;
}

/* Copies all but the last `cut` letters, then `end`. */
static void with_end(char *out, const char *base, size_t cut, const char *end)
{
    size_t size = strlen(base) - cut;
    memcpy(out, base, size);
    memcpy(out + size, end, strlen(end) + 1);
}

static bool consonant_y(const char *base)
{
    size_t size = strlen(base);
    return size >= 2 && base[size - 1] == 'y' && !is_vowel(base[size - 2]);
}

/* One syllable that ends in consonant, vowel, consonant doubles its last letter: hop, hopped. w, x and y never do. */
static bool doubles(const char *base)
{
    size_t size = strlen(base), groups = 0;
    for (size_t i = 0; i < size; i++)
        groups += is_vowel(base[i]) && (i == 0 || !is_vowel(base[i - 1]));
    if (size < 3 || groups != 1 || is_vowel(base[size - 1]) || strchr("wxy", base[size - 1]) || !is_vowel(base[size - 2]))
        return false;
    return !is_vowel(base[size - 3]) || (size >= 4 && base[size - 3] == 'u' && base[size - 4] == 'q');
}

static void doubled(char *out, const char *base, const char *end)
{
    char twice[8] = {base[strlen(base) - 1]};
    memcpy(twice + 1, end, strlen(end) + 1);
    with_end(out, base, 0, twice);
}

void ts_inflect_s(char *out, const char *base)
{
    if (consonant_y(base))
        with_end(out, base, 1, "ies");
    else if (ends_with(base, "s") || ends_with(base, "x") || ends_with(base, "z") || ends_with(base, "ch") || ends_with(base, "sh"))
        with_end(out, base, 0, "es");
    else
        with_end(out, base, 0, "s");
}

void ts_inflect_past(char *out, const char *base)
{
    if (ends_with(base, "e"))
        with_end(out, base, 0, "d");
    else if (consonant_y(base))
        with_end(out, base, 1, "ied");
    else if (doubles(base))
        doubled(out, base, "ed");
    else
        with_end(out, base, 0, "ed");
}

void ts_inflect_ing(char *out, const char *base)
{
    if (ends_with(base, "ie"))
        with_end(out, base, 2, "ying");
    else if (ends_with(base, "e") && !ends_with(base, "ee") && !ends_with(base, "oe") && !ends_with(base, "ye"))
        with_end(out, base, 1, "ing");
    else if (doubles(base))
        doubled(out, base, "ing");
    else
        with_end(out, base, 0, "ing");
}

/* Letters mislead in these: the word begins with the other kind of sound. */
static const char *const vowel_sounds[] = {"hour", "honest", "honor"};
static const char *const consonant_sounds[] = {"unicorn", "unicycle", "uniform", "ukulele", "use", "used", "useful", "usual", "one", "once"};

static bool is_among(const char *const *list, size_t count, const char *word, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == size && memcmp(list[i], word, size) == 0)
            return true;
    return false;
}

bool ts_takes_an(const char *word, size_t size)
{
    if (is_among(vowel_sounds, TS_COUNT_OF(vowel_sounds), word, size))
        return true;
    if (size == 0 || is_among(consonant_sounds, TS_COUNT_OF(consonant_sounds), word, size))
        return false;
    return is_vowel((char)(word[0] | 0x20));
}
