/* What the files of the GGUF reader share. */
#ifndef TS_GGUF_READER_H
#define TS_GGUF_READER_H

#include "format/gguf.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the formats of this library are little-endian and are read in place: it needs a little-endian machine"
#endif

struct ts_gguf {
    ts_runtime *runtime; /* the source's */
    ts_source *source;
    uint32_t version, alignment;
    ts_gguf_pair *pairs;
    size_t pair_count, pairs_capacity;
    ts_gguf_tensor *tensors;
    size_t tensor_count, tensors_capacity;
    const void **pairs_sorted;   /* to ts_gguf_pair, by key */
    const void **tensors_sorted; /* to ts_gguf_tensor, by name */
    ts_bytes names;              /* all keys and names, a NUL after each */
};

/* Bytes of a value of this type in the file; 0 for strings, arrays and what is no type. */
uint32_t ts_gguf_type_size(uint32_t type);

#endif
