/* The models of a grid study: each is trained in a folder of its own, whose files say how far it is. */
#ifndef CLI_STUDY_H
#define CLI_STUDY_H

#include "cli.h"

/* A validation on the way. */
typedef struct study_point {
    double tokens, bits_per_byte;
} study_point;

typedef struct study_model {
    char name[64]; /* of its folder: "width64-depth2-heads4" */
    char folder[4096];
    ts_architecture shape;
    uint64_t parameters, inner; /* inner: without the token embedding and the output matrix */
    bool finished;
    uint64_t steps, tokens;
    double seconds, nats_per_token, valid_nats_per_token, bits_per_byte;
    study_point *points; /* to be freed */
    size_t point_count;
    ts_evaluation grades; /* records 0: there are none */
} study_model;

/* What a study was made with, in lines "name value"; another command line for the same folder must say the same. */
ts_status study_check_settings(const char *folder, const char *settings);

/* What tells texts apart: their bytes and a hash of the beginning and the end of each, "12345 bytes, 0123456789abcdef"; "held out" without any. */
ts_status study_fingerprint(char *fingerprint, size_t capacity, const cli_paths *paths);

/* Makes the folder and those above it. */
ts_status study_make_folder(const char *folder);

/* Joins folder and name; `capacity` of the path. */
ts_status study_path(char *path, size_t capacity, const char *folder, const char *name);

/* What the model's folder says of it; `finished` stays false if it is not trained to its end. */
ts_status study_read_model(study_model *model);

/* Trains the model to its end, from its checkpoint if there is one, and keeps what came of it in its folder. `title` begins the lines of progress. */
ts_status study_train_model(study_model *model, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_trainer_options *options, cli_progress *progress,
                            const char *title);

#endif
