/* What a run is besides its arrays: one table of fields by which it is saved, resumed and compared. */
#include <stdio.h>

#include "text/text.h"
#include "trainer/trainer.h"

enum {
    FIXED, /* a setting that is a run's own from its first step to its last */
    FREE,  /* a setting that a resumed run may change; 0: the checkpoint's */
    STATE, /* what changes with the steps, and what is found out */
    OWN    /* of the rank with the run folder alone */
};

/* Fields have 4 or 8 bytes and are integers or real numbers. */
#define FIELD(name, role)                                                                                                                            \
    {                                                                                                                                                \
#name, offsetof(ts_settings, name), sizeof(((ts_settings *)0)->name),                                                                        \
            _Generic(((ts_settings *)0)->name, float                                                                                                 \
                     : true, double                                                                                                                  \
                     : true, default                                                                                                                 \
                     : false),                                                                                                                       \
            role                                                                                                                                     \
    }

typedef struct field {
    const char *name;
    size_t offset, size;
    bool real;
    int role;
} field;

static const field fields[] = {
    FIELD(options.seed, FIXED),
    FIELD(options.max_steps, FREE),
    FIELD(options.max_tokens, FREE),
    FIELD(options.max_epochs, FREE),
    FIELD(options.max_seconds, FREE),
    FIELD(options.valid_share, FIXED),
    FIELD(options.learning_rate, FREE),
    FIELD(options.final_rate, FIXED),
    FIELD(options.warmup, FIXED),
    FIELD(options.beta1, FIXED),
    FIELD(options.beta2, FIXED),
    FIELD(options.epsilon, FIXED),
    FIELD(options.weight_decay, FIXED),
    FIELD(options.clip, FIXED),
    FIELD(options.schedule, FIXED),
    FIELD(options.slices, FIXED),
    FIELD(options.batch_tokens, FIXED),
    FIELD(options.micro_batch, FIXED),
    FIELD(options.valid_interval, FREE),
    FIELD(options.checkpoint_interval, FREE),
    FIELD(options.log_interval, FREE),
    FIELD(options.precision, FREE),
    FIELD(options.optimizer, FIXED),
    FIELD(options.keep_best, FREE),
    FIELD(options.packing, FIXED),
    FIELD(options.use_average, FIXED),
    FIELD(options.average, FIXED),
    FIELD(options.spike, FIXED),
    FIELD(options.spike_window, FIXED),
    FIELD(options.one_batch, FIXED),
    FIELD(options.decay, FIXED),
    FIELD(options.recompute, FIXED),
    FIELD(options.muon_beta, FIXED),
    FIELD(options.max_skips, FREE),
    FIELD(options.keep_last, FREE),
    FIELD(options.keep_every, FREE),
    FIELD(options.csv_log, FREE),
    FIELD(architecture.kind, FIXED),
    FIELD(architecture.vocabulary_size, FIXED),
    FIELD(architecture.context_length, FIXED),
    FIELD(architecture.width, FIXED),
    FIELD(architecture.layers, FIXED),
    FIELD(architecture.heads, FIXED),
    FIELD(architecture.key_value_heads, FIXED),
    FIELD(architecture.hidden, FIXED),
    FIELD(architecture.window, FIXED),
    FIELD(architecture.untied_head, FIXED),
    FIELD(architecture.rotary_base, FIXED),
    FIELD(architecture.norm_epsilon, FIXED),
    FIELD(state.step, STATE),
    FIELD(state.tokens, STATE),
    FIELD(state.skipped, STATE),
    FIELD(state.skipped_in_a_row, STATE),
    FIELD(state.log_bytes, OWN),
    FIELD(state.csv_bytes, OWN),
    FIELD(state.seconds, STATE),
    FIELD(state.loss, STATE),
    FIELD(state.gradient_norm, STATE),
    FIELD(state.learning_rate, STATE),
    FIELD(state.valid_nats_per_token, STATE),
    FIELD(state.valid_bits_per_byte, STATE),
    FIELD(state.best_bits_per_byte, STATE),
    FIELD(state.loss_count, STATE),
    FIELD(state.loss_mean, STATE),
    FIELD(state.loss_variance, STATE),
    FIELD(state.valid_step, STATE),
    FIELD(cpu_level, STATE),
    FIELD(data_hash, FIXED),
    FIELD(tokenizer, FIXED),
    FIELD(end_of_text, FIXED),
    FIELD(begin_of_text, FIXED),
};

