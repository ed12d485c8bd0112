/* Bytes put together in network order, frame by frame. */
#include "peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("peer: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *claim(void *old, size_t size) {
    void *memory = realloc(old, size);
    if (memory == NULL)
        give_up("out of memory");
    return memory;
}

void buffer_reserve(struct buffer *buffer, size_t more) {
    if (buffer->room - buffer->end >= more)
        return;
    if (buffer->start > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->end - buffer->start);
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    size_t room = buffer->room ? buffer->room : 512;
    while (room - buffer->end < more)
        room *= 2;
    if (room != buffer->room)
        buffer->bytes = claim(buffer->bytes, buffer->room = room);
}

void put_bytes(struct buffer *buffer, const void *bytes, size_t length) {
    buffer_reserve(buffer, length);
    if (length > 0)
        memcpy(buffer->bytes + buffer->end, bytes, length);
    buffer->end += length;
}

void put8(struct buffer *buffer, uint8_t value) { put_bytes(buffer, &value, 1); }

void put16(struct buffer *buffer, uint16_t value) {
    value = __builtin_bswap16(value);
    put_bytes(buffer, &value, 2);
}

void put32(struct buffer *buffer, uint32_t value) {
    value = __builtin_bswap32(value);
    put_bytes(buffer, &value, 4);
}

void put64(struct buffer *buffer, uint64_t value) {
    value = __builtin_bswap64(value);
    put_bytes(buffer, &value, 8);
}

void put_text(struct buffer *buffer, const struct text *text) {
    put8(buffer, text->length);
    put_bytes(buffer, text->bytes, text->length);
}

void put_literal(struct buffer *buffer, const char *text) {
    put8(buffer, (uint8_t)strlen(text));
    put_bytes(buffer, text, strlen(text));
}

/* Positions count from the buffer's start, since reserving may move what is in it. */
size_t begin_frame(struct buffer *buffer, uint8_t type, uint16_t channel) {
    size_t begun = buffer->end - buffer->start;
    put8(buffer, type);
    put16(buffer, channel);
    put32(buffer, 0);
    return begun;
}

size_t begin_method(struct buffer *buffer, uint16_t channel, uint16_t class_id,
                    uint16_t method_id) {
    size_t begun = begin_frame(buffer, FRAME_METHOD, channel);
    put16(buffer, class_id);
    put16(buffer, method_id);
    return begun;
}

void end_frame(struct buffer *buffer, size_t begun) {
    uint8_t *frame = buffer->bytes + buffer->start + begun;
    uint32_t size = __builtin_bswap32((uint32_t)(buffer->bytes + buffer->end - frame - 7));
    memcpy(frame + 3, &size, 4);
    put8(buffer, FRAME_END);
}

void put_body(struct buffer *buffer, uint16_t channel, uint32_t frame_max, const uint8_t *body,
              uint64_t size) {
    uint64_t most = frame_max - FRAME_OVERHEAD;
    while (size > 0) {
        uint64_t part = size < most ? size : most;
        size_t begun = begin_frame(buffer, FRAME_BODY, channel);
        put_bytes(buffer, body, part);
        end_frame(buffer, begun);
        body += part;
        size -= part;
    }
}
