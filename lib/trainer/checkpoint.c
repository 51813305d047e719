/*
 * Checkpoints: one safetensors file that a run can go on from alone. Tensors: the parameters by their names, "adamw.m.<name>" and "adamw.v.<name>",
 * "average.<name>" where there is an average; as bytes "trainer.state" (lines of "field value", the value's bits in hexadecimal) and "tokenizer.json". Every
 * tensor and the header carry a CRC32.
 */
#include <math.h>
#include <stdio.h>

#include "trainer/trainer.h"

#define KIND "tinystories checkpoint"
#define VERSION "2"
#define STATE_NAME "trainer.state"
#define TOKENIZER_NAME "tokenizer.json"
#define MAX_STATE 65536

/* Everything of a run besides arrays. */
typedef struct saved {
    ts_trainer_options options;
    ts_architecture architecture;
    ts_trainer_progress_state state;
    uint64_t data_hash;
    uint32_t end_of_text, begin_of_text; /* that the model's file named: a tokenizer.json holds none */
} saved;

/* The fields that are saved, of 4 or 8 bytes: one table for writing and reading. */
#define FIELD(name) {#name, offsetof(saved, name), sizeof(((saved *)0)->name)}

static const struct {
    const char *name;
    size_t offset, size;
} fields[] = {
    FIELD(options.seed),
    FIELD(options.max_steps),
    FIELD(options.max_tokens),
    FIELD(options.max_epochs),
    FIELD(options.max_seconds),
    FIELD(options.valid_share),
    FIELD(options.learning_rate),
    FIELD(options.final_rate),
    FIELD(options.warmup),
    FIELD(options.beta1),
    FIELD(options.beta2),
    FIELD(options.epsilon),
    FIELD(options.weight_decay),
    FIELD(options.clip),
    FIELD(options.schedule),
    FIELD(options.batch_tokens),
    FIELD(options.micro_batch),
    FIELD(options.valid_interval),
    FIELD(options.checkpoint_interval),
    FIELD(options.log_interval),
    FIELD(options.precision),
    FIELD(options.optimizer),
    FIELD(options.keep_best),
    FIELD(options.slices),
    FIELD(options.packing),
    FIELD(options.use_average),
    FIELD(options.average),
    FIELD(options.spike),
    FIELD(options.spike_window),
    FIELD(options.one_batch),
    FIELD(options.decay),
    FIELD(options.recompute),
    FIELD(options.muon_beta),
    FIELD(options.max_skips),
    FIELD(options.keep_last),
    FIELD(options.keep_every),
    FIELD(architecture.kind),
    FIELD(architecture.vocabulary_size),
    FIELD(architecture.context_length),
    FIELD(architecture.width),
    FIELD(architecture.layers),
    FIELD(architecture.heads),
    FIELD(architecture.key_value_heads),
    FIELD(architecture.hidden),
    FIELD(architecture.window),
    FIELD(architecture.untied_head),
    FIELD(architecture.rotary_base),
    FIELD(architecture.norm_epsilon),
    FIELD(state.step),
    FIELD(state.tokens),
    FIELD(state.skipped),
    FIELD(state.skipped_in_a_row),
    FIELD(state.log_bytes),
    FIELD(state.seconds),
    FIELD(state.loss),
    FIELD(state.gradient_norm),
    FIELD(state.learning_rate),
    FIELD(state.valid_nats_per_token),
    FIELD(state.valid_bits_per_byte),
    FIELD(state.best_bits_per_byte),
    FIELD(state.loss_count),
    FIELD(state.loss_mean),
    FIELD(state.loss_variance),
    FIELD(state.valid_step),
    FIELD(data_hash),
    FIELD(end_of_text),
    FIELD(begin_of_text),
};

