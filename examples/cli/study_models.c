/* The models of a grid study: trained, stopped, gone on with, and read again. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "study.h"

enum { PIECE = 65536 };

static const char result_name[] = "result.txt", points_name[] = "points.txt", settings_name[] = "settings.txt";

/* ---- files ---- */

ts_status study_path(char *path, size_t capacity, const char *folder, const char *name)
{
    int size = snprintf(path, capacity, "%s/%s", folder, name);
    return size > 0 && (size_t)size < capacity ? TS_OK : cli_fail("the path %.200s/%s is too long", folder, name);
}

ts_status study_make_folder(const char *folder)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s", folder) >= (int)sizeof path)
        return cli_fail("the path %.200s is too long", folder);
    for (char *at = path + 1;; at++) {
        char kept = *at;
        if (kept != '/' && kept != 0)
            continue;
        *at = 0;
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return cli_fail("the folder '%s' cannot be made: %s", path, strerror(errno));
        *at = kept;
        if (kept == 0)
            return TS_OK;
    }
}

/* Replaces a small file as a whole, so that a study that is killed leaves the old one or the new one. */
static ts_status write_whole(const char *path, const char *text)
{
    cli_file file;
    CLI_TRY(cli_file_open(&file, path));
    fputs(text, file.stream);
    return cli_file_close(&file, TS_OK);
}

ts_status study_check_settings(const char *folder, const char *settings)
{
    char path[4096], mine[256], theirs[256];
    CLI_TRY(study_path(path, sizeof path, folder, settings_name));
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return write_whole(path, settings);
    ts_status status = TS_OK;
    for (const char *line = settings; *line && status == TS_OK; line += strcspn(line, "\n") + 1) {
        snprintf(mine, sizeof mine, "%.*s", (int)strcspn(line, "\n"), line);
        if (fgets(theirs, sizeof theirs, file) == NULL)
            theirs[0] = 0;
        theirs[strcspn(theirs, "\n")] = 0;
        if (strcmp(mine, theirs) != 0)
            status = cli_fail("%s has a study with '%s', but this command says '%s': expected the same, or another folder", folder, theirs, mine);
    }
    fclose(file);
    return status;
}

/* FNV-1a, which Python computes as well (bindings/python/tinystories/study.py). */
static uint64_t hash_bytes(const unsigned char *bytes, size_t size, uint64_t hash)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

ts_status study_fingerprint(char *fingerprint, size_t capacity, const cli_paths *paths)
{
    static unsigned char piece[PIECE];
    uint64_t hash = UINT64_C(14695981039346656037);
    unsigned long long bytes = 0;
    for (size_t i = 0; i < paths->count; i++) {
        struct stat about;
        FILE *file = fopen(paths->items[i], "rb");
        if (file == NULL || fstat(fileno(file), &about) != 0) {
            if (file != NULL)
                fclose(file);
            return cli_fail("%s: cannot be read: %s", paths->items[i], strerror(errno));
        }
        hash = hash_bytes(piece, fread(piece, 1, PIECE, file), hash);
        if (about.st_size > PIECE && fseeko(file, about.st_size - PIECE, SEEK_SET) == 0)
            hash = hash_bytes(piece, fread(piece, 1, PIECE, file), hash);
        bytes += (unsigned long long)about.st_size;
        fclose(file);
    }
    snprintf(fingerprint, capacity, "%llu bytes, %016llx", bytes, (unsigned long long)hash);
    if (paths->count == 0)
        snprintf(fingerprint, capacity, "held out");
    return TS_OK;
}

/* ---- what a folder says ---- */

/* Validations of a step that was made again after a kill stand there twice: the last one counts. */
static ts_status read_points(study_model *model)
{
    char path[4096], line[128], more_of_it;
    study_point point;
    ts_status status = TS_OK;
    CLI_TRY(study_path(path, sizeof path, model->folder, points_name));
    FILE *file = fopen(path, "r");
    free(model->points);
    model->points = NULL;
    model->point_count = 0;
    for (size_t number = 1; file != NULL && fgets(line, sizeof line, file) != NULL; number++) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%lf %lf %c", &point.tokens, &point.bits_per_byte, &more_of_it) != 2) {
            status = cli_fail("%s: line %zu is '%s', expected tokens and bits per byte", path, number, line);
            break;
        }
        while (model->point_count > 0 && model->points[model->point_count - 1].tokens >= point.tokens)
            model->point_count--;
        study_point *more = realloc(model->points, (model->point_count + 1) * sizeof *more);
        if (more == NULL) {
            status = cli_fail("there is no memory");
            break;
        }
        model->points = more;
        model->points[model->point_count++] = point;
    }
    if (file != NULL)
        fclose(file);
    return status;
}

