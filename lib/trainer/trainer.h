/* The inside of a trainer, private to this room. */
#ifndef TS_TRAINER_H
#define TS_TRAINER_H

#include "format/format.h"
#include "model/model.h"
#include "tinystories/trainer.h"

/* ---- batches.c: the tokens, and which of them a step sees ---- */

/* A held-out story. */
typedef struct ts_held_story {
    size_t begin, count; /* in ts_batches.held; no ends of text */
    uint64_t bytes;
} ts_held_story;

/*
 * All tokens in memory. An epoch is a permutation of windows of T + 1 tokens that overlap by one, behind an offset that changes with the epoch; or, packed by
 * stories, such windows of a permutation of the stories, in order. Everything is a function of (seed, number of the sequence), so that a run can be resumed from
 * its step alone.
 */
typedef struct ts_batches {
    ts_runtime *runtime;
    size_t T;
    uint64_t seed;
    uint32_t width;   /* bytes of an id: 2 or 4 */
    void *ids;        /* one end of text first, and one after each story */
    size_t count, capacity;
    uint64_t stories, bytes;
    size_t windows;   /* of an epoch */
    uint32_t *held;   /* tokens of the held-out stories behind one another */
    size_t held_count, held_capacity;
    ts_held_story *held_stories;
    size_t held_story_count, held_story_capacity;
    uint64_t hash;    /* of all tokens */
    bool by_stories;
    uint64_t *begins; /* by stories alone: of each story its end of text before it, and the end of all */
    size_t begin_count, begin_capacity;
    uint64_t epoch;   /* that `shuffled` and `places` are of; UINT64_MAX: none yet */
    uint32_t *shuffled; /* the stories in the epoch's order */
    uint64_t *places; /* where each of them begins there, and where the last ends */
} ts_batches;

ts_status ts_batches_make(ts_batches *batches, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_trainer_options *options, size_t T);
void ts_batches_free(ts_batches *batches);
/* Sequence `index` of the run: ids and targets, T each. */
void ts_batches_sequence(ts_batches *batches, uint64_t index, uint32_t *ids, uint32_t *targets);

/* ---- schedule.c ---- */

/* The learning rate at a point of the run, 0 (begin) to 1 (end and beyond). */
double ts_schedule_rate(const ts_trainer_options *options, double progress);
/* The peak for a width when the options leave it open: found on TinyStories for widths 64 to 512 with AdamW. */
double ts_schedule_peak(size_t width);

#define TS_SLICE_LEVELS 8 /* up to 256 slices */

/* ---- the handle ---- */

enum { TS_LOG_JSONL, TS_LOG_CSV, TS_LOGS };

/* A part of the gradient that is finished at once: some layers', or what belongs to none. */
typedef struct ts_stretch {
    size_t begin, end;
    size_t layer;        /* the last one of it to be finished; SIZE_MAX: of no layer */
    size_t from[TS_SLICE_LEVELS + 1], to[TS_SLICE_LEVELS + 1]; /* what this rank adds up after so many exchanges */
    size_t stage;        /* exchanges done: one a level down to the smallest part, and one a level back to all */
    bool flying;         /* one has been started */
    size_t received;     /* where its halves of other ranks lie */
} ts_stretch;

/* What changes with the steps and is saved. */
typedef struct ts_trainer_progress_state {
    uint64_t step, tokens, skipped, skipped_in_a_row;
    uint64_t log_bytes;  /* of the log that belong to these steps */
    uint64_t csv_bytes;  /* of the other one */
    double seconds;
    double loss, gradient_norm, learning_rate;
    double valid_nats_per_token, valid_bits_per_byte;
    double best_bits_per_byte; /* of all validations */
    uint64_t loss_count;       /* of the losses behind the two numbers, those of skipped steps left out */
    double loss_mean, loss_variance;
    uint64_t valid_step;       /* of the run's last validation that was not stopped */
} ts_trainer_progress_state;

typedef struct ts_muon ts_muon;

