/* Models in Hugging Face's folders: config.json, the tensors in one safetensors file or in parts that an index lists, and the tokenizer. */
#include <stdio.h>

#include "model/huggingface_config.h"
#include "model/model_files.h"

enum { MAX_CONFIG = 1 << 20, MAX_PARTS = 256 };

typedef struct path_text {
    char text[4096];
} path_text;

static ts_status path_in(const char *folder, const char *name, path_text *out)
{
    int size = snprintf(out->text, sizeof out->text, "%s/%s", folder, name);
    if (size < 0 || (size_t)size >= sizeof out->text)
        return ts_fail(TS_ERROR_LIMIT, "%s: the path is too long", folder);
    return TS_OK;
}

/* How the numbers of a tensor are stored. */
static const struct {
    uint32_t dtype;
    const char *name;
} types[] = {
    [TS_MODEL_TYPE_F32] = {TS_DTYPE_F32, "float32"},
    [TS_MODEL_TYPE_F16] = {TS_DTYPE_F16, "float16"},
    [TS_MODEL_TYPE_BF16] = {TS_DTYPE_BF16, "bfloat16"},
};

/* ---- opening ---- */

typedef struct part {
    char name[256];
    ts_source source;
    ts_safetensors *file;
    bool opened;
} part;

/* What opening works with; closed by the caller. */
typedef struct opening {
    ts_runtime *runtime;
    const char *folder;
    ts_huggingface_config config;
    ts_tokenizer *tokenizer;
    part *parts;
    size_t part_count, parts_capacity;
} opening;

static ts_status read_json(const opening *o, const char *name, size_t limit, ts_json **json, path_text *path)
{
    char *text = NULL;
    size_t size;
    TS_TRY(path_in(o->folder, name, path));
    TS_TRY(ts_file_read(o->runtime, path->text, limit, &text, &size));
    ts_status status = ts_json_parse(json, o->runtime, text, size, limit, path->text);
    ts_release(o->runtime, text);
    return status;
}

static ts_status read_config(opening *o, const ts_model_options *options)
{
    ts_json *json = NULL;
    path_text path;
    TS_TRY(read_json(o, "config.json", MAX_CONFIG, &json, &path));
    ts_status status = ts_huggingface_read_config(&o->config, o->runtime, json, path.text, options->context_length);
    ts_json_free(json);
    return status;
}

/* Notes a file of tensors; the name is the index's, so it must be one of this folder. */
static ts_status add_part(opening *o, const char *name, const char *index)
{
    if (name == NULL || name[0] == 0 || name[0] == '.' || strchr(name, '/') != NULL || strlen(name) >= sizeof o->parts->name)
        return ts_fail(TS_ERROR_FORMAT, "%s: weight_map names \"%.100s\", expected a file of the same folder", index, name ? name : "no text");
    for (size_t i = 0; i < o->part_count; i++)
        if (strcmp(o->parts[i].name, name) == 0)
            return TS_OK;
    if (o->part_count == MAX_PARTS)
        return ts_fail(TS_ERROR_LIMIT, "%s: weight_map names more than %d files", index, MAX_PARTS);
    TS_TRY(ts_reserve(o->runtime, &o->parts, &o->parts_capacity, o->part_count + 1, sizeof *o->parts));
    part *p = &o->parts[o->part_count++];
    memset(p, 0, sizeof *p);
    memcpy(p->name, name, strlen(name));
    return TS_OK;
}

static ts_status list_parts(opening *o)
{
    static const char one[] = "model.safetensors", index[] = "model.safetensors.index.json";
    ts_json *json = NULL;
    path_text path;
    TS_TRY(path_in(o->folder, one, &path));
    if (ts_path_exists(path.text))
        return add_part(o, one, path.text);
    TS_TRY(path_in(o->folder, index, &path));
    if (!ts_path_exists(path.text))
        return ts_fail(TS_ERROR_IO, "%s: the folder has neither %s nor %s (a pytorch_model.bin: bindings/python/examples/convert_pytorch.py makes the first of it)", o->folder, one, index);
    TS_TRY(read_json(o, index, TS_JSON_MAX_SIZE, &json, &path));
    const ts_json *map = ts_json_get(json, "weight_map");
    ts_status status = TS_OK;
    if (ts_json_kind_of(map) != TS_JSON_OBJECT || ts_json_count(map) == 0)
        status = ts_fail(TS_ERROR_FORMAT, "%s: has no weight_map", path.text);
    for (const ts_json *entry = ts_json_first(map); entry != NULL && status == TS_OK; entry = ts_json_next(entry))
        status = add_part(o, ts_json_text(entry), path.text);
    ts_json_free(json);
    return status;
}