static ts_status write_state(ts_bytes *text, const saved *s)
{
    for (size_t i = 0; i < TS_COUNT_OF(fields); i++) {
        uint32_t narrow;
        uint64_t wide;
        memcpy(&narrow, (const char *)s + fields[i].offset, sizeof narrow);
        if (fields[i].size == sizeof narrow)
            wide = narrow;
        else
            memcpy(&wide, (const char *)s + fields[i].offset, sizeof wide);
        TS_TRY(ts_bytes_format(text, "%s %016llx\n", fields[i].name, (unsigned long long)wide));
    }
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

static ts_status read_state(saved *s, const char *text, size_t size, const char *name)
{
    for (size_t i = 0; i < TS_COUNT_OF(fields); i++) {
        size_t length = strlen(fields[i].name);
        uint64_t wide;
        if (size <= length || memcmp(text, fields[i].name, length) != 0 || text[length] != ' ' || !read_bits(text + length + 1, size - length - 1, &wide))
            return ts_fail(TS_ERROR_FORMAT, "%s: %s is damaged at %s", name, STATE_NAME, fields[i].name);
        uint32_t narrow = (uint32_t)wide;
        if (fields[i].size == sizeof narrow)
            memcpy((char *)s + fields[i].offset, &narrow, sizeof narrow);
        else
            memcpy((char *)s + fields[i].offset, &wide, sizeof wide);
        text += length + 18;
        size -= length + 18;
    }
    return TS_OK;
}

/* ---- the arrays: for each parameter its value and two moments, and the average where there is one ---- */

#define MAX_ARRAYS 4
#define MAX_NAME 64

static const char *const prefixes[MAX_ARRAYS] = {"", "adamw.m.", "adamw.v.", "average."};

static size_t array_count(const ts_trainer *t)
{
    return t->averaged != NULL ? MAX_ARRAYS : MAX_ARRAYS - 1;
}

static float *array_of(const ts_trainer *t, size_t which)
{
    float *const arrays[MAX_ARRAYS] = {t->parameters, t->first, t->second, t->averaged};
    return arrays[which];
}

static void name_array(char name[MAX_NAME], size_t which, const ts_parameter *p)
{
    snprintf(name, MAX_NAME, "%s%s", prefixes[which], p->name);
}

/* Names and shapes that the entries of a file being written borrow. */
typedef struct listing {
    ts_safetensors_entry *entries;
    char (*names)[MAX_NAME];
    uint64_t (*shapes)[2];
} listing;

static void list_arrays(const ts_trainer *t, listing *list)
{
    for (size_t which = 0; which < array_count(t); which++)
        for (size_t i = 0; i < t->table_count; i++) {
            const ts_parameter *p = &t->table[i];
            size_t at = which * t->table_count + i;
            name_array(list->names[at], which, p);
            list->shapes[at][0] = p->rank == 2 ? p->rows : p->columns;
            list->shapes[at][1] = p->columns;
            list->entries[at] = (ts_safetensors_entry){
                .name = list->names[at], .dtype = TS_DTYPE_F32, .rank = p->rank, .shape = list->shapes[at], .data = array_of(t, which) + p->offset};
        }
}

/* Reads back what was written before it takes the place of what is there. */
static ts_status put_in_place(ts_trainer *t, ts_writer *writer, const char *path, bool keeps)
{
    ts_status status = ts_writer_settle(writer);
    if (status == TS_OK)
        status = ts_checkpoint_check(t->runtime, writer->temporary, t->gradients, t->total * sizeof(float));
    if (status == TS_OK && keeps)
        status = ts_folder_demote(t, path);
    if (status != TS_OK) {
        ts_writer_abandon(writer);
        return status;
    }
    status = ts_writer_commit(writer);
    if (status != TS_OK && keeps)
        ts_folder_undo(t, path);
    return status;
}

static ts_status write_file(ts_trainer *t, const char *path, const listing *list, const ts_bytes *state, const ts_bytes *tokenizer, bool keeps)
{
    const ts_safetensors_pair pairs[] = {{"format", KIND}, {"version", VERSION}};
    size_t arrays = array_count(t) * t->table_count;
    const uint64_t sizes[2] = {state->size, tokenizer->size};
    ts_writer writer;
    list->entries[arrays] = (ts_safetensors_entry){STATE_NAME, TS_DTYPE_U8, 1, &sizes[0], state->data};
    list->entries[arrays + 1] = (ts_safetensors_entry){TOKENIZER_NAME, TS_DTYPE_U8, 1, &sizes[1], tokenizer->data};
    TS_TRY(ts_writer_open(&writer, t->runtime, path));
    ts_status status = ts_safetensors_write(&writer, t->runtime, list->entries, arrays + 2, pairs, TS_COUNT_OF(pairs), true);
    if (status != TS_OK) {
        ts_writer_abandon(&writer);
        return status;
    }
    return put_in_place(t, &writer, path, keeps);
}

/* What is not finite is never written: the last good checkpoint must stay. */
static ts_status check_finite(const ts_trainer *t)
{
    for (size_t which = 0; which < array_count(t); which++)
        for (size_t i = 0; i < t->table_count; i++)
            if (!isfinite(t->kernels->square_sum(array_of(t, which) + t->table[i].offset, t->table[i].rows * t->table[i].columns)))
                return ts_fail(TS_ERROR_DIVERGED, "%s%s is not finite: no checkpoint is written", prefixes[which], t->table[i].name);
    return TS_OK;
}

ts_status ts_trainer_prove(ts_trainer *t, double most_loss)
{
    if (t->state.skipped_in_a_row >= t->options.max_skips)
        return ts_fail(TS_ERROR_DIVERGED, "the training has diverged at step %llu: no checkpoint is written", (unsigned long long)t->state.step);
    TS_TRY(check_finite(t));
    double loss = ts_slices_probe(t), norm = ts_gradient_norm(t);
    if (!isfinite(loss) || !isfinite(norm))
        return ts_fail(TS_ERROR_DIVERGED, "the weights of step %llu give the next batch a loss or gradient that is not finite: no checkpoint is written",
                       (unsigned long long)t->state.step);
    if (loss > most_loss || (isfinite(most_loss) && norm == 0))
        return ts_fail(TS_ERROR_DIVERGED, "the weights of step %llu give the next batch a loss of %.3g and a gradient of %.3g, they are destroyed: no checkpoint is written",
                       (unsigned long long)t->state.step, loss, norm);
    return TS_OK;
}

ts_status ts_trainer_write(ts_trainer *t, const char *path, bool keeps)
{
    saved s = {.options = t->options, .architecture = t->architecture, .state = t->state, .data_hash = t->batches.hash};
    s.end_of_text = ts_tokenizer_end_of_text(t->tokenizer);
    s.begin_of_text = ts_tokenizer_begin_of_text(t->tokenizer);
    ts_bytes state = {.runtime = t->runtime}, tokenizer = {.runtime = t->runtime};
    size_t count = array_count(t) * t->table_count + 2;
    listing list = {ts_allocate_array(t->runtime, count, sizeof *list.entries), ts_allocate_array(t->runtime, count, sizeof *list.names),
                    ts_allocate_array(t->runtime, count, sizeof *list.shapes)};
    ts_status status = list.entries && list.names && list.shapes ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK)
        status = write_state(&state, &s);
    if (status == TS_OK)
        status = ts_tokenizer_to_json(t->tokenizer, &tokenizer);
    if (status == TS_OK) {
        list_arrays(t, &list);
        status = write_file(t, path, &list, &state, &tokenizer, keeps);
    }
    ts_release(t->runtime, list.entries);
    ts_release(t->runtime, list.names);
    ts_release(t->runtime, list.shapes);
    ts_bytes_free(&state);
    ts_bytes_free(&tokenizer);
    return status;
}