struct ts_trainer {
    ts_runtime *runtime;
    ts_busy busy;
    const ts_tokenizer *tokenizer;
    const ts_kernels *kernels;
    ts_trainer_options options;  /* everything chosen, paths cleared */
    ts_architecture architecture;
    ts_shape shape;
    ts_parameter *table;
    size_t table_count, total;
    float *parameters, *gradients, *first, *second; /* `total` each: weights, their gradients, AdamW's moments */
    float *averaged;             /* the moving average of the weights; NULL: none */
    ts_weights weights, gradient_weights;
    ts_network *network;
    ts_batches batches;
    uint32_t *ids, *targets;     /* (micro batch, T) */
    size_t micro, accumulation;  /* sequences at once; micro batches of a slice */
    size_t slices, rank, ranks;
    ts_communicator communicator;
    float *partial[TS_SLICE_LEVELS]; /* gradients that wait to be added */
    ts_weights partial_weights[TS_SLICE_LEVELS];
    size_t partial_count;
    ts_stretch stretches[TS_COMMUNICATOR_SLOTS]; /* of the gradient, in the order in which they are finished */
    size_t stretch_count;
    ts_status exchanged;         /* the first failure of a step's exchanges */
    uint64_t exchange_bytes;
    double exchange_seconds;
    float *received;             /* halves of other ranks' stretches */
    ts_muon *muon;               /* NULL: AdamW for all */
    double *squares;             /* of pieces of the gradient */
    ts_trainer_progress_state state;
    double recent_seconds;       /* of the last steps, and their tokens */
    double recent_tokens;
    char *run_directory;         /* NULL: none */
    uint64_t saved_step;         /* of the folder's newest checkpoint when this run goes on from it, or TS_NO_STEP */
    int lock, logs[TS_LOGS];     /* files, -1: none */
};

/* Makes everything that follows from architecture, options and data; parameters are zero. The trainer frees itself on failure. */
ts_status ts_trainer_make(ts_trainer **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture,
                          const ts_trainer_options *options);
/* How far the run is, 0 to 1, by the stopping rule that is furthest along; `seconds` of training so far. */
double ts_trainer_fraction(const ts_trainer *trainer, uint64_t step);
void ts_trainer_fill_report(const ts_trainer *trainer, ts_trainer_report *report);
/* Calls a run's progress on this thread, which may use the trainer meanwhile as the header says. */
int32_t ts_trainer_ask(ts_trainer *trainer, ts_trainer_progress progress, void *user, const ts_trainer_report *report);
/* Like the public ones, for callers that have the trainer already. */
ts_status ts_trainer_step_within(ts_trainer *trainer);
/* `between` (may be NULL) is called after each story and may end it. */
ts_status ts_trainer_validate_within(ts_trainer *trainer, ts_score *score, ts_status (*between)(void *user), void *user);

/* Rounds a batch up to whole micro batches and slices of sequences of T tokens; what is 0 is chosen. */
void ts_batch_choose(ts_trainer_options *options, size_t T);

/* ---- settings.c ---- */

/* Everything of a run besides its arrays. */
typedef struct ts_settings {
    ts_trainer_options options;
    ts_architecture architecture;
    ts_trainer_progress_state state;
    int32_t cpu_level;
    uint64_t data_hash;
    uint64_t tokenizer;                  /* its fingerprint */
    uint32_t end_of_text, begin_of_text; /* that the model's file named: a tokenizer.json holds none */
} ts_settings;

ts_settings ts_settings_of(const ts_trainer *trainer);
ts_status ts_settings_write(ts_bytes *text, const ts_settings *settings);
/* NULL, or the field that is damaged. */
const char *ts_settings_read(ts_settings *settings, const char *text, size_t size);
/* Of what never changes in a run: two runs with the same one learn the same at one CPU level and precision, if they end alike. */
uint64_t ts_settings_hash(const ts_settings *settings);
/* MISMATCH names the first field that is not the same. */
ts_status ts_settings_same(const ts_settings *mine, const ts_settings *theirs);
/* The options of a run that goes on: the kept ones with what may change; MISMATCH names one that may not. */
ts_status ts_settings_merge(ts_trainer_options *merged, const ts_settings *kept, const ts_trainer_options *options, const char *path);
/* Tells the log when a run goes on with another arithmetic. */
void ts_settings_warn(ts_runtime *runtime, const ts_settings *kept, const ts_trainer_options *merged, const char *path);

/* ---- checkpoint.c ---- */

/* DIVERGED: the present weights give the next batch a loss or gradient that is not finite, or a loss above `most_loss`;
 * when that is finite, a gradient of 0 too, which is that of destroyed weights. Changes the gradients alone. */
ts_status ts_trainer_prove(ts_trainer *trainer, double most_loss);
/* Writes a checkpoint of weights that were proved. `keeps`: path is the run folder's newest one, which becomes an older one. */
ts_status ts_trainer_write(ts_trainer *trainer, const char *path, bool keeps);
/* Whether a file is a whole checkpoint: reads every byte and compares every checksum. `scratch` (may be NULL) is memory that may be used. */
ts_status ts_checkpoint_check(ts_runtime *runtime, const char *path, void *scratch, size_t scratch_size);

/* ---- ranks.c: what ranks say to one another ---- */