ts_status study_read_model(study_model *m)
{
    char path[4096];
    unsigned long long parameters, steps, tokens;
    m->finished = false;
    CLI_TRY(study_path(path, sizeof path, m->folder, result_name));
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return TS_OK;
    int count = fscanf(file, "parameters %llu steps %llu tokens %llu seconds %lf nats_per_token %lf valid_nats_per_token %lf valid_bits_per_byte %lf", &parameters, &steps,
                       &tokens, &m->seconds, &m->nats_per_token, &m->valid_nats_per_token, &m->bits_per_byte);
    fclose(file);
    if (count != 7 || parameters != m->parameters)
        return cli_fail("%s is no result of a model of %llu parameters", path, (unsigned long long)m->parameters);
    m->steps = steps;
    m->tokens = tokens;
    m->finished = true;
    return read_points(m);
}

static ts_status write_result(study_model *m, const ts_trainer_report *r)
{
    char path[4096], text[1024];
    snprintf(text, sizeof text,
             "parameters %llu\nsteps %llu\ntokens %llu\nseconds %.17g\nnats_per_token %.17g\nvalid_nats_per_token %.17g\nvalid_bits_per_byte %.17g\n",
             (unsigned long long)m->parameters, (unsigned long long)r->step, (unsigned long long)r->tokens, r->seconds, r->loss, r->valid_nats_per_token,
             r->valid_bits_per_byte);
    CLI_TRY(study_path(path, sizeof path, m->folder, result_name));
    return write_whole(path, text);
}

/* ---- training ---- */

typedef struct watching {
    cli_progress *progress;
    const char *title;
    FILE *points;
    double bits_per_byte; /* of the last validation */
} watching;

static int32_t watch(void *user, const ts_trainer_report *r)
{
    watching *w = user;
    char left[64] = "", duration[40];
    if (r->due && isfinite(r->valid_bits_per_byte) && r->valid_bits_per_byte != w->bits_per_byte) {
        w->bits_per_byte = r->valid_bits_per_byte;
        fprintf(w->points, "%llu %.17g\n", (unsigned long long)r->tokens, r->valid_bits_per_byte);
        fflush(w->points);
    }
    if (!cli_progress_due(w->progress))
        return cli_interrupted();
    if (isfinite(r->remaining_seconds))
        snprintf(left, sizeof left, ", %s left", cli_duration(r->remaining_seconds, duration, sizeof duration));
    cli_progress_line(w->progress, "%s: step %llu: %.3f nats/token, %.0f tokens/s%s", w->title, (unsigned long long)r->step, r->loss, r->tokens_per_second, left);
    return cli_interrupted();
}

static ts_status make_trainer(ts_trainer **out, const study_model *m, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_trainer_options *options)
{
    ts_trainer_options own = *options;
    own.run_directory = m->folder;
    return cli_has_checkpoint(m->folder) ? ts_trainer_resume(out, runtime, m->folder, &own) : ts_trainer_new(out, runtime, tokenizer, &m->shape, &own);
}

/* The model's file is there before its result, which says that it is finished. */
static ts_status keep(study_model *m, ts_trainer *trainer)
{
    char path[4096];
    ts_model *model = NULL;
    ts_trainer_report report = {.struct_size = sizeof report};
    CLI_TRY(study_path(path, sizeof path, m->folder, "model.gguf"));
    CLI_TRY(ts_trainer_state(trainer, &report));
    if (!isfinite(report.valid_bits_per_byte))
        return cli_fail("%s was not validated: the text is too short to hold a share of it out, expected --valid TEXT", m->name);
    CLI_TRY(ts_trainer_snapshot(trainer, &model));
    ts_status status = ts_model_save(model, path);
    ts_model_free(model);
    CLI_TRY(status);
    CLI_TRY(write_result(m, &report));
    return study_read_model(m);
}

ts_status study_train_model(study_model *m, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_trainer_options *options, cli_progress *progress,
                            const char *title)
{
    char path[4096];
    ts_trainer *trainer = NULL;
    watching w = {.progress = progress, .title = title, .bits_per_byte = NAN};
    CLI_TRY(study_make_folder(m->folder));
    CLI_TRY(study_path(path, sizeof path, m->folder, points_name));
    CLI_TRY(make_trainer(&trainer, m, runtime, tokenizer, options));
    ts_trainer_report before = {.struct_size = sizeof before};
    if (ts_trainer_state(trainer, &before) == TS_OK)
        w.bits_per_byte = before.valid_bits_per_byte; /* the checkpoint's, which was noted */
    w.points = fopen(path, "a");
    ts_status status = w.points != NULL ? ts_trainer_run(trainer, watch, &w) : cli_fail("%s cannot be written: %s", path, strerror(errno));
    cli_progress_end(progress);
    if (w.points != NULL && fclose(w.points) != 0 && status == TS_OK)
        status = cli_fail("%s cannot be written", path);
    if (status == TS_OK)
        status = keep(m, trainer);
    ts_trainer_free(trainer);
    return status;
}
