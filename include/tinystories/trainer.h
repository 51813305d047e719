/*
 * Trainers: make a model from text.
 *
 * A trainer belongs to one thread at a time. ts_trainer_step is the primitive, ts_trainer_run a loop around it with validation, checkpoints and a log.
 * A run may live in a folder: `checkpoint.safetensors` (everything that a run needs to go on: weights, optimizer, data position, tokenizer),
 * `checkpoint-<step>.safetensors` (older ones), `log.jsonl` (a line an event: step, valid, story, skip, diverged, end), `log.csv` where it is asked for, `lock`.
 * A run that was stopped and resumed gives the same bits as one that was not, when it ends by steps, tokens or epochs; a run by time depends on the clock.
 */
#ifndef TINYSTORIES_TRAINER_H
#define TINYSTORIES_TRAINER_H

#include "tinystories/base.h"
#include "tinystories/model.h"
#include "tinystories/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_trainer ts_trainer;

enum {
    TS_SCHEDULE_COSINE = 0,   /* half a cosine from the peak to the final share */
    TS_SCHEDULE_LINEAR = 1,
    TS_SCHEDULE_CONSTANT = 2, /* as TinyStories-33M was trained */
    TS_SCHEDULE_WSD = 3       /* warm-up, stable, decay: constant, then over the last options.decay of it 1 - sqrt (Haegele et al. 2024) */
};

enum {
    TS_OPTIMIZER_ADAMW = 0, /* decoupled weight decay on matrices alone (Loshchilov & Hutter 2019) */
    TS_OPTIMIZER_MUON = 1   /* Muon (Jordan et al. 2024) for the matrices within layers, AdamW for embeddings, head, norms and biases */
};

enum {
    TS_PRECISION_AUTO = 0, /* BF16 at the CPU levels AVX-512 BF16 and AMX, where it is faster; else F32 */
    TS_PRECISION_F32 = 1,
    TS_PRECISION_BF16 = 2  /* the factors of matrix products are rounded to bf16; sums, weights, moments and everything else stay f32. CPU level AVX-512 BF16 or AMX */
};

enum {
    TS_PACKING_STREAM = 0, /* windows of the text as it stands; a position sees all of its window before it */
    TS_PACKING_STORIES = 1 /* the stories in another order each epoch; a position sees its own story alone, whose positions count from its beginning */
};

/* Sends to `partner` and receives from it, which does the same with the sizes turned; returns when both are done. */
typedef int32_t (*ts_exchange)(void *user, int32_t partner, const void *send, size_t send_size, void *receive, size_t receive_size);

/* Gives every rank the bytes that rank 0 has. */
typedef int32_t (*ts_broadcast)(void *user, void *data, size_t size);

enum { TS_COMMUNICATOR_SLOTS = 16 };

/* Begins such an exchange, by the name of a slot (0 to TS_COMMUNICATOR_SLOTS - 1) that both partners use for it and that is free until it was waited for; does not wait
 * for the partner. The memory stays where it is until then. */
typedef int32_t (*ts_exchange_start)(void *user, int32_t slot, int32_t partner, const void *send, size_t send_size, void *receive, size_t receive_size);

/* Returns when the exchange of a slot is done. */
typedef int32_t (*ts_exchange_wait)(void *user, int32_t slot);

/*
 * How the ranks of one training speak: all of them make a trainer of the same data and options, and call the same functions in the same order. The trainer
 * calls these from the thread that steps; each returns 0, or anything else for a failure, which ends the training with NETWORK, and no function is called any more.
 * When trainers are made, each rank compares its options, data, weights and CPU level with rank 0's: where one differs, or cannot make its trainer, none is made,
 * and the detail of each names that rank. Rank 0 alone has the run folder, the log and the checkpoints; its callback alone can stop the run. libtinystories-mpi
 * fills one from MPI.
 */
typedef struct ts_communicator {
    size_t struct_size;
    void *user;
    int32_t rank;
    int32_t size; /* a power of two */
    ts_exchange exchange;
    ts_broadcast broadcast;
    ts_exchange_start start; /* with `wait`: layers' gradients are added over the ranks while those below are still worked out; both NULL: behind one another */
    ts_exchange_wait wait;
} ts_communicator;

