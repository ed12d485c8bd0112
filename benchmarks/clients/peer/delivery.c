/* Deliveries: as many as the queue's name says, and at once as many as the prefetch allows. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 128 * 1024 };

/* The property sets; adapters publish the same ones. Flags are those of the content header. */
static void put_headers(struct buffer *out) {
    size_t at = out->end - out->start;
    put32(out, 0);
    put_literal(out, "attempt"), put8(out, 'I'), put32(out, 3);
    put_literal(out, "first-seen"), put8(out, 'T'), put64(out, 1767323045);
    put_literal(out, "replayed"), put8(out, 't'), put8(out, 0);
    put_literal(out, "source"), put8(out, 'S'), put32(out, 8), put_bytes(out, "checkout", 8);
    put_literal(out, "trace-id"), put8(out, 'S'), put32(out, 32);
    put_bytes(out, "4bf92f3577b34da6a3ce929d0e0e4736", 32);
    uint8_t *table = out->bytes + out->start + at;
    uint32_t size = __builtin_bswap32((uint32_t)(out->bytes + out->end - table - 4));
    memcpy(table, &size, 4);
}

static void put_properties(struct buffer *out, const char *set) {
    if (strcmp(set, "three") == 0) {
        put16(out, 0x9080); /* content_type, delivery_mode, message_id */
        put_literal(out, "application/json");
        put8(out, 2);
        put_literal(out, "1f0c9e3a77b1");
    } else if (strcmp(set, "ten") == 0) {
        put16(out, 0xBEE8); /* all but content_encoding, expiration, user_id, cluster_id */
        put_literal(out, "application/json");
        put_headers(out);
        put8(out, 2), put8(out, 5);
        put_literal(out, "9a1d2f7c"), put_literal(out, "replies"), put_literal(out, "1f0c9e3a77b1");
        put64(out, 1767323045);
        put_literal(out, "order.created"), put_literal(out, "shop");
    } else {
        put16(out, 0);
    }
}

/* The queue's name says what is in it: bench-BODY-PROPERTIES-COUNT, such as bench-100-three-5000.
   Without a count there is no end of it. */
static void put_delivery(struct buffer *out, struct connection *connection,
                         struct consumer *consumer, const struct text *queue) {
    char name[SHORT_MAX + 1] = "", set[SHORT_MAX + 1] = "none";
    unsigned long long size = 100;
    memcpy(name, queue->bytes, queue->length);
    unsigned long long left = UINT64_MAX;
    sscanf(name, "bench-%llu-%[a-z]-%llu", &size, set, &left);
    consumer->left = left;
    uint16_t channel = consumer->channel->number;

    size_t begun = begin_method(out, channel, 60, 60);
    put_text(out, &consumer->tag);
    consumer->tag_at = out->end - out->start;
    put64(out, 0), put8(out, 0), put_literal(out, ""), put_text(out, queue);
    end_frame(out, begun);
    begun = begin_frame(out, FRAME_HEADER, channel);
    put16(out, 60), put16(out, 0), put64(out, size);
    put_properties(out, set);
    end_frame(out, begun);
    uint8_t *body = claim(NULL, size + 1);
    memset(body, 'x', size);
    put_body(out, channel, connection->frame_max, body, size);
    free(body);
}

struct consumer *start_consumer(struct connection *connection, struct channel *channel,
                                const struct text *queue, const struct text *tag, bool no_ack) {
    struct consumer *consumer = claim(NULL, sizeof *consumer);
    memset(consumer, 0, sizeof *consumer);
    consumer->channel = channel;
    consumer->tag = *tag;
    consumer->live = true;
    consumer->no_ack = no_ack;
    consumer->prefetch = no_ack ? 0 : channel->prefetch;
    struct buffer one = {0};
    put_delivery(&one, connection, consumer, queue);
    consumer->one = one.end;
    consumer->count = one.end < BLOCK_SIZE ? BLOCK_SIZE / one.end : 1;
    if (consumer->prefetch > 0 && consumer->prefetch < consumer->count)
        consumer->count = consumer->prefetch;
    consumer->block = claim(NULL, consumer->one * consumer->count);
    for (size_t n = 0; n < consumer->count; n++)
        memcpy(consumer->block + n * consumer->one, one.bytes, consumer->one);
    free(one.bytes);

    size_t count = ++channel->consumer_count;
    channel->consumers = claim(channel->consumers, count * sizeof *channel->consumers);
    channel->consumers[count - 1] = consumer;
    consumer->id = (uint16_t)count;
    if (connection->consumer_count == connection->consumer_room) {
        connection->consumer_room = connection->consumer_room ? 2 * connection->consumer_room : 1;
        connection->consumers = claim(connection->consumers,
                                      connection->consumer_room * sizeof *connection->consumers);
    }
    connection->consumers[connection->consumer_count++] = consumer;
    return consumer;
}

