/* Training over ranks, which are threads here: the same bits for any number of them, one checkpoint for all, a stop that all obey, and a rank that dies. */
#include <math.h>
#include <pthread.h>

#include "support/support.h"
#include "trainer/trainer.h"

enum { MOST_RANKS = 8, SLICES = 8 };

static const char *text_path;
static ts_tokenizer *tokenizer;

static int make_all(void **state)
{
    static const char *const who[] = {"Lily", "Tom", "the cat", "a bird"}, *const did[] = {"saw", "found", "liked", "lost"}, *const what[] = {"a ball", "the sun", "a big tree"};
    static char kept[512];
    ts_random random = {.seed = 9};
    ts_tokenizer_train_options options;
    make_folder(state);
    snprintf(kept, sizeof kept, "%s", in_work("text.txt"));
    text_path = kept;
    FILE *file = fopen(text_path, "w");
    for (int i = 0; i < 200; i++)
        fprintf(file, "%s %s %s. %s %s %s.\n<|endoftext|>\n", who[ts_random_below(&random, 4)], did[ts_random_below(&random, 4)], what[ts_random_below(&random, 3)],
                who[ts_random_below(&random, 4)], did[ts_random_below(&random, 4)], what[ts_random_below(&random, 3)]);
    fclose(file);
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = 280;
    return ts_tokenizer_train_files(&tokenizer, NULL, &text_path, 1, &options) != TS_OK;
}

static int remove_all(void **state)
{
    ts_tokenizer_free(tokenizer);
    return remove_folder(state);
}

/* ---- ranks that speak through memory ---- */

typedef struct letter {
    const void *data;
    size_t size;
    bool full;
} letter;

enum { BOXES = TS_COMMUNICATOR_SLOTS + 1 }; /* of what is started, and of what is exchanged at once */

typedef struct office {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    letter letters[MOST_RANKS][MOST_RANKS][BOXES]; /* from, to */
    int ranks;
    bool broken; /* a rank has died */
    uint64_t bytes;
    int most_flying; /* exchanges of a rank that were started and not waited for, at most */
} office;

/* What a rank has started. */
typedef struct flight {
    int32_t partner; /* -1: none */
    void *receive;
    size_t receive_size;
} flight;

typedef struct rank {
    office *office;
    int number;
    long calls, dies_at; /* 0: never */
    ts_trainer_options options;
    int32_t kind;
    const char *resume;
    ts_trainer *trainer;
    uint64_t stop_at; /* the callback of this rank stops there; 0: never */
    ts_status status;
    char detail[512];
    int32_t cpu_level;
    void (*spoil)(struct rank *rank, int number); /* makes ranks differ */
    bool starts; /* exchanges, and does not wait for each */
    flight flights[TS_COMMUNICATOR_SLOTS];
} rank;

/* Puts a letter into its box, when the partner has read the last one there. */
static bool post(rank *r, int32_t partner, int box, const void *send, size_t size)
{
    office *o = r->office;
    letter *mine = &o->letters[r->number][partner][box];
    if (++r->calls == r->dies_at)
        o->broken = true;
    while (mine->full && !o->broken)
        pthread_cond_wait(&o->changed, &o->mutex);
    *mine = (letter){send, size, true};
    o->bytes += size;
    pthread_cond_broadcast(&o->changed);
    return !o->broken;
}

/* Reads the partner's letter, and waits until it has read this rank's: both may then be thrown away. */
static bool collect(rank *r, int32_t partner, int box, void *receive, size_t size)
{
    office *o = r->office;
    letter *mine = &o->letters[r->number][partner][box], *theirs = &o->letters[partner][r->number][box];
    while (!theirs->full && !o->broken)
        pthread_cond_wait(&o->changed, &o->mutex);
    bool fits = !o->broken && theirs->size == size;
    if (fits && size > 0)
        memcpy(receive, theirs->data, size);
    theirs->full = false;
    pthread_cond_broadcast(&o->changed);
    while (mine->full && !o->broken)
        pthread_cond_wait(&o->changed, &o->mutex);
    return fits && !o->broken;
}