typedef struct ts_trainer_options {
    size_t struct_size;
    /* data: files of stories (.txt, .jsonl, each also .gz) or token shards (.bin) made with the same tokenizer */
    const char *const *text;
    size_t text_count;
    const char *const *valid; /* NULL: every `1 / valid_share`-th story of the text is held out */
    size_t valid_count;
    const char *run_directory; /* made if missing; NULL: no checkpoint, no log */
    uint64_t seed;
    /* stop at whichever comes first; all 0: one epoch */
    uint64_t max_steps;
    uint64_t max_tokens;
    double max_epochs;         /* 0 to 1e9, parts of one too */
    double max_seconds;        /* 0 to 1e9; of training steps, and validation and checkpoints between them */
    double valid_share;        /* of the stories, for valid = NULL: 0 to 0.5; default 0.02, 0: no validation */
    /* optimizer; betas and epsilon are AdamW's */
    double learning_rate;      /* at the peak, up to 1e6; 0 (the default): chosen by width */
    double final_rate;         /* share of the peak that is left at the end: 0 to 1; default 0.05 */
    double warmup;             /* share of the run: 0 to 1; default 0.03 */
    double beta1;              /* 0 to 0.999999; default 0.9 */
    double beta2;              /* 0 to 0.999999; default 0.95 */
    double epsilon;            /* 0 to 1; default 1e-8 */
    double weight_decay;       /* 0 to 100; default 0.1 */
    double clip;               /* largest global norm of the gradient, up to 1e9; 0: none; default 1 */
    uint32_t schedule;         /* TS_SCHEDULE_ */
    uint32_t batch_tokens;     /* tokens a step over all sequences, up to 2^30; rounded up to whole micro batches; 0 (the default): 8 sequences */
    uint32_t micro_batch;      /* sequences in memory at once, up to 65,536; 0 (the default): 8, or what batch_tokens asks if that is less. Smaller ones take less memory */
    uint32_t valid_interval;   /* steps between validations in ts_trainer_run, which also has one at the end; 0 (the default): chosen, 100 or so many that fifty times
                                  the held-out tokens are trained on between two */
    uint32_t checkpoint_interval; /* steps between checkpoints in ts_trainer_run; 0 (the default): at the end, and every 60 seconds */
    uint32_t log_interval;     /* steps between lines of the log and reports that are due: at least 1; default 10 */
    uint32_t precision;        /* TS_PRECISION_; a resumed run keeps its own unless another than AUTO is asked for. UNSUPPORTED: BF16 on a processor without it */
    uint32_t optimizer;        /* TS_OPTIMIZER_; default MUON, which reaches a loss in less than half of AdamW's steps */
    const ts_model *initial;   /* ts_trainer_new begins with this model's weights (fine-tuning), borrowed for the call; NULL (the default): random ones by the seed */
    uint32_t keep_best;        /* 1: best.gguf in the run folder is the model of the lowest validation so far; default 0 */
    uint32_t slices;           /* a power of two up to 256 of parts that a batch has (batch_tokens is rounded up to them), whose gradients are added pairwise: with as many
                                  ranks or fewer the same bits come of it; 0 (the default), 1: one. log2(slices / ranks) more gradients are in memory */
    const ts_communicator *communicator; /* of a training on several machines; NULL (the default): alone. What it points to must outlive the trainer */
    uint32_t packing;          /* TS_PACKING_; default STREAM. STORIES: the sequences of a micro batch lie behind one another full of text, and stories go on from one to
                                  the next; a story is cut after a context of tokens and where a micro batch ends, and what is left begins anew */
    uint32_t use_average;      /* 1 (the default): validations, the best model and snapshots are of the averaged weights where there are any; 0: of the trained ones */
    double average;            /* decay of an exponential moving average of the weights, 0 to 0.999999, kept beside them (4 bytes a weight more): after the n-th step
                                  d = min(average, (1 + n) / (10 + n)), average = d average + (1 - d) weights; 0 (the default): none. A skipped step leaves it */
    double spike;              /* a step whose loss is more than so many standard deviations above the mean of the losses before it is skipped, as one that is not finite
                                  is: 0 (the default): none, or up to 1e6; 6 is a usual choice. Skipped losses do not count among those before */
    uint32_t spike_window;     /* steps that mean and deviation are of, by weights that fall off: the last one counts 1 / spike_window; a run's first spike_window
                                  steps are never spikes. 2 to 1,000,000, default 128 */
    uint32_t one_batch;        /* 1: every step sees the run's first batch, whose loss must fall towards 0: a check of shape and rate (default 0) */
    double decay;              /* share of the run behind the warm-up in which WSD's rate falls, 0 to 1; default 0.2 */
    uint32_t recompute;        /* 1: activations are worked out twice instead of kept, to the same bits: a micro batch of N = micro_batch T tokens keeps
                                  4 N L (3 C + (C + 2 KV) + H + 4) bytes instead of 4 N L (5 C + (C + 2 KV) + U + F + H + 4), with C the width, KV that of all keys,
                                  H heads, F the width inside the MLP, U the outputs of its first product (2 F with a gate), L layers; default 0 */
    uint32_t max_skips;        /* steps in a row whose loss or gradient is not finite, or is a spike, that end a run with DIVERGED; 0 (the default): 5 */
    double muon_beta;          /* decay of Muon's momentum, 0 to 0.999999; default 0.95 (Jordan et al. 2024) */
    uint32_t keep_last;        /* checkpoints in the run folder, the newest and those before it, each written, read back and checked before an older one goes; 0 (the
                                  default): 2 */
    uint32_t keep_every;       /* a checkpoint is made at every multiple of so many steps, and these are never removed; 0 (the default): none */
    ts_progress progress;      /* of the making of a trainer: bytes of all files (compressed ones if they are) whose text was encoded; may be NULL */
    void *progress_user;
    uint32_t csv_log;          /* 1: log.csv in the run folder has the events of log.jsonl, but for stories, as a table whose first line names the columns; default 0 */
    uint32_t reserved;         /* 0 */
} ts_trainer_options;