ts_settings ts_settings_of(const ts_trainer *t)
{
    return (ts_settings){
        .options = t->options,
        .architecture = t->architecture,
        .state = t->state,
        .cpu_level = ts_runtime_cpu_level(t->runtime),
        .data_hash = t->batches.hash,
        .tokenizer = ts_tokenizer_fingerprint(t->tokenizer),
        .end_of_text = ts_tokenizer_end_of_text(t->tokenizer),
        .begin_of_text = ts_tokenizer_begin_of_text(t->tokenizer),
    };
}

/* ---- as text: lines of "field value", the value's bits in hexadecimal ---- */

/* A field's bits. */
static uint64_t bits_of(const ts_settings *s, const field *f)
{
    uint32_t narrow;
    uint64_t wide;
    memcpy(&narrow, (const char *)s + f->offset, sizeof narrow);
    if (f->size == sizeof narrow)
        return narrow;
    memcpy(&wide, (const char *)s + f->offset, sizeof wide);
    return wide;
}

static void set_bits(ts_settings *s, const field *f, uint64_t wide)
{
    uint32_t narrow = (uint32_t)wide;
    if (f->size == sizeof narrow)
        memcpy((char *)s + f->offset, &narrow, sizeof narrow);
    else
        memcpy((char *)s + f->offset, &wide, sizeof wide);
}

ts_status ts_settings_write(ts_bytes *text, const ts_settings *s)
{
    for (size_t i = 0; i < TS_COUNT_OF(fields); i++)
        TS_TRY(ts_bytes_format(text, "%s %016llx\n", fields[i].name, (unsigned long long)bits_of(s, &fields[i])));
    return TS_OK;
}

/* Reads 16 hexadecimal digits and a newline. */
static bool read_bits(const char *text, size_t size, uint64_t *bits)
{
    *bits = 0;
    if (size < 17 || text[16] != '\n')
        return false;
    for (int i = 0; i < 16; i++) {
        char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *bits = *bits << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

const char *ts_settings_read(ts_settings *s, const char *text, size_t size)
{
    for (size_t i = 0; i < TS_COUNT_OF(fields); i++) {
        size_t length = strlen(fields[i].name);
        uint64_t bits;
        if (size <= length || memcmp(text, fields[i].name, length) != 0 || text[length] != ' ' ||
            !read_bits(text + length + 1, size - length - 1, &bits))
            return fields[i].name;
        set_bits(s, &fields[i], bits);
        text += length + 18;
        size -= length + 18;
    }
    return NULL;
}

uint64_t ts_settings_hash(const ts_settings *s)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < TS_COUNT_OF(fields); i++) {
        uint64_t bits = bits_of(s, &fields[i]);
        if (fields[i].role == FIXED)
            hash = ts_hash(&bits, sizeof bits, ts_hash(fields[i].name, strlen(fields[i].name), hash));
    }
    return hash;
}

/* ---- compared ---- */

#define VALUE_SIZE TS_DOUBLE_SIZE

static void show(char text[VALUE_SIZE], const field *f, uint64_t bits)
{
    uint32_t narrow = (uint32_t)bits;
    float single;
    double real;
    memcpy(&single, &narrow, sizeof single);
    memcpy(&real, &bits, sizeof real);
    if (f->real)
        ts_format_double(text, f->size == sizeof single ? single : real);
    else
        snprintf(text, VALUE_SIZE, "%llu", (unsigned long long)bits);
}

