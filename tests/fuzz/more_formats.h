/* Formats of test_mutations.c that need more than a file and a reader: archives, checkpoints, indexes, what is checked before it is read. */

/* ---- the first check of formats without a header ---- */

/* Every entry's size fits, and the last one ends with the file. */
static bool passes_pieces(const format *f, const unsigned char *data, size_t size)
{
    size_t at = 4;
    (void)f;
    while (at < size) {
        uint32_t length;
        if (size - at < 8)
            return false;
        memcpy(&length, data + at + 4, sizeof length);
        if (length == 0 || length > size - at - 8)
            return false;
        at += 8 + length;
    }
    return size > 4;
}

/* Every line is two parts with a space between. */
static bool passes_lines(const format *f, const unsigned char *data, size_t size)
{
    (void)f;
    for (size_t at = 0; at < size;) {
        const unsigned char *end = memchr(data + at, '\n', size - at);
        size_t length = end != NULL ? (size_t)(end - data) - at : size - at;
        if (length > 0 && memchr(data + at, ' ', length) == NULL)
            return false;
        at += length + 1;
    }
    return true;
}

/* The same, and the first line is as the library tells a rank file. */
static bool passes_ranks(const format *f, const unsigned char *data, size_t size)
{
    return ts_tiktoken_begins((const char *)data, size) && passes_lines(f, data, size);
}

/* The first line is JSON. */
static bool passes_first_line(const format *f, const unsigned char *data, size_t size)
{
    const unsigned char *end = size > 0 ? memchr(data, '\n', size) : NULL;
    return passes_json(f, data, end != NULL ? (size_t)(end - data) : size);
}

/* A header of the right version whose count is that of the ids. */
static bool passes_shard(const format *f, const unsigned char *data, size_t size)
{
    uint32_t words[3];
    if (size < 1024 || memcmp(data, f->file.data, 8) != 0)
        return false;
    memcpy(words, data, sizeof words);
    return size - 1024 == 2 * (size_t)words[2];
}

/* Something can be unpacked: the member's header is whole, and the first block of data. */
static bool passes_gzip(const format *f, const unsigned char *data, size_t size)
{
    ts_gzip_reader *reader = NULL;
    char some[64];
    size_t count = 0;
    (void)f;
    bool does = ts_gzip_open(&reader, runtime, put_file("first.gz", data, size)) == TS_OK && ts_gzip_read(reader, some, sizeof some, &count) == TS_OK;
    ts_gzip_close(reader);
    return does && count > 0 && size > 2 && data[0] == 0x1f && data[1] == 0x8b; /* else it is read as plain text */
}

/* ---- sums put right, so that what is behind them is read ---- */

static void mend_session(unsigned char *data, size_t size)
{
    static const char key[] = "session.checksum";
    enum { HEADER = 24, BEFORE = 8, KEY = sizeof key - 1, TYPE = 4 };
    for (size_t at = size; at-- > HEADER + BEFORE;)
        if (size - at >= KEY + TYPE + 8 && memcmp(data + at, key, KEY) == 0) {
            uint64_t sum = ts_hash(data + HEADER, at - BEFORE - HEADER, 1);
            memcpy(data + at + KEY + TYPE, &sum, sizeof sum);
            return;
        }
}

/* The checksum of a checkpoint's header, which stands at its beginning and counts as zeros in itself. */
static void mend_header(unsigned char *data, size_t size)
{
    enum { BEFORE = 8 + sizeof TS_SAFETENSORS_CRC_PREFIX - 1 };
    uint64_t header;
    char digits[9];
    if (size < BEFORE + 8 || memcmp(data + 8, TS_SAFETENSORS_CRC_PREFIX, BEFORE - 8) != 0)
        return;
    memcpy(&header, data, sizeof header);
    if (header > size - 8 || header < BEFORE)
        return;
    memset(data + BEFORE, '0', 8);
    snprintf(digits, sizeof digits, "%08x", ts_crc32(0, data + 8, (size_t)header));
    memcpy(data + BEFORE, digits, 8);
}

enum { BLOCK = 512, SUM_AT = 148, SUM_SIZE = 8 };

static void mend_tar(unsigned char *data, size_t size)
{
    for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
        unsigned sum = SUM_SIZE * ' ';
        char text[SUM_SIZE];
        if (memcmp(data + at + 257, "ustar", 5) != 0)
            continue;
        for (size_t i = 0; i < BLOCK; i++)
            sum += i < SUM_AT || i >= SUM_AT + SUM_SIZE ? data[at + i] : 0;
        snprintf(text, sizeof text, "%06o", sum % 01000000);
        memcpy(data + at + SUM_AT, text, 7);
        data[at + SUM_AT + 7] = ' ';
    }
}