TS_API ts_status ts_trainer_options_init(ts_trainer_options *options, size_t struct_size);

/*
 * Makes a trainer for a new model of this shape. Reads and encodes all of the text (2 or 4 bytes a token in memory); CANCELLED: by options.progress. When nothing
 * is held out though valid_share asks for it, because the stories are too few, the runtime's log gets a warning. MISMATCH: ranks differ; NETWORK: one is gone.
 * With options.initial, tokenizer and architecture may be NULL: the model's; its context length alone may be another, learned positions excepted.
 * INVALID_ARGUMENT names the option. DIVERGED: an initial model whose weights are not finite numbers. MISMATCH: a shard of another tokenizer, an initial model of another shape or tokenizer. LIMIT: the text
 * is shorter than one context. BUSY: another trainer has the run folder. A folder that already holds a checkpoint is refused with INVALID_ARGUMENT: resume it or choose another.
 */
TS_API ts_status ts_trainer_new(ts_trainer **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture,
                                const ts_trainer_options *options);

/*
 * Goes on from a checkpoint: `path` is a checkpoint file or a run folder, of which the newest whole checkpoint is taken: when that is not
 * checkpoint.safetensors (damaged, or lost), the runtime's log gets a warning. Tokenizer, shape and all settings come from it. Of the options the data
 * paths, the run folder and the communicator are used, and what may change: the stopping rules, the intervals, what is kept, max_skips, the precision and the
 * learning rate, another one of which is how a run that has DIVERGED is helped. An option at 0 or its default keeps the checkpoint's; another one that the
 * run does not have is refused with MISMATCH, which names it. The run folder is locked before anything is read (BUSY: another trainer has it).
 * The data must be the same (MISMATCH: other tokens than the checkpoint was trained on). FORMAT: damaged, the detail names the part. A CPU level or a
 * precision other than the checkpoint's gives other bits: the runtime's log gets a warning.
 */
TS_API ts_status ts_trainer_resume(ts_trainer **out, ts_runtime *runtime, const char *path, const ts_trainer_options *options);

TS_API void ts_trainer_free(ts_trainer *trainer);