ts_status ts_settings_same(const ts_settings *mine, const ts_settings *theirs)
{
    for (size_t i = 0; i < TS_COUNT_OF(fields); i++) {
        const field *f = &fields[i];
        char here[VALUE_SIZE], there[VALUE_SIZE];
        if (f->role == OWN || bits_of(mine, f) == bits_of(theirs, f))
            continue;
        show(here, f, bits_of(mine, f));
        show(there, f, bits_of(theirs, f));
        return ts_fail(TS_ERROR_MISMATCH, "%s is %s, but %s on rank 0: all ranks must be given the same", f->name, here, there);
    }
    return TS_OK;
}

/* ---- resumed ---- */

/* What was given as ts_trainer_new would take it: a batch of whole micro batches and slices. */
static void choose_as_kept(ts_trainer_options *given, const ts_trainer_options *kept, size_t T)
{
    ts_trainer_options o = *kept;
    o.batch_tokens = given->batch_tokens ? given->batch_tokens : kept->batch_tokens;
    o.micro_batch = given->micro_batch ? given->micro_batch : kept->micro_batch;
    o.slices = given->slices ? given->slices : kept->slices;
    ts_batch_choose(&o, T);
    given->batch_tokens = o.batch_tokens;
    given->micro_batch = o.micro_batch;
    given->slices = o.slices;
}

/* Whether an option was set at all: one at its default, or 0, is left to the checkpoint. */
static bool is_given(const ts_settings *given, const ts_settings *usual, const field *f)
{
    uint64_t bits = bits_of(given, f);
    return bits != 0 && bits != bits_of(usual, f);
}

ts_status ts_settings_merge(ts_trainer_options *merged, const ts_settings *kept, const ts_trainer_options *options, const char *path)
{
    ts_settings given = {.options = *options}, usual = {0}, both = {.options = *options};
    TS_TRY(ts_trainer_options_init(&usual.options, sizeof usual.options));
    choose_as_kept(&given.options, &kept->options, kept->architecture.context_length);
    for (const field *f = fields; f->offset < offsetof(ts_settings, architecture); f++) {
        uint64_t asked = bits_of(&given, f), there = bits_of(kept, f);
        char value[VALUE_SIZE], expected[VALUE_SIZE];
        bool other = is_given(&given, &usual, f) && asked != there;
        set_bits(&both, f, other && f->role == FREE ? asked : there);
        if (!other || f->role == FREE)
            continue;
        show(value, f, asked);
        show(expected, f, there);
        return ts_fail(TS_ERROR_MISMATCH, "ts_trainer_%s is %s, but the run of %s has %s: a run that is resumed keeps its settings", f->name, value,
                       path, expected);
    }
    *merged = both.options;
    merged->initial = NULL;
    return TS_OK;
}

void ts_settings_warn(ts_runtime *runtime, const ts_settings *kept, const ts_trainer_options *merged, const char *path)
{
    static const char *const precisions[] = {"auto", "f32", "bf16"};
    int32_t level = ts_runtime_cpu_level(runtime);
    const char *before = ts_cpu_level_name(kept->cpu_level);
    if (level != kept->cpu_level)
        ts_log(runtime, TS_LOG_WARNING,
               "%s: was trained at CPU level %s and goes on at %s: its last bits will differ from those of a run that was not stopped", path,
               before ? before : "unknown", ts_cpu_level_name(level));
    if (merged->precision != kept->options.precision && merged->precision < TS_COUNT_OF(precisions) &&
        kept->options.precision < TS_COUNT_OF(precisions))
        ts_log(runtime, TS_LOG_WARNING, "%s: was trained in %s and goes on in %s: its numbers will differ from those of a run that was not stopped",
               path, precisions[kept->options.precision], precisions[merged->precision]);
}
