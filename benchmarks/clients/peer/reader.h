/* Reading the fields of a frame; one that reaches beyond it ends the peer. */
#ifndef READER_H
#define READER_H

#include "peer.h"

/* What is left to read of a frame. */
struct reader {
    const uint8_t *at, *end;
};

static inline const uint8_t *skip(struct reader *reader, size_t length) {
    if ((size_t)(reader->end - reader->at) < length)
        give_up("a field reaches beyond its frame");
    reader->at += length;
    return reader->at - length;
}

static inline uint8_t get8(struct reader *reader) { return *skip(reader, 1); }

static inline uint16_t get16(struct reader *reader) {
    uint16_t value;
    memcpy(&value, skip(reader, 2), 2);
    return __builtin_bswap16(value);
}

static inline uint32_t get32(struct reader *reader) {
    uint32_t value;
    memcpy(&value, skip(reader, 4), 4);
    return __builtin_bswap32(value);
}

static inline uint64_t get64(struct reader *reader) {
    uint64_t value;
    memcpy(&value, skip(reader, 8), 8);
    return __builtin_bswap64(value);
}

static inline void get_text(struct reader *reader, struct text *text) {
    text->length = get8(reader);
    memcpy(text->bytes, skip(reader, text->length), text->length);
}

static inline void skip_text(struct reader *reader) { skip(reader, get8(reader)); }

#endif