static ts_status open_parts(opening *o)
{
    TS_TRY(list_parts(o));
    for (size_t i = 0; i < o->part_count; i++) {
        part *p = &o->parts[i];
        path_text path;
        TS_TRY(path_in(o->folder, p->name, &path));
        TS_TRY(ts_source_open(&p->source, o->runtime, path.text, false));
        p->opened = true;
        TS_TRY(ts_safetensors_open(&p->file, &p->source));
    }
    return TS_OK;
}

/* A config that claims more layers than the files can have is found out before there is a table of their tensors. */
static ts_status check_layers(const opening *o)
{
    size_t tensors = 0;
    for (size_t i = 0; i < o->part_count; i++)
        tensors += ts_safetensors_count(o->parts[i].file);
    if (o->config.architecture.layers > tensors)
        return ts_fail(TS_ERROR_FORMAT, "%s: config.json asks for %u layers, but the files have %zu tensors in all", o->folder,
                       o->config.architecture.layers, tensors);
    return TS_OK;
}

/* A name without what stands before its first dot: bare models are stored without "transformer." and "model.". */
static const char *bare_name(const char *name)
{
    const char *dot = strchr(name, '.');
    return strncmp(name, "transformer.", 12) == 0 || strncmp(name, "model.", 6) == 0 ? dot + 1 : name;
}