/* Reads options.communicator; without one there is one rank. */
ts_status ts_ranks_read(ts_communicator *ranks, const ts_trainer_options *options);
/* Whether this is the rank that has the run folder, or the only one. */
bool ts_is_first_rank(const ts_trainer_options *options);
/* The first rank's failure becomes that of all: a call that ranks make together. */
ts_status ts_ranks_together(const ts_communicator *ranks, ts_status status);
/* Whether all could make a trainer, and all the same. `trainer` is NULL where it could not be made, which `status` is then of. */
ts_status ts_ranks_settle(const ts_communicator *ranks, ts_trainer *trainer, ts_status status);
/* What rank 0 has becomes everybody's. */
ts_status ts_ranks_agree(const ts_trainer *trainer, void *data, size_t size);
/* Adds `count` numbers of all ranks, of each of which one rank alone has another than 0. `theirs` is as much memory. */
ts_status ts_ranks_gather(const ts_trainer *trainer, double *numbers, double *theirs, size_t count);
/* Divides the gradient into stretches; begins to add a finished one over the ranks, and goes on with those before it; waits for all of a step, and adds the losses. */
void ts_stretches_make(ts_trainer *trainer);
void ts_stretch_begin(ts_trainer *trainer, ts_stretch *stretch);
ts_status ts_stretches_end(ts_trainer *trainer, double *loss);

bool ts_power_of_two(size_t count);
/* into[i] += from[i] */
void ts_gradient_add(ts_runtime *runtime, float *into, const float *from, size_t count);

/* ---- slices.c: the gradient of a batch, over any number of ranks ---- */

ts_status ts_slices_check(ts_trainer *trainer);
ts_status ts_slices_make(ts_trainer *trainer);
void ts_slices_free(ts_trainer *trainer);
/* The gradient of the mean loss over the whole batch, the same on every rank, and that loss. */
ts_status ts_slices_gradient(ts_trainer *trainer, double *loss);
/* The mean loss of the first micro batch of the next step on this rank; its gradient takes the place of the last step's. */
double ts_slices_probe(ts_trainer *trainer);

/* ---- optimizer.c ---- */

/* The global norm of the gradient, summed in fixed pieces. */
double ts_gradient_norm(const ts_trainer *trainer);
/* One step of the options' optimizer; `clip` multiplies the gradient. */
void ts_optimizer_step(ts_trainer *trainer, double clip, double rate);
/* The weights that a model of the run has: averaged or not. */
const float *ts_trainer_weights(const ts_trainer *trainer);

/* ---- muon.c ---- */

/* Whether Muon takes this parameter: the matrices within layers. AdamW takes the rest. */
bool ts_muon_takes(const ts_parameter *parameter);
ts_status ts_muon_make(ts_muon **out, ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_parameter *table, size_t table_count, bool bf16);
void ts_muon_free(ts_muon *muon);
void ts_muon_step(ts_muon *muon, float *parameters, float *momentum, const float *gradients, double clip, double rate, double beta, double decay);

/* ---- folder.c: run folders and their logs ---- */

#define TS_CHECKPOINT_NAME "checkpoint.safetensors"
#define TS_BEST_NAME "best.gguf"
#define TS_NO_STEP UINT64_MAX

/* Joins folder and name; release with ts_release. NULL: no memory. */
char *ts_path_join(ts_runtime *runtime, const char *folder, const char *name);
/* Takes the lock of a folder (making that), which is to be released. A new run's folder must hold no checkpoint. */
ts_status ts_folder_lock(ts_runtime *runtime, const char *folder, bool resumed, int *lock);
/* Gives the trainer a folder whose lock it has taken (*lock becomes -1), sweeps it and opens the logs, cut to the state's bytes of them or, if
 * lines are missing, to less, which the state then says. */
ts_status ts_trainer_take_folder(ts_trainer *trainer, const char *folder, int *lock);
void ts_trainer_leave_folder(ts_trainer *trainer);
/* Adds an event to the logs: "step", "valid", "skip", "diverged" or "end". A log that cannot be written is reported once and done without. */
void ts_trainer_note(ts_trainer *trainer, const char *event);
void ts_trainer_note_story(ts_trainer *trainer, const char *text, size_t size);
/* The lines that a checkpoint is going to count on are on the disk after this, or the log is done without. */
void ts_trainer_sync_logs(ts_trainer *trainer);

/* ---- keeping.c: which checkpoints a run folder keeps ---- */

/* Whether there are older ones; and the path of one, release with ts_release. NULL: no memory. */
bool ts_folder_has_older(ts_runtime *runtime, const char *folder);
char *ts_older_path(ts_runtime *runtime, const char *folder, uint64_t step);
/* Writes the folder's newest checkpoint, as ts_trainer_write does, and removes those that are not to be kept any more. */
ts_status ts_folder_save(ts_trainer *trainer);
/* Before a new file takes the newest checkpoint's name, that becomes an older one; `undo`: it gets its name back, if nothing has it. */
ts_status ts_folder_demote(ts_trainer *trainer, const char *path);
void ts_folder_undo(ts_trainer *trainer, const char *path);
/* The path of the newest whole checkpoint; release it. Another one than TS_CHECKPOINT_NAME is told as a warning. */
ts_status ts_folder_newest(ts_runtime *runtime, const char *folder, char **path);

#endif