/* ---- reading ---- */

/* A tensor of bytes, a NUL behind them; release *text. */
static ts_status read_text(ts_runtime *runtime, ts_safetensors *file, const char *tensor_name, const char *name, char **text, size_t *size)
{
    const ts_safetensor *tensor = ts_safetensors_find(file, tensor_name);
    if (tensor == NULL || tensor->dtype != TS_DTYPE_U8 || tensor->rank != 1)
        return ts_fail(TS_ERROR_FORMAT, "%s: has no tensor %s of bytes", name, tensor_name);
    *text = ts_allocate(runtime, (size_t)tensor->size + 1);
    if (*text == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    *size = (size_t)tensor->size;
    ts_status status = ts_safetensors_read(file, tensor, *text);
    if (status != TS_OK)
        ts_release(runtime, *text);
    return status;
}

static ts_status read_arrays(ts_trainer *t, ts_safetensors *file)
{
    for (size_t which = 0; which < array_count(t); which++)
        for (size_t i = 0; i < t->table_count; i++) {
            const ts_parameter *p = &t->table[i];
            const uint64_t shape[2] = {p->rank == 2 ? p->rows : p->columns, p->columns};
            const ts_safetensor *tensor;
            char name[MAX_NAME];
            name_array(name, which, p);
            TS_TRY(ts_safetensors_get(file, name, TS_DTYPE_F32, p->rank, shape, &tensor));
            TS_TRY(ts_safetensors_read(file, tensor, array_of(t, which) + p->offset));
        }
    return TS_OK;
}

static ts_status check_kind(const ts_safetensors *file, const char *name)
{
    const char *kind = ts_safetensors_metadata(file, "format"), *version = ts_safetensors_metadata(file, "version");
    if (kind == NULL || strcmp(kind, KIND) != 0 || version == NULL || ts_safetensors_metadata(file, "crc32") == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: is no checkpoint of a trainer, or its description is damaged", name);
    if (strcmp(version, VERSION) != 0)
        return ts_fail(TS_ERROR_VERSION, "%s: is a checkpoint of version %.20s, expected %s", name, version, VERSION);
    return TS_OK;
}

static ts_status check_tensors(ts_runtime *runtime, ts_safetensors *file, void *scratch, size_t scratch_size)
{
    ts_status status = TS_OK;
    size_t largest = 0;
    void *own = NULL;
    for (size_t i = 0; i < ts_safetensors_count(file); i++)
        largest = TS_MAX(largest, (size_t)ts_safetensors_at(file, i)->size);
    if (largest > scratch_size && (scratch = own = ts_allocate(runtime, largest)) == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < ts_safetensors_count(file) && status == TS_OK; i++)
        status = ts_safetensors_read(file, ts_safetensors_at(file, i), scratch);
    ts_release(runtime, own);
    return status;
}

ts_status ts_checkpoint_check(ts_runtime *runtime, const char *path, void *scratch, size_t scratch_size)
{
    ts_source source;
    ts_safetensors *file;
    TS_TRY(ts_source_open(&source, runtime, path, false));
    ts_status status = ts_safetensors_open(&file, &source);
    if (status == TS_OK) {
        status = check_kind(file, path);
        if (status == TS_OK)
            status = check_tensors(runtime, file, scratch, scratch_size);
        ts_safetensors_close(file);
    }
    ts_source_close(&source);
    return status;
}

/* The checkpoint's settings with what a resumed run may change. */
static ts_trainer_options merge_options(const ts_trainer_options *given, const ts_trainer_options *kept)
{
    ts_trainer_options o = *kept;
    o.struct_size = sizeof o;
    o.text = given->text;
    o.text_count = given->text_count;
    o.valid = given->valid;
    o.valid_count = given->valid_count;
    o.run_directory = given->run_directory;
    o.communicator = given->communicator;
    o.max_steps = given->max_steps ? given->max_steps : kept->max_steps;
    o.max_tokens = given->max_tokens ? given->max_tokens : kept->max_tokens;
    o.max_epochs = given->max_epochs > 0 ? given->max_epochs : kept->max_epochs;
    o.max_seconds = given->max_seconds > 0 ? given->max_seconds : kept->max_seconds;
    o.valid_interval = given->valid_interval ? given->valid_interval : kept->valid_interval;
    o.checkpoint_interval = given->checkpoint_interval ? given->checkpoint_interval : kept->checkpoint_interval;
    o.log_interval = given->log_interval ? given->log_interval : kept->log_interval;
    o.keep_last = given->keep_last ? given->keep_last : kept->keep_last;
    o.keep_every = given->keep_every ? given->keep_every : kept->keep_every;
    o.max_skips = given->max_skips ? given->max_skips : kept->max_skips;
    o.learning_rate = given->learning_rate > 0 ? given->learning_rate : kept->learning_rate;
    o.precision = given->precision != TS_PRECISION_AUTO ? given->precision : kept->precision;
    return o;
}

/* Where a run goes on from. */
typedef struct origin {
    const char *path;
    const ts_trainer_options *given;
    bool newest; /* the path is that of the run folder's newest checkpoint */
    int *lock;   /* of the run folder, -1: none or another rank's */
} origin;

static ts_status rebuild(ts_trainer **out, ts_runtime *runtime, ts_safetensors *file, const saved *s, const ts_tokenizer *tokenizer, const origin *from)
{
    ts_architecture architecture = s->architecture;
    ts_trainer_options options = merge_options(from->given, &s->options);
    ts_trainer *t;
    architecture.struct_size = sizeof architecture;
    TS_TRY(ts_architecture_complete(&architecture));
    TS_TRY(ts_trainer_make(&t, runtime, tokenizer, &architecture, &options));
    ts_status status = TS_OK;
    if (t->batches.hash != s->data_hash)
        status = ts_fail(TS_ERROR_MISMATCH, "%s: was trained on other text than what is given: %zu tokens and %zu held out do not match", from->path,
                         t->batches.count, t->batches.held_count);
    if (status == TS_OK)
        status = read_arrays(t, file);
    t->state = s->state;
    if (from->newest)
        t->saved_step = t->state.step;
    if (status == TS_OK && *from->lock >= 0)
        status = ts_trainer_take_folder(t, options.run_directory, from->lock);
    if (status != TS_OK)
        ts_trainer_free(t);
    else
        *out = t;
    return status;
}

static ts_status resume_file(ts_trainer **out, ts_runtime *runtime, ts_safetensors *file, const origin *from)
{
    saved s = {0};
    char *text;
    size_t size;
    ts_tokenizer *tokenizer;
    TS_TRY(check_kind(file, from->path));
    TS_TRY(read_text(runtime, file, STATE_NAME, from->path, &text, &size));
    ts_status status = read_state(&s, text, size, from->path);
    ts_release(runtime, text);
    TS_TRY(status);
    TS_TRY(read_text(runtime, file, TOKENIZER_NAME, from->path, &text, &size));
    status = ts_tokenizer_open_memory(&tokenizer, runtime, text, size);
    ts_release(runtime, text);
    if (status != TS_OK)
        return ts_fail_context(status, from->path);
    ts_tokenizer *marked = NULL;
    status = ts_tokenizer_with_marks(&marked, tokenizer, s.begin_of_text, s.end_of_text);
    ts_tokenizer_free(tokenizer);
    if (status == TS_OK)
        status = rebuild(out, runtime, file, &s, marked, from);
    ts_tokenizer_free(marked);
    return status;
}

static ts_status resume_path(ts_trainer **out, ts_runtime *runtime, const origin *from)
{
    ts_source source;
    ts_safetensors *file;
    TS_TRY(ts_source_open(&source, runtime, from->path, false));
    ts_status status = ts_safetensors_open(&file, &source);
    if (status == TS_OK) {
        status = resume_file(out, runtime, file, from);
        ts_safetensors_close(file);
    }
    ts_source_close(&source);
    return status;
}

/* Of a folder its newest whole checkpoint. */
static ts_status resume_from(ts_trainer **out, ts_runtime *runtime, const char *path, const ts_trainer_options *given, int *lock)
{
    origin from = {path, given, false, lock};
    char *chosen = NULL, *newest = given->run_directory ? ts_path_join(runtime, given->run_directory, TS_CHECKPOINT_NAME) : NULL;
    ts_status status = given->run_directory != NULL && newest == NULL ? TS_ERROR_OUT_OF_MEMORY : TS_OK;
    if (status == TS_OK && ts_path_is_directory(path) && (status = ts_folder_newest(runtime, path, &chosen)) == TS_OK)
        from.path = chosen;
    from.newest = newest != NULL && strcmp(newest, from.path) == 0;
    if (status == TS_OK)
        status = resume_path(out, runtime, &from);
    ts_release(runtime, newest);
    ts_release(runtime, chosen);
    return status;
}

ts_status ts_trainer_resume(ts_trainer **out, ts_runtime *runtime, const char *path, const ts_trainer_options *options)
{
    ts_trainer_options given = {.struct_size = sizeof given};
    int lock = -1;
    if (out == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_resume: a pointer is NULL");
    TS_TRY(ts_options_read(&given, sizeof given, options, "ts_trainer_options"));
    if (!ts_path_exists(path))
        return ts_fail(TS_ERROR_IO, "%s: there is no such checkpoint or run folder", path);
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    if (given.run_directory == NULL && ts_path_is_directory(path))
        given.run_directory = path;
    ts_status status = given.run_directory != NULL && ts_is_first_rank(&given) ? ts_folder_lock(runtime, given.run_directory, true, &lock) : TS_OK;
    if (status == TS_OK)
        status = resume_from(out, runtime, path, &given, &lock);
    if (lock >= 0)
        ts_lock_release(runtime, lock);
    ts_runtime_release(runtime);
    return status;
}