static bool passes_tar(const format *f, const unsigned char *data, size_t size)
{
    ts_gzip_reader *reader = NULL;
    ts_tar *tar = NULL;
    const char *name = NULL;
    (void)f;
    bool does = ts_gzip_open(&reader, runtime, put_file("first.tar", data, size)) == TS_OK && ts_tar_open(&tar, runtime, reader) == TS_OK &&
                ts_tar_next(tar, &name) == TS_OK && name != NULL;
    ts_tar_close(tar);
    ts_gzip_close(reader);
    return does;
}

/* ---- using them ---- */

static ts_status model_mapped(const format *f, const unsigned char *data, size_t size)
{
    ts_model *model = NULL;
    ts_model_options options;
    (void)data, (void)size;
    assert_ok(ts_model_options_init(&options, sizeof options));
    options.map = 1;
    ts_status status = ts_model_open(&model, runtime, f->path, &options);
    if (status == TS_OK)
        use_model(model);
    ts_model_free(model);
    return status;
}

static ts_status index_in_file(const format *f, const unsigned char *data, size_t size)
{
    static const char text[] = "The cat saw the dog. Once upon a time there was a big dog.";
    ts_novelty *novelty = NULL;
    ts_novelty_match match = {.struct_size = sizeof match};
    uint64_t count;
    const char *story;
    (void)data;
    ts_status status = ts_novelty_open(&novelty, runtime, f->path);
    if (status == TS_OK) {
        status = ts_novelty_find(novelty, text, sizeof text - 1, &match);
        if (status == TS_OK)
            status = ts_novelty_count(novelty, "the dog", 7, &count);
        if (ts_novelty_story(novelty, 0, &story, &size) == TS_OK)
            assert_true(strlen(story) <= size);
    }
    ts_novelty_free(novelty);
    return status;
}

static ts_trainer_options training(const char *const *paths)
{
    ts_trainer_options o;
    assert_ok(ts_trainer_options_init(&o, sizeof o));
    o.text = paths, o.text_count = 1;
    o.valid_share = 0;
    o.batch_tokens = 8;
    o.max_steps = 100;
    return o;
}

static ts_status checkpoint_in_file(const format *f, const unsigned char *data, size_t size)
{
    const char *path = in_work("stories.txt");
    ts_trainer_options options = training(&path);
    ts_trainer *trainer = NULL;
    (void)data, (void)size;
    ts_status status = ts_trainer_resume(&trainer, runtime, f->path, &options);
    ts_trainer_free(trainer);
    return status;
}

/* ---- what evaluators read ---- */

static bool passes_text(const format *f, const unsigned char *data, size_t size)
{
    (void)f;
    return ts_utf8_valid((const char *)data, size) && memchr(data, 0, size) == NULL;
}

/* A file without a prompt is answered as a wrong call. */
static ts_status unless_empty(ts_status status)
{
    return status == TS_ERROR_INVALID_ARGUMENT && strstr(ts_error_detail(), "there is no prompt in it") != NULL ? TS_ERROR_FORMAT : status;
}

/* Whatever of it was taken before a bad line is judged, and told. */
static ts_status records_in_file(const format *f, const unsigned char *data, size_t size)
{
    ts_evaluator *evaluator;
    ts_evaluation evaluation = {.struct_size = sizeof evaluation};
    (void)data, (void)size;
    assert_ok(ts_evaluator_new(&evaluator, runtime, NULL));
    ts_status status = ts_evaluator_add_file(evaluator, f->path);
    char detail[600];
    snprintf(detail, sizeof detail, "%s", ts_error_detail());
    assert_ok(ts_evaluator_run(evaluator, NULL, NULL));
    assert_ok(ts_evaluator_evaluate(evaluator, NULL, &evaluation));
    assert_true(evaluation.records == ts_evaluator_count(evaluator));
    assert_ok(ts_evaluator_write(evaluator, in_work("evaluation.json")));
    ts_evaluator_free(evaluator);
    return status == TS_OK ? status : ts_fail(status, "%s", detail);
}

static ts_status completions_in_file(const format *f, const unsigned char *data, size_t size)
{
    ts_diversity *diversity;
    (void)data, (void)size;
    assert_ok(ts_diversity_new(&diversity, runtime, NULL));
    ts_status status = ts_diversity_add_file(diversity, f->path, 3, NULL);
    ts_diversity_free(diversity);
    return status;
}

