/*
 * Checkpoints: one safetensors file that a run can go on from alone. Tensors: the parameters by their names, "adamw.m.<name>" and "adamw.v.<name>",
 * "average.<name>" where there is an average; as bytes "trainer.state" (lines of "field value", the value's bits in hexadecimal) and "tokenizer.json". Every
 * tensor and the header carry a CRC32.
 */
#include <math.h>
#include <stdio.h>

#include "trainer/trainer.h"

#define KIND "tinystories checkpoint"
#define VERSION "3"
#define STATE_NAME "trainer.state"
#define TOKENIZER_NAME "tokenizer.json"

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
    char configuration[17]; /* the settings' hash */
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
    const ts_safetensors_pair pairs[] = {{"format", KIND}, {"version", VERSION}, {"configuration", list->configuration}};
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
    const ts_settings s = ts_settings_of(t);
    ts_bytes state = {.runtime = t->runtime}, tokenizer = {.runtime = t->runtime};
    size_t count = array_count(t) * t->table_count + 2;
    listing list = {ts_allocate_array(t->runtime, count, sizeof *list.entries), ts_allocate_array(t->runtime, count, sizeof *list.names),
                    ts_allocate_array(t->runtime, count, sizeof *list.shapes), ""};
    ts_status status = list.entries && list.names && list.shapes ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK)
        status = ts_settings_write(&state, &s);
    if (status == TS_OK)
        status = ts_tokenizer_to_json(t->tokenizer, &tokenizer);
    if (status == TS_OK) {
        list_arrays(t, &list);
        snprintf(list.configuration, sizeof list.configuration, "%016llx", (unsigned long long)ts_settings_hash(&s));
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

/* Where a run goes on from. */
typedef struct origin {
    const char *path;
    const ts_trainer_options *given;
    bool newest; /* the path is that of the run folder's newest checkpoint */
    int *lock;   /* of the run folder, -1: none or another rank's */
} origin;

static ts_status rebuild(ts_trainer **out, ts_runtime *runtime, ts_safetensors *file, const ts_settings *s, const ts_tokenizer *tokenizer, const origin *from)
{
    ts_architecture architecture = s->architecture;
    ts_trainer_options options;
    ts_trainer *t;
    architecture.struct_size = sizeof architecture;
    TS_TRY(ts_architecture_complete(&architecture));
    TS_TRY(ts_settings_merge(&options, s, from->given, from->path));
    ts_settings_warn(runtime, s, &options, from->path);
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

static ts_status check_configuration(const ts_safetensors *file, const ts_settings *s, const char *name)
{
    char expected[17];
    const char *configuration = ts_safetensors_metadata(file, "configuration");
    snprintf(expected, sizeof expected, "%016llx", (unsigned long long)ts_settings_hash(s));
    if (configuration == NULL || strcmp(configuration, expected) != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: its configuration is %.20s, but that of its settings is %s", name, configuration ? configuration : "missing", expected);
    return TS_OK;
}

static ts_status resume_file(ts_trainer **out, ts_runtime *runtime, ts_safetensors *file, const origin *from)
{
    ts_settings s = {0};
    char *text;
    size_t size;
    ts_tokenizer *tokenizer;
    TS_TRY(check_kind(file, from->path));
    TS_TRY(read_text(runtime, file, STATE_NAME, from->path, &text, &size));
    const char *damaged = ts_settings_read(&s, text, size);
    ts_release(runtime, text);
    if (damaged != NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: %s is damaged at %s", from->path, STATE_NAME, damaged);
    TS_TRY(check_configuration(file, &s, from->path));
    TS_TRY(read_text(runtime, file, TOKENIZER_NAME, from->path, &text, &size));
    ts_status status = ts_tokenizer_open_memory(&tokenizer, runtime, text, size);
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

static ts_status resume_locked(ts_trainer **out, ts_runtime *runtime, const char *path, ts_trainer_options *given)
{
    int lock = -1;
    if (!ts_path_exists(path))
        return ts_fail(TS_ERROR_IO, "%s: there is no such checkpoint or run folder", path);
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    if (given->run_directory == NULL && ts_path_is_directory(path))
        given->run_directory = path;
    ts_status status = given->run_directory != NULL && ts_is_first_rank(given) ? ts_folder_lock(runtime, given->run_directory, true, &lock) : TS_OK;
    if (status == TS_OK)
        status = resume_from(out, runtime, path, given, &lock);
    if (lock >= 0)
        ts_lock_release(runtime, lock);
    ts_runtime_release(runtime);
    return status;
}

ts_status ts_trainer_resume(ts_trainer **out, ts_runtime *runtime, const char *path, const ts_trainer_options *options)
{
    ts_trainer_options given = {.struct_size = sizeof given};
    ts_communicator ranks;
    ts_trainer *t = NULL;
    if (out == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_resume: a pointer is NULL");
    TS_TRY(ts_options_read(&given, sizeof given, options, "ts_trainer_options"));
    TS_TRY(ts_ranks_read(&ranks, &given));
    ts_status status = resume_locked(&t, runtime, path, &given);
    status = ts_ranks_settle(&ranks, t, status);
    if (status == TS_OK)
        *out = t;
    else
        ts_trainer_free(t);
    return status;
}