/* The file that has a parameter's tensor; FORMAT: none, or more than one. */
static ts_status find_tensor(const opening *o, const ts_parameter *p, part **in, const ts_safetensor **tensor)
{
    char name[TS_PARAMETER_NAME];
    ts_parameter_name(p->huggingface, p->layer, name);
    *in = NULL;
    for (size_t i = 0; i < o->part_count; i++) {
        const ts_safetensor *found = ts_safetensors_find(o->parts[i].file, name);
        if (found == NULL)
            found = ts_safetensors_find(o->parts[i].file, bare_name(name));
        if (found != NULL && *in != NULL)
            return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is in %s and in %s", o->folder, name, (*in)->name, o->parts[i].name);
        if (found != NULL) {
            *in = &o->parts[i];
            *tensor = found;
        }
    }
    if (*in == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is missing", o->folder, name);
    size_t rows = p->slot == TS_SLOT_POSITIONS ? o->config.positions : p->rows;
    uint64_t shape[2] = {p->rank == 1 || p->transposed ? p->columns : rows, p->transposed ? rows : p->columns};
    return ts_safetensors_get((*in)->file, (*tensor)->name, (*tensor)->dtype, p->rank, shape, tensor);
}

/* Masks and tables of older versions, which everyone works out anew, and the output matrix where it is the embedding. */
static bool is_known_extra(const char *name, bool tied)
{
    static const char *const endings[] = {".attn.bias", ".attn.masked_bias", ".attn.attention.bias", ".attn.attention.masked_bias",
                                          ".rotary_emb.inv_freq"};
    size_t size = strlen(name);
    for (size_t i = 0; i < TS_COUNT_OF(endings); i++)
        if (size > strlen(endings[i]) && strcmp(name + size - strlen(endings[i]), endings[i]) == 0)
            return true;
    return tied && strcmp(name, "lm_head.weight") == 0;
}

/* Every tensor of the files has a place, so that none that means something is passed over. */
static ts_status check_extras(const opening *o, const ts_model *model)
{
    for (size_t i = 0; i < o->part_count; i++)
        for (size_t j = 0; j < ts_safetensors_count(o->parts[i].file); j++) {
            const char *name = ts_safetensors_at(o->parts[i].file, j)->name;
            bool known = is_known_extra(name, model->architecture.untied_head == 0);
            for (size_t k = 0; k < model->table_count && !known; k++) {
                char wanted[TS_PARAMETER_NAME];
                ts_parameter_name(model->table[k].huggingface, model->table[k].layer, wanted);
                known = strcmp(name, wanted) == 0 || strcmp(name, bare_name(wanted)) == 0;
            }
            if (!known)
                return ts_fail(TS_ERROR_UNSUPPORTED, "%s: tensor '%.200s' has no place in a %s model of %zu layers", o->parts[i].source.name, name,
                               model->shape.switches->name, model->shape.L);
        }
    return TS_OK;
}

/* Between rows as the file has them and as we have them: the halves of a head become its adjacent pairs. */
static size_t rotary_row(size_t row, size_t head)
{
    size_t within = row % head;
    return row - within + (within % 2 == 0 ? within / 2 : head / 2 + within / 2);
}

/* Where an element of ours lies in the file. */
static size_t place_of(const ts_parameter *p, size_t head, size_t rows, size_t row, size_t column)
{
    size_t from = p->rotary ? rotary_row(row, head) : row;
    return p->transposed ? column * rows + from : from * p->columns + column;
}

typedef struct tensor_reader {
    const opening *o;
    size_t head;
} tensor_reader;

static ts_status read_parameter(void *user, ts_parameter *p, float *values)
{
    const tensor_reader *r = user;
    const ts_safetensor *tensor;
    part *in;
    TS_TRY(find_tensor(r->o, p, &in, &tensor));
    while (p->file_type < TS_MODEL_TYPE_BF16 && types[p->file_type].dtype != tensor->dtype) /* what is none of these is not read */
        p->file_type++;
    if (!p->transposed && !p->rotary && tensor->elements == p->rows * p->columns)
        return ts_safetensors_read_f32(in->file, tensor, values);
    float *stored = ts_allocate_array(r->o->runtime, (size_t)tensor->elements, sizeof *stored);
    if (stored == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = ts_safetensors_read_f32(in->file, tensor, stored);
    for (size_t row = 0; row < p->rows && status == TS_OK; row++)
        for (size_t column = 0; column < p->columns; column++)
            values[row * p->columns + column] = stored[place_of(p, r->head, p->rows, row, column)];
    ts_release(r->o->runtime, stored);
    return status;
}

/* Before memory is taken: every tensor is there. */
static ts_status check_tensors(const opening *o)
{
    ts_model *model;
    TS_TRY(ts_model_make(&model, o->runtime, o->tokenizer, &o->config.architecture));
    ts_status status = TS_OK;
    for (size_t i = 0; i < model->table_count && status == TS_OK; i++) {
        const ts_safetensor *tensor;
        part *in;
        status = find_tensor(o, &model->table[i], &in, &tensor);
    }
    if (status == TS_OK)
        status = check_extras(o, model);
    ts_model_free(model);
    return status;
}

static ts_status open_tokenizer(opening *o, const ts_model_options *options)
{
    ts_tokenizer *read;
    TS_TRY(ts_tokenizer_open(&read, o->runtime, options->tokenizer != NULL ? options->tokenizer : o->folder));
    ts_status status = ts_tokenizer_with_marks(&o->tokenizer, read, o->config.begin, o->config.end);
    ts_tokenizer_free(read);
    return status;
}

static ts_status open_all(opening *o, const ts_model_options *options, ts_model **model)
{
    const ts_architecture *a = &o->config.architecture;
    if (options->map)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: options.map is 1, but only a GGUF file can be mapped", o->folder);
    TS_TRY(read_config(o, options));
    TS_TRY(ts_model_check_size(options, a, o->folder));
    TS_TRY(open_parts(o));
    TS_TRY(check_layers(o));
    TS_TRY(open_tokenizer(o, options));
    TS_TRY(ts_model_check_tokenizer(o->tokenizer, a, o->folder));
    TS_TRY(check_tensors(o));
    tensor_reader reader = {o, a->width / a->heads};
    return ts_model_load(model, o->runtime, o->tokenizer, a, read_parameter, &reader);
}

ts_status ts_huggingface_model_open(ts_model **out, ts_runtime *runtime, const char *folder, const ts_model_options *options)
{
    opening o = {.runtime = runtime, .folder = folder};
    TS_TRY(ts_json_expected(folder));
    ts_status status = open_all(&o, options, out);
    for (size_t i = 0; i < o.part_count; i++) {
        ts_safetensors_close(o.parts[i].file);
        if (o.parts[i].opened)
            ts_source_close(&o.parts[i].source);
    }
    ts_release(runtime, o.parts);
    ts_tokenizer_free(o.tokenizer);
    return status;
}

/* ---- saving ---- */

static void put_value(unsigned char *data, size_t at, int32_t type, float value)
{
    uint16_t half = type == TS_MODEL_TYPE_F16 ? ts_f32_to_f16(value) : ts_f32_to_bf16(value);
    if (type == TS_MODEL_TYPE_F32)
        memcpy(data + at * sizeof value, &value, sizeof value);
    else
        memcpy(data + at * sizeof half, &half, sizeof half);
}

/* What saving works with; freed by the caller. */
typedef struct saving {
    const ts_model *model;
    int32_t type;
    unsigned char *data; /* all tensors behind one another, as they will be in the file */
    ts_safetensors_entry *entries;
    char (*names)[TS_PARAMETER_NAME];
    uint64_t (*shapes)[2];
} saving;

static ts_status convert(saving *s)
{
    const ts_model *model = s->model;
    size_t element = ts_dtype_size(types[s->type].dtype), offset = 0;
    s->data = ts_allocate_array(model->runtime, model->total, element);
    s->entries = ts_allocate_array(model->runtime, model->table_count, sizeof *s->entries);
    s->names = ts_allocate_array(model->runtime, model->table_count, sizeof *s->names);
    s->shapes = ts_allocate_array(model->runtime, model->table_count, sizeof *s->shapes);
    if (s->data == NULL || s->entries == NULL || s->names == NULL || s->shapes == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        const float *values = model->weights.all[p->layer][p->slot];
        ts_parameter_name(p->huggingface, p->layer, s->names[i]);
        s->shapes[i][0] = p->rank == 1 || p->transposed ? p->columns : p->rows;
        s->shapes[i][1] = p->transposed ? p->rows : p->columns;
        s->entries[i] = (ts_safetensors_entry){s->names[i], types[s->type].dtype, p->rank, s->shapes[i], s->data + offset * element};
        for (size_t row = 0; row < p->rows; row++)
            for (size_t column = 0; column < p->columns; column++)
                put_value(s->data, offset + place_of(p, model->shape.D, p->rows, row, column), s->type, values[row * p->columns + column]);
        offset += p->rows * p->columns;
    }
    return TS_OK;
}

static ts_status save_text(const ts_model *model, const char *folder, const char *name, const ts_bytes *text)
{
    path_text path;
    ts_writer file;
    TS_TRY(path_in(folder, name, &path));
    TS_TRY(ts_writer_open(&file, model->runtime, path.text));
    ts_writer_bytes(&file, text->data, text->size);
    return ts_writer_commit(&file);
}

static ts_status save_tensors(saving *s, const char *folder)
{
    static const ts_safetensors_pair format = {"format", "pt"}; /* transformers asks for it */
    path_text path;
    ts_writer file;
    TS_TRY(convert(s));
    TS_TRY(path_in(folder, "model.safetensors", &path));
    TS_TRY(ts_writer_open(&file, s->model->runtime, path.text));
    ts_status status = ts_safetensors_write(&file, s->model->runtime, s->entries, s->model->table_count, &format, 1, false);
    if (status == TS_OK)
        return ts_writer_commit(&file);
    ts_writer_abandon(&file);
    return status;
}

static ts_status save_all(saving *s, const char *folder, ts_bytes *config, ts_bytes *tokenizer, ts_bytes *tokenizer_config)
{
    const ts_tokenizer *t = s->model->tokenizer;
    TS_TRY(ts_tokenizer_to_json(t, tokenizer)); /* first, as it may be of a kind that cannot be written */
    TS_TRY(ts_tokenizer_config_to_json(t, s->model->architecture.context_length, tokenizer_config));
    TS_TRY(ts_huggingface_write_config(config, &s->model->architecture, types[s->type].name, ts_tokenizer_begin_of_text(t),
                                       ts_tokenizer_end_of_text(t)));
    TS_TRY(ts_directory_make(s->model->runtime, folder));
    TS_TRY(save_tensors(s, folder));
    TS_TRY(save_text(s->model, folder, "tokenizer.json", tokenizer));
    TS_TRY(save_text(s->model, folder, "tokenizer_config.json", tokenizer_config));
    return save_text(s->model, folder, "config.json", config);
}

ts_status ts_huggingface_model_save(const ts_model *model, const char *folder, int32_t type)
{
    TS_TRY(ts_json_expected(folder));
    ts_runtime *runtime = model->runtime;
    saving s = {.model = model, .type = type};
    ts_bytes config = {.runtime = runtime}, tokenizer = {.runtime = runtime}, tokenizer_config = {.runtime = runtime};
    ts_status status = save_all(&s, folder, &config, &tokenizer, &tokenizer_config);
    ts_bytes_free(&config);
    ts_bytes_free(&tokenizer);
    ts_bytes_free(&tokenizer_config);
    void *const all[] = {s.data, s.entries, s.names, s.shapes};
    for (size_t i = 0; i < TS_COUNT_OF(all); i++)
        ts_release(runtime, all[i]);
    return status;
}