static ts_status prompts_in_file(const format *f, const unsigned char *data, size_t size)
{
    ts_prompts *prompts = NULL;
    (void)data, (void)size;
    ts_status status = ts_prompts_open(&prompts, runtime, f->path);
    for (size_t i = 0, length; i < ts_prompts_count(prompts); i++)
        assert_true(strlen(ts_prompts_get(prompts, i, &length)) == length && length > 0);
    ts_prompts_free(prompts);
    return unless_empty(status);
}

static ts_status questions_in_file(const format *f, const unsigned char *data, size_t size)
{
    ts_questions *questions = NULL;
    uint32_t mark;
    (void)data, (void)size;
    ts_status status = ts_questions_open(&questions, runtime, f->path);
    for (size_t i = 0; i < ts_questions_count(questions); i++)
        assert_ok(ts_questions_mark(questions, i, "the sky is blue or green. And so on.", 36, &mark));
    ts_questions_free(questions);
    return unless_empty(status);
}

static ts_status templates_in_file(const format *f, const unsigned char *data, size_t size)
{
    ts_evaluator *evaluator = NULL;
    ts_evaluator_options options;
    ts_chat_options chat;
    ts_record record = {.struct_size = sizeof record, .prompt = "Once", .prompt_size = 4, .completion = " there was.", .completion_size = 11};
    char message[1 << 15];
    (void)data, (void)size;
    assert_ok(ts_chat_options_init(&chat, sizeof chat));
    assert_ok(ts_evaluator_options_init(&options, sizeof options));
    chat.model = "m", chat.journal = in_work("journal");
    options.judge = TS_JUDGE_CHAT, options.chat = &chat, options.templates = f->path;
    ts_status status = ts_evaluator_new(&evaluator, runtime, &options);
    if (status == TS_OK) {
        assert_ok(ts_evaluator_add(evaluator, &record));
        for (uint32_t turn = 0; turn < 2; turn++)
            assert_ok(ts_evaluator_prompt(evaluator, 0, turn, message, sizeof message, &size));
    }
    ts_evaluator_free(evaluator);
    return status;
}

/* A reply is never a failure: what is no grade has a reason, and what is one is 1 to 10. */
static ts_status reply_in_memory(const format *f, const unsigned char *data, size_t size)
{
    ts_judgment judgment = {.struct_size = sizeof judgment};
    (void)f;
    assert_ok(ts_grades_read((const char *)data, size, 7, &judgment));
    for (size_t axis = 0; axis < 3; axis++) {
        double grade = judgment.grades[axis];
        assert_true(judgment.outcome == TS_JUDGED_SCORED ? grade >= 1 && grade <= 10 && grade == (int)grade : grade != grade);
    }
    return judgment.outcome == TS_JUDGED_SCORED ? TS_OK : ts_fail(TS_ERROR_FORMAT, "%s", ts_judged_name(judgment.outcome));
}

/* ---- the formats ---- */

static void add_quantized(void)
{
    static const char *const names[] = {"gguf q8_0", "gguf q4_0"};
    static const int32_t types[] = {TS_MODEL_TYPE_Q8_0, TS_MODEL_TYPE_Q4_0};
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    a.width = 32, a.hidden = 64, a.heads = 4, a.layers = 1;
    ts_model *model = fixture_model_of(NULL, tokenizer, &a, 5), *quantized;
    for (size_t i = 0; i < TS_COUNT_OF(types); i++) {
        assert_ok(ts_model_quantize(&quantized, model, types[i]));
        assert_ok(ts_model_save(quantized, in_work("quantized.gguf")));
        add(names[i], in_work("quantized.gguf"), 9000, false, false, model_in_memory, passes_gguf);
        ts_model_free(quantized);
    }
    add("gguf q4_0, mapped", in_work("quantized.gguf"), 9000, false, true, model_mapped, passes_gguf);
    assert_ok(ts_model_save(model, in_work("mapped.gguf")));
    add("gguf llama, mapped", in_work("mapped.gguf"), 9000, false, true, model_mapped, passes_gguf);
    assert_ok(ts_tokenizer_save(tokenizer, in_work("vocabulary.gguf")));
    add("gguf of a vocabulary", in_work("vocabulary.gguf"), 0, false, true, tokenizer_alone, passes_gguf);
    ts_model_free(model);
    ts_tokenizer_free(tokenizer);
}

static void put_member(unsigned char *tar, size_t *size, const char *name, const char *text)
{
    unsigned char *header = tar + *size;
    size_t length = strlen(text);
    snprintf((char *)header, 100, "%s", name);
    snprintf((char *)header + 100, 24, "0000644");
    snprintf((char *)header + 124, 13, "%011o", (unsigned)length);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    memcpy(header + BLOCK, text, length);
    *size += BLOCK + (length + BLOCK - 1) / BLOCK * BLOCK;
}