typedef struct ts_trainer_report {
    size_t struct_size;
    uint64_t step;             /* steps done */
    uint64_t total_steps;      /* 0: not known, the run ends by time */
    uint64_t tokens;           /* tokens trained on so far */
    uint64_t skipped_steps;    /* steps whose loss or gradient was not finite, or whose loss was a spike: nothing was changed by them */
    double epoch;              /* passes over the text */
    double loss;               /* nats per token of the last step's batch */
    double bits_per_byte;      /* the same, by the mean bytes of a token in the text */
    double gradient_norm;      /* before clipping */
    double learning_rate;
    double valid_nats_per_token; /* of the last validation; NaN before the first */
    double valid_bits_per_byte;
    double tokens_per_second;  /* over the last steps */
    double seconds;            /* of training so far, all sessions of the run together */
    double remaining_seconds;  /* estimate; NaN before it is known */
    uint32_t due;              /* 1: a step of log_interval, one with a validation, or the end; what a person wants to see */
    uint32_t reserved;
    uint64_t valid_step;       /* of the last validation; 0 before the first */
    uint64_t exchange_bytes;   /* that this rank has sent to others for gradients since its trainer was made */
    double exchange_seconds;   /* that it has waited for them */
} ts_trainer_report;

/*
 * One step: forward, backward, clip, update. `report` may be NULL. A loss or gradient that is not finite, or is a spike by options.spike, changes nothing and is
 * counted; max_skips in a row: DIVERGED. After the run's end (ts_trainer_done) it still makes steps, at the schedule's final rate.
 */
TS_API ts_status ts_trainer_step(ts_trainer *trainer, ts_trainer_report *report);

/* 1 when a stopping rule has been reached; 1 for NULL. Like ts_trainer_state it only looks and never answers BUSY: not while another thread uses the trainer. */
TS_API int32_t ts_trainer_done(const ts_trainer *trainer);

typedef int32_t (*ts_trainer_progress)(void *user, const ts_trainer_report *report);

/*
 * Steps until the run's end, with validation, checkpoints and log. `progress` (may be NULL) is called after every step and between the stories of a
 * validation, so that a stop takes effect at once; report->due says which calls are worth a line. It may call ts_trainer_snapshot and ts_trainer_log_story,
 * to tell stories by the present weights; everything else that it asks of this trainer answers BUSY. When it returns nonzero a checkpoint is written and the
 * status is CANCELLED. A checkpoint or a log that cannot be written (a full disk) is told to the runtime's log and does not end the run: the last
 * checkpoint that could be written stays, and the next one is tried when it is due; the log is done without until the run is resumed. The last checkpoint's
 * failure is the call's status.
 * A new run in a folder begins with a checkpoint. One is written only when its weights give the next batch a finite loss and gradient, between
 * steps also only when that loss is not far above that of guessing (three times the logarithm of the vocabulary's size), the gradient is not 0, and the last step was not skipped: so the
 * folder's newest checkpoint is a good one. DIVERGED: the detail names it; resume it, with a lower learning rate.
 */
TS_API ts_status ts_trainer_run(ts_trainer *trainer, ts_trainer_progress progress, void *user);

/* Scores the validation stories as ts_model_score does, each rank some of them, and notes the result in the report. INVALID_ARGUMENT: there are none. */
TS_API ts_status ts_trainer_validate(ts_trainer *trainer, ts_score *score);

/*
 * Writes a checkpoint, replaced as a whole once it has been read back and checked: after a failure the old one is still there. DIVERGED: something in it is not finite,
 * or the loss or gradient that its weights give the next batch.
 */
TS_API ts_status ts_trainer_save(ts_trainer *trainer, const char *path);

/* An immutable model of the present weights: the averaged ones with options.average and use_average. Also within the progress of ts_trainer_run. */
TS_API ts_status ts_trainer_snapshot(ts_trainer *trainer, ts_model **out);

/*
 * Adds a story (`size` bytes of UTF-8) to the log.jsonl of the run folder, as an event with the present step; without a folder it is nowhere. Also within the
 * progress of ts_trainer_run. A resumed run goes on behind its checkpoint's stories.
 */
TS_API ts_status ts_trainer_log_story(ts_trainer *trainer, const char *text, size_t size);

/* Where the run is. INVALID_ARGUMENT: NULL. */
TS_API ts_status ts_trainer_state(const ts_trainer *trainer, ts_trainer_report *report);

#ifdef __cplusplus
}
#endif

#endif