static int32_t exchange(void *user, int32_t partner, const void *send, size_t send_size, void *receive, size_t receive_size)
{
    rank *r = user;
    pthread_mutex_lock(&r->office->mutex);
    bool fine = post(r, partner, BOXES - 1, send, send_size) && collect(r, partner, BOXES - 1, receive, receive_size);
    pthread_mutex_unlock(&r->office->mutex);
    return fine ? 0 : -1;
}

static int32_t start(void *user, int32_t slot, int32_t partner, const void *send, size_t send_size, void *receive, size_t receive_size)
{
    rank *r = user;
    int flying = 0;
    if (slot < 0 || slot >= TS_COMMUNICATOR_SLOTS || r->flights[slot].receive != NULL)
        return -1; /* a slot that is not free */
    pthread_mutex_lock(&r->office->mutex);
    bool fine = post(r, partner, slot, send, send_size);
    r->flights[slot] = (flight){partner, receive, receive_size};
    for (int i = 0; i < TS_COMMUNICATOR_SLOTS; i++)
        flying += r->flights[i].receive != NULL;
    r->office->most_flying = TS_MAX(r->office->most_flying, flying);
    pthread_mutex_unlock(&r->office->mutex);
    return fine ? 0 : -1;
}

static int32_t wait_for(void *user, int32_t slot)
{
    rank *r = user;
    flight f = r->flights[slot];
    if (f.receive == NULL)
        return -1;
    pthread_mutex_lock(&r->office->mutex);
    bool fine = collect(r, f.partner, slot, f.receive, f.receive_size);
    pthread_mutex_unlock(&r->office->mutex);
    r->flights[slot] = (flight){0};
    return fine ? 0 : -1;
}

static int32_t broadcast(void *user, void *data, size_t size)
{
    rank *r = user;
    if (r->number != 0)
        return exchange(user, 0, NULL, 0, data, size);
    for (int i = 1; i < r->office->ranks; i++)
        if (exchange(user, i, data, size, NULL, 0) != 0)
            return -1;
    return 0;
}

static int32_t stop_there(void *user, const ts_trainer_report *report)
{
    const rank *r = user;
    return r->stop_at != 0 && report->step >= r->stop_at;
}

static ts_architecture shape_of(int32_t kind)
{
    ts_architecture a;
    ts_architecture_init(&a, sizeof a);
    a.kind = kind;
    a.width = 32, a.layers = 2, a.heads = 4, a.context_length = 16;
    return a;
}

static void *run_rank(void *argument)
{
    rank *r = argument;
    ts_communicator c = {.struct_size = sizeof c, .user = r, .rank = r->number, .size = r->office->ranks, .exchange = exchange, .broadcast = broadcast};
    ts_runtime *runtime = make_runtime(1, r->cpu_level);
    if (r->starts)
        c.start = start, c.wait = wait_for;
    ts_architecture shape = shape_of(r->kind);
    r->options.communicator = r->office->ranks > 1 ? &c : NULL;
    r->status = r->resume ? ts_trainer_resume(&r->trainer, runtime, r->resume, &r->options) : ts_trainer_new(&r->trainer, runtime, tokenizer, &shape, &r->options);
    if (r->status == TS_OK)
        r->status = ts_trainer_run(r->trainer, stop_there, r);
    snprintf(r->detail, sizeof r->detail, "%s", ts_error_detail());
    ts_runtime_free(runtime);
    return NULL;
}

static ts_trainer_options options_of(uint64_t steps)
{
    ts_trainer_options o;
    ts_trainer_options_init(&o, sizeof o);
    o.text = &text_path;
    o.text_count = 1;
    o.max_steps = steps;
    o.batch_tokens = 16 * 16;
    o.micro_batch = 2;
    o.slices = SLICES;
    o.seed = 3;
    o.learning_rate = 5e-3;
    return o;
}

static office *office_used(void)
{
    static office o;
    return &o;
}