/* Its block stays until the channel is gone: the socket may not have taken all of it. */
void stop_consumer(struct connection *connection, struct consumer *consumer) {
    if (!consumer->live)
        return;
    consumer->live = false;
    for (size_t n = 0; n < connection->consumer_count; n++)
        if (connection->consumers[n] == consumer) {
            connection->consumers[n] = connection->consumers[--connection->consumer_count];
            return;
        }
}

void free_channel(struct connection *connection, struct channel *channel) {
    for (size_t n = 0; n < channel->consumer_count; n++) {
        struct consumer *consumer = channel->consumers[n];
        stop_consumer(connection, consumer);
        const uint8_t *end = consumer->block + consumer->one * consumer->count;
        if (connection->block >= consumer->block && connection->block < end) {
            /* What the socket has not taken yet goes by copy, ahead of everything else. */
            struct buffer out = {0};
            put_bytes(&out, connection->block, (size_t)(connection->block_end - connection->block));
            put_bytes(&out, connection->out.bytes + connection->out.start,
                      connection->out.end - connection->out.start);
            free(connection->out.bytes);
            connection->out = out;
            connection->block = connection->block_end = NULL;
        }
        free(consumer->block);
        free(consumer);
    }
    for (size_t n = 0; n < connection->owing_count; n++)
        if (connection->owing[n] == channel)
            connection->owing[n--] = connection->owing[--connection->owing_count];
    connection->channels[channel->number] = NULL;
    free(channel->consumers);
    free(channel->ring);
    free(channel->request.bytes);
    free(channel);
}

static void remember(struct channel *channel, uint64_t tag, uint16_t id) {
    if (tag - channel->oldest >= channel->ring_size) {
        size_t size = channel->ring_size ? channel->ring_size : 128;
        while (tag - channel->oldest >= size)
            size *= 2;
        uint16_t *ring = claim(NULL, size * sizeof *ring);
        for (uint64_t each = channel->oldest; each < tag; each++)
            ring[each & (size - 1)] = channel->ring[each & (channel->ring_size - 1)];
        free(channel->ring);
        channel->ring = ring;
        channel->ring_size = size;
    }
    channel->ring[tag & (channel->ring_size - 1)] = id;
}

uint64_t next_tag(struct channel *channel, uint16_t id) {
    uint64_t tag = ++channel->delivered;
    if (id == 0 && channel->oldest == tag)
        channel->oldest++;
    else
        remember(channel, tag, id);
    return tag;
}

static void settle_one(struct channel *channel, uint64_t tag) {
    uint16_t *id = &channel->ring[tag & (channel->ring_size - 1)];
    if (*id > 0)
        channel->consumers[*id - 1]->unsettled--;
    *id = 0;
}

void settle(struct channel *channel, uint64_t tag, bool multiple) {
    if (multiple && tag == 0)
        tag = channel->delivered;
    if (tag < channel->oldest || tag > channel->delivered)
        give_up("channel %u: unknown delivery tag %llu; oldest is %llu, newest %llu",
                channel->number, (unsigned long long)tag, (unsigned long long)channel->oldest,
                (unsigned long long)channel->delivered);
    for (uint64_t each = multiple ? channel->oldest : tag; each <= tag; each++)
        settle_one(channel, each);
    size_t mask = channel->ring_size - 1;
    while (channel->oldest <= channel->delivered && channel->ring[channel->oldest & mask] == 0)
        channel->oldest++;
}

/* Give the next deliveries of a block their tags; return how many there may be. */
static size_t number_block(struct consumer *consumer) {
    struct channel *channel = consumer->channel;
    size_t count = consumer->count;
    if (consumer->prefetch > 0 && consumer->prefetch - consumer->unsettled < count)
        count = consumer->prefetch - consumer->unsettled;
    if (consumer->left < count)
        count = consumer->left;
    consumer->left -= count;
    uint8_t *at = consumer->block + consumer->tag_at;
    for (size_t n = 0; n < count; n++, at += consumer->one) {
        uint64_t wire = __builtin_bswap64(next_tag(channel, consumer->no_ack ? 0 : consumer->id));
        memcpy(at, &wire, 8);
    }
    if (!consumer->no_ack)
        consumer->unsettled += (uint32_t)count;
    return count;
}

const uint8_t *next_block(struct connection *connection, size_t *length) {
    for (size_t tries = connection->consumer_count; tries > 0; tries--) {
        connection->turn = (connection->turn + 1) % connection->consumer_count;
        struct consumer *consumer = connection->consumers[connection->turn];
        size_t count = number_block(consumer);
        if (count > 0) {
            *length = count * consumer->one;
            return consumer->block;
        }
    }
    return NULL;
}
