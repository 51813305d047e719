/*
 * The room of files: what other rooms may use of it. Formats alone, no meaning: which keys and tensors a model has is the model's business.
 * Runtimes and sources are borrowed throughout: the handle that calls keeps them alive.
 */
#ifndef TS_FORMAT_H
#define TS_FORMAT_H

#include "format/gguf.h"
#include "format/gzip.h"
#include "format/json.h"
#include "format/llama2c.h"
#include "format/order.h"
#include "format/safetensors.h"
#include "format/stories.h"
#include "format/tokens.h"

#endif