static void add_archives(void)
{
    static const char array[] = "[{\"story\": \"One day a cat\\nran.\", \"n\": [1, 2.5]}, {\"story\": \"Two dogs sat.\", \"source\": \"x\"}]\n";
    static unsigned char tar[16 * BLOCK];
    size_t size = 0;
    add("stories .json", put_file("stories.json", array, sizeof array - 1), 0, true, true, stories_in_file, passes_json);
    put_member(tar, &size, "data00.json", array);
    put_member(tar, &size, "folder/more.jsonl", "{\"text\": \"The end of it all.\"}\n");
    put_member(tar, &size, "last.txt", "A story.<|endoftext|>Another one.");
    mend_tar(tar, size);
    add("stories .tar", put_file("stories.tar", tar, size + 2 * BLOCK), size, false, true, stories_in_file, passes_tar);
    formats[format_count - 1].mend = mend_tar;
}

static void add_runs(void)
{
    const char *path = in_work("stories.txt");
    ts_trainer_options options = training(&path);
    ts_trainer *trainer = NULL;
    ts_architecture shape;
    assert_ok(ts_architecture_init(&shape, sizeof shape));
    shape.width = 4, shape.layers = 1, shape.heads = 1, shape.hidden = 8, shape.context_length = 8;
    if (ts_trainer_new(&trainer, NULL, session_model->tokenizer, &shape, &options) == TS_OK) {
        assert_ok(ts_trainer_step(trainer, NULL));
        assert_ok(ts_trainer_save(trainer, in_work("run.checkpoint")));
        add("checkpoint", in_work("run.checkpoint"), data_of(in_work("run.checkpoint")), true, true, checkpoint_in_file, passes_safetensors);
        formats[format_count - 1].mend = mend_header;
    }
    ts_trainer_free(trainer);
    assert_ok(ts_novelty_build(NULL, &path, 1, in_work("index.gguf"), NULL));
    add("index of stories", in_work("index.gguf"), 0, false, true, index_in_file, passes_gguf);
}

static void add_evaluations(void)
{
    static const char records[] = "{\"prompt\": \"Tom saw\", \"completion\": \" a dog. It was big, so he ran.\", \"model\": \"a\"}\n"
                                  "{\"story\": \"One day \\u00e9 cat\\nsat.\", \"words\": [\"cat\", \"hat\"], \"features\": \"Dialogue\", \"sentence\": \"A cat sat.\"}\n"
                                  "{\"completion\": \"Grammar: 10/10\", \"summary\": \"Some cats\", \"more\": {\"n\": 1}}\n";
    static const char completions[] = "{\"completion\": \"a b c d a b c\", \"ending\": \"a b\"}\n{\"text\": \"The end of it.\"}\n";
    static const char prompts[] = "# some\n- |-\n  One day,\n    a \"cat\"\n- plain text\n  goes on\n- 'it''s'\n- \"a\\nb \\\"c\\\"\"\n- >-\n  folded\n  lines\n";
    static const char questions[] = "# some\n= fact\nThe sky is\n+ blue; very blue\n~ nice\n- green\n= context\nTom had a\n";
    static const char templates[] = "# own\n= assess\nBetween {fence} and {fence}: {beginning}{completion}\n= grade\nGrade it.\n= compare\n{first} or {second}?\n";
    static const char lines[] = "1. Grammar: 8/10\n- **Creativity**: 7/10, Consistency with the beginning: 10 out of 10\nAge group: C (6-7)\n";
    static const char object[] = "```json\n{\"grammar\": 8, \"creativity\": 10, \"consistency\": 1, \"age_group\": \"C\"}\n```";
    add("records .jsonl", put_file("records.jsonl", records, sizeof records - 1), 0, true, true, records_in_file, passes_first_line);
    add("completions .jsonl", put_file("completions.jsonl", completions, sizeof completions - 1), 0, true, true, completions_in_file, passes_first_line);
    add("prompts", put_file("prompts.yaml", prompts, sizeof prompts - 1), 0, true, true, prompts_in_file, passes_text);
    add("questions", put_file("questions.txt", questions, sizeof questions - 1), 0, true, true, questions_in_file, passes_text);
    add("templates of a judge", put_file("templates.txt", templates, sizeof templates - 1), 0, true, true, templates_in_file, passes_text);
    add("grades", put_file("grades.txt", lines, sizeof lines - 1), 0, true, false, reply_in_memory, passes_text);
    add("grades in JSON", put_file("object.txt", object, sizeof object - 1), 0, true, false, reply_in_memory, passes_text);
}