/* Runs so many ranks with these settings; what they made is to be freed. */
static void run_ranks(rank *ranks, int count, const rank *settings)
{
    office *o = office_used();
    pthread_t threads[MOST_RANKS];
    *o = (office){.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .ranks = count};
    for (int i = 0; i < count; i++) {
        ranks[i] = *settings;
        if (settings->spoil != NULL)
            settings->spoil(&ranks[i], i);
        ranks[i].office = o;
        ranks[i].number = i;
        if (i != count - 1)
            ranks[i].dies_at = 0;
        if (i != 0)
            ranks[i].stop_at = ranks[i].stop_at ? 1 : 0; /* others would stop at once, but are not asked */
        assert_int_equal(pthread_create(&threads[i], NULL, run_rank, &ranks[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void free_ranks(rank *ranks, int count)
{
    for (int i = 0; i < count; i++)
        ts_trainer_free(ranks[i].trainer);
}

static bool same_run(const ts_trainer *a, const ts_trainer *b)
{
    size_t size = a->total * sizeof(float);
    return memcmp(a->parameters, b->parameters, size) == 0 && memcmp(a->first, b->first, size) == 0 && memcmp(a->second, b->second, size) == 0 &&
           a->state.step == b->state.step && a->state.loss == b->state.loss && a->state.gradient_norm == b->state.gradient_norm;
}

/* ---- tests ---- */

static void same_bits_by_any_ranks(void **state)
{
    (void)state;
    for (int32_t kind = 1; kind <= 2; kind++) {
        rank one[1], ranks[MOST_RANKS], settings = {.options = options_of(6), .kind = kind};
        settings.options.valid_interval = 3;
        settings.options.valid_share = 0.5;
        settings.options.average = 0.5;
        run_ranks(one, 1, &settings);
        assert_int_equal(one[0].status, TS_OK);
        assert_int_equal(office_used()->bytes, 0);
        for (int count = 2; count <= 16; count *= 2) { /* 16: eight that start */
            int number = TS_MIN(count, 8);
            settings.starts = count == 4 || count == 16;
            run_ranks(ranks, number, &settings);
            for (int i = 0; i < number; i++) {
                if (ranks[i].status != TS_OK)
                    fail_msg("rank %d of %d: %s", i, number, ranks[i].detail);
                assert_true(same_run(one[0].trainer, ranks[i].trainer));
                assert_true(isfinite(ranks[i].trainer->state.valid_bits_per_byte) && ranks[i].trainer->state.valid_step == 6);
                assert_true(ranks[i].trainer->state.valid_bits_per_byte == one[0].trainer->state.valid_bits_per_byte);
                ts_trainer_report report = {.struct_size = sizeof report};
                assert_int_equal(ts_trainer_state(ranks[i].trainer, &report), TS_OK);
                /* twice all but a rank's own part of the gradient, which may be cut unevenly by an element for each stretch and level */
                double expected = 6 * 2.0 * (number - 1) / number * (double)ranks[i].trainer->total * sizeof(float);
                assert_true(fabs((double)report.exchange_bytes - expected) <= 6 * 6 * 6 * sizeof(float) && report.exchange_seconds > 0);
            }
            assert_true((office_used()->most_flying > 1) == settings.starts);
            free_ranks(ranks, number);
        }
        settings.starts = false;
        /* A batch in one piece is another sum of the same gradients. */
        rank whole[1];
        settings.options.slices = 1;
        run_ranks(whole, 1, &settings);
        assert_true(one[0].trainer->options.batch_tokens == whole[0].trainer->options.batch_tokens);
        assert_true(one[0].trainer->state.loss - whole[0].trainer->state.loss < 1e-3 && whole[0].trainer->state.loss - one[0].trainer->state.loss < 1e-3);
        free_ranks(whole, 1);
        free_ranks(one, 1);
    }
}

/* Four ranks are stopped by rank 0's callback and leave a checkpoint with which one goes on, and two. */
static void stopped_and_resumed_by_others(void **state)
{
    (void)state;
    rank straight[1], ranks[MOST_RANKS], settings = {.options = options_of(8), .kind = TS_ARCHITECTURE_LLAMA};
    run_ranks(straight, 1, &settings);
    settings.options.run_directory = in_work("run");
    settings.stop_at = 4;
    run_ranks(ranks, 4, &settings);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ranks[i].status, TS_ERROR_CANCELLED);
        assert_int_equal(ranks[i].trainer->state.step, 4);
    }
    free_ranks(ranks, 4);
    settings = (rank){.options = {.struct_size = sizeof(ts_trainer_options), .text = &text_path, .text_count = 1}, .resume = in_work("run/checkpoint.safetensors")};
    for (int count = 1; count <= 2; count++) {
        run_ranks(ranks, count, &settings);
        for (int i = 0; i < count; i++) {
            if (ranks[i].status != TS_OK)
                fail_msg("%s", ranks[i].detail);
            assert_true(same_run(straight[0].trainer, ranks[i].trainer));
        }
        free_ranks(ranks, count);
    }
    free_ranks(straight, 1);
}

/* Whenever a rank dies, the others end with an error, and the last checkpoint is whole. */
static void a_rank_that_dies(void **state)
{
    (void)state;
    rank ranks[MOST_RANKS], again[1];
    for (long at = 1; at < 100; at += 7) {
        char name[32], path[512];
        snprintf(name, sizeof name, "dying-%ld", at);
        snprintf(path, sizeof path, "%s", in_work(name));
        rank settings = {.options = options_of(5), .kind = TS_ARCHITECTURE_LLAMA, .dies_at = at};
        settings.options.run_directory = path;
        settings.options.checkpoint_interval = 1;
        settings.starts = at % 2 == 0;
        run_ranks(ranks, 4, &settings);
        uint64_t reached = ranks[0].trainer != NULL ? ranks[0].trainer->state.step : 0;
        for (int i = 0; i < 4; i++) {
            assert_int_equal(ranks[i].status, TS_ERROR_NETWORK);
            assert_non_null(strstr(ranks[i].detail, "rank "));
        }
        free_ranks(ranks, 4);
        char file[600];
        snprintf(file, sizeof file, "%s/checkpoint.safetensors", path); /* made as soon as the run begins */
        if (reached > 0) {
            settings = (rank){.options = {.struct_size = sizeof(ts_trainer_options), .text = &text_path, .text_count = 1}, .resume = file};
            run_ranks(again, 1, &settings);
            assert_int_equal(again[0].status, TS_OK);
            free_ranks(again, 1);
        }
    }
}

/* ---- ranks that differ ---- */

static void other_seed(rank *r, int number)
{
    r->options.seed = number == 3 ? 4 : 3;
}

static void other_batch(rank *r, int number)
{
    r->options.batch_tokens *= number == 1 ? 2 : 1;
}

static void other_text(rank *r, int number)
{
    static const char *shorter; /* set before its rank begins */
    if (number != 2)
        return;
    shorter = in_work("shorter.txt");
    r->options.text = &shorter;
}

static void other_level(rank *r, int number)
{
    r->cpu_level = number == 1 ? TS_CPU_LEVEL_REFERENCE : TS_CPU_LEVEL_BEST;
}

static void no_text(rank *r, int number)
{
    static const char *missing = "/nonexistent/text.txt";
    if (number == 2)
        r->options.text = &missing;
}

static void wrong_option(rank *r, int number)
{
    if (number == 0 || number == 3)
        r->options.beta1 = number == 0 ? 7 : 8;
}

static const ts_model *other_models[2];

static void other_model(rank *r, int number)
{
    r->options.initial = other_models[number == 1];
}

/* None trains, all end, and all say which rank it is and what it has. */
static void ranks_that_differ(void **state)
{
    (void)state;
    size_t size;
    char *text = read_file(text_path, &size);
    put_file("shorter.txt", text, size - size / 10);
    free(text);
    for (uint64_t seed = 0; seed < 2; seed++) {
        rank one[1], settings = {.options = options_of(1), .kind = TS_ARCHITECTURE_LLAMA};
        settings.options.seed = seed;
        ts_model *model;
        run_ranks(one, 1, &settings);
        assert_ok(ts_trainer_snapshot(one[0].trainer, &model));
        other_models[seed] = model;
        free_ranks(one, 1);
    }
    static const struct {
        void (*spoil)(rank *rank, int number);
        int guilty;
        ts_status status;
        const char *detail;
    } cases[] = {
        {other_seed, 3, TS_ERROR_MISMATCH, "options.seed is 4, but 3 on rank 0"},
        {other_batch, 1, TS_ERROR_MISMATCH, "options.batch_tokens is 512, but 256 on rank 0"},
        {other_text, 2, TS_ERROR_MISMATCH, "data_hash is "},
        {other_level, 1, TS_ERROR_MISMATCH, "cpu_level is 1, but "},
        {other_model, 1, TS_ERROR_MISMATCH, "the weights are not those of rank 0"},
        {no_text, 2, TS_ERROR_IO, "/nonexistent/text.txt"},
        {wrong_option, 0, TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.beta1 is 7, expected 0 to 0.999999"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        if (cases[i].spoil == other_level && ts_cpu_level_best() == TS_CPU_LEVEL_REFERENCE)
            continue;
        rank ranks[MOST_RANKS], settings = {.options = options_of(5), .kind = TS_ARCHITECTURE_LLAMA, .spoil = cases[i].spoil};
        char expected[600];
        settings.options.precision = TS_PRECISION_F32;
        settings.options.run_directory = in_work("never");
        run_ranks(ranks, 4, &settings);
        for (int r = 0; r < 4; r++) {
            snprintf(expected, sizeof expected, "rank %d: ", cases[i].guilty);
            bool names = r == cases[i].guilty || strncmp(ranks[r].detail, expected, strlen(expected)) == 0;
            if (ranks[r].status != cases[i].status || strstr(ranks[r].detail, cases[i].detail) == NULL || !names)
                fail_msg("case %zu, rank %d: %s: %s", i, r, ts_status_name(ranks[r].status), ranks[r].detail);
            assert_null(ranks[r].trainer);
        }
    }
    ts_model_free((ts_model *)other_models[0]), ts_model_free((ts_model *)other_models[1]);
}

static int32_t deaf(void *user, int32_t partner, const void *send, size_t send_size, void *receive, size_t receive_size)
{
    (void)user, (void)partner, (void)send, (void)send_size, (void)receive, (void)receive_size;
    return -1;
}

static void bad_communicators_are_told(void **state)
{
    (void)state;
    rank r = {.number = 0};
    ts_architecture shape = shape_of(TS_ARCHITECTURE_LLAMA);
    ts_trainer *t = NULL;
    const ts_communicator good = {.struct_size = sizeof good, .user = &r, .rank = 0, .size = 2, .exchange = deaf, .broadcast = broadcast};
    for (int i = 0; i < 7; i++) {
        ts_communicator c = good;
        ts_trainer_options o = options_of(1);
        if (i == 0)
            c.size = 3;
        else if (i == 1)
            c.size = 16; /* more than slices */
        else if (i == 2)
            c.rank = 2;
        else if (i == 3)
            c.exchange = NULL;
        else if (i == 4)
            c.broadcast = NULL;
        else if (i == 5)
            c.start = start;
        else
            o.slices = 6;
        o.communicator = &c;
        assert_int_equal(ts_trainer_new(&t, NULL, tokenizer, &shape, &o), TS_ERROR_INVALID_ARGUMENT);
    }
    ts_trainer_options o = options_of(1);
    o.communicator = &good; /* nobody hears it */
    assert_status(ts_trainer_new(&t, NULL, tokenizer, &shape, &o), TS_ERROR_NETWORK);
    assert_detail("rank 0 cannot exchange with rank 1");
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_by_any_ranks),
        cmocka_unit_test(stopped_and_resumed_by_others),
        cmocka_unit_test(a_rank_that_dies),
        cmocka_unit_test(bad_communicators_are_told),
        cmocka_unit_test(ranks_that_differ),
    };
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
