/* What arrives: frames, the methods in them, and the answers. */
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>

/* --- answers ------------------------------------------------------------------------------ */

static void answer(struct connection *connection, uint16_t channel, uint16_t class_id,
                   uint16_t method_id) {
    end_frame(&connection->out, begin_method(&connection->out, channel, class_id, method_id));
}

static void answer_count(struct connection *connection, uint16_t channel, uint16_t class_id,
                         uint16_t method_id) {
    size_t begun = begin_method(&connection->out, channel, class_id, method_id);
    put32(&connection->out, 0);
    end_frame(&connection->out, begun);
}

static void answer_text(struct connection *connection, uint16_t channel, uint16_t method_id,
                        const struct text *text) {
    size_t begun = begin_method(&connection->out, channel, 60, method_id);
    put_text(&connection->out, text);
    end_frame(&connection->out, begun);
}

static void start_connection(struct connection *connection) {
    static const char *const capabilities[] = {
        "publisher_confirms", "exchange_exchange_bindings", "basic.nack",
        "consumer_cancel_notify", "connection.blocked", "consumer_priorities",
        "authentication_failure_close", "per_consumer_qos", "direct_reply_to",
    };
    struct buffer table = {0}, properties = {0};
    for (size_t n = 0; n < sizeof capabilities / sizeof *capabilities; n++)
        put_literal(&table, capabilities[n]), put8(&table, 't'), put8(&table, 1);
    put_literal(&properties, "product"), put8(&properties, 'S');
    put32(&properties, 14), put_bytes(&properties, "synthetic peer", 14);
    put_literal(&properties, "version"), put8(&properties, 'S');
    put32(&properties, 5), put_bytes(&properties, "4.0.0", 5);
    put_literal(&properties, "capabilities"), put8(&properties, 'F');
    put32(&properties, (uint32_t)table.end), put_bytes(&properties, table.bytes, table.end);

    struct buffer *out = &connection->out;
    size_t begun = begin_method(out, 0, 10, 10);
    put8(out, 0), put8(out, 9);
    put32(out, (uint32_t)properties.end), put_bytes(out, properties.bytes, properties.end);
    put32(out, 5), put_bytes(out, "PLAIN", 5);
    put32(out, 5), put_bytes(out, "en_US", 5);
    end_frame(out, begun);
    free(table.bytes);
    free(properties.bytes);
}

static void tune(struct connection *connection) {
    size_t begun = begin_method(&connection->out, 0, 10, 30);
    put16(&connection->out, CHANNEL_MAX);
    put32(&connection->out, FRAME_MAX);
    put16(&connection->out, 0);
    end_frame(&connection->out, begun);
}

/* --- methods ------------------------------------------------------------------------------ */

static struct channel *open_channel(struct connection *connection, uint16_t number) {
    struct channel *channel = claim(NULL, sizeof *channel);
    memset(channel, 0, sizeof *channel);
    channel->number = number;
    channel->oldest = 1;
    connection->channels[number] = channel;
    size_t begun = begin_method(&connection->out, number, 20, 11);
    put32(&connection->out, 0);
    end_frame(&connection->out, begun);
    return channel;
}

static void name(struct connection *connection, struct text *text, const char *kind) {
    if (text->length == 0)
        text->length = (uint8_t)snprintf(text->bytes, SHORT_MAX, "amq.%s-%llu", kind,
                                         (unsigned long long)++connection->names);
}

static void declare_queue(struct connection *connection, uint16_t channel, struct reader *reader) {
    struct text queue;
    skip(reader, 2);
    get_text(reader, &queue);
    name(connection, &queue, "gen");
    if (get8(reader) & 16)
        return; /* no_wait */
    size_t begun = begin_method(&connection->out, channel, 50, 11);
    put_text(&connection->out, &queue);
    put32(&connection->out, 0);
    put32(&connection->out, 0);
    end_frame(&connection->out, begun);
}

static void consume(struct connection *connection, struct channel *channel,
                    struct reader *reader) {
    struct text queue, tag;
    skip(reader, 2);
    get_text(reader, &queue);
    get_text(reader, &tag);
    name(connection, &tag, "ctag");
    uint8_t bits = get8(reader);
    if (!(bits & 8))
        answer_text(connection, channel->number, 21, &tag);
    if (is_direct_reply(&queue)) {
        channel->has_reply_consumer = true;
        channel->reply_tag = tag;
        return;
    }
    start_consumer(connection, channel, &queue, &tag, bits & 2);
}

static void cancel(struct connection *connection, struct channel *channel, struct reader *reader) {
    struct text tag;
    get_text(reader, &tag);
    for (size_t n = 0; n < channel->consumer_count; n++) {
        struct consumer *consumer = channel->consumers[n];
        if (consumer->tag.length == tag.length &&
            memcmp(consumer->tag.bytes, tag.bytes, tag.length) == 0)
            stop_consumer(connection, consumer);
    }
    if (!(get8(reader) & 1))
        answer_text(connection, channel->number, 31, &tag);
}

/* Skip `texts` names behind the ticket, and answer unless told not to. */
static void simple(struct connection *connection, uint16_t channel, struct reader *reader,
                   uint32_t method, int texts, uint8_t no_wait, bool counts) {
    skip(reader, 2);
    while (texts-- > 0)
        skip_text(reader);
    if (get8(reader) & no_wait)
        return;
    uint16_t class_id = (uint16_t)(method >> 16), reply = (uint16_t)(method & 0xFFFF) + 1;
    if (counts)
        answer_count(connection, channel, class_id, reply);
    else
        answer(connection, channel, class_id, reply);
}

#define METHOD(class_id, method_id) ((uint32_t)(class_id) << 16 | (method_id))

static void take_connection_method(struct connection *connection, uint32_t method,
                                   struct reader *reader) {
    struct text vhost;
    char name[SHORT_MAX + 1] = "";
    unsigned long long lag = 0;
    size_t begun;
    switch (method) {
    case METHOD(10, 11): /* start-ok */
        tune(connection);
        return;
    case METHOD(10, 31): /* tune-ok */
        skip(reader, 2);
        connection->frame_max = get32(reader);
        if (connection->frame_max == 0 || connection->frame_max > FRAME_MAX)
            connection->frame_max = FRAME_MAX;
        return;
    case METHOD(10, 40): /* open: the virtual host lag-N leaves N publishes unconfirmed */
        get_text(reader, &vhost);
        memcpy(name, vhost.bytes, vhost.length);
        sscanf(name, "lag-%llu", &lag);
        connection->lag = lag;
        begun = begin_method(&connection->out, 0, 10, 41);
        put8(&connection->out, 0);
        end_frame(&connection->out, begun);
        return;
    case METHOD(10, 50): /* close */
        answer(connection, 0, 10, 51);
        connection->closing = true;
        return;
    case METHOD(10, 51): /* close-ok */
        connection->closing = true;
        return;
    case METHOD(10, 70): /* update-secret */
        answer(connection, 0, 10, 71);
        return;
    default:
        give_up("connection method %u.%u is not supported", method >> 16, method & 0xFFFF);
    }
}

static void take_channel_method(struct connection *connection, struct channel *channel,
                                uint32_t method, struct reader *reader) {
    uint16_t number = channel->number;
    uint64_t tag;
    size_t begun;
    switch (method) {
    case METHOD(60, 40): /* publish: where to does not matter */
        channel->content = AWAITS_HEADER;
        return;
    case METHOD(60, 80):  /* ack */
    case METHOD(60, 120): /* nack */
        tag = get64(reader);
        settle(channel, tag, get8(reader) & 1);
        return;
    case METHOD(60, 90): /* reject */
        settle(channel, get64(reader), false);
        return;
    case METHOD(60, 10): /* qos */
        skip(reader, 4);
        channel->prefetch = get16(reader);
        confirm(connection, channel, channel->published);
        answer(connection, number, 60, 11);
        return;
    case METHOD(60, 20):
        consume(connection, channel, reader);
        return;
    case METHOD(60, 30):
        cancel(connection, channel, reader);
        return;
    case METHOD(60, 70): /* get: there is never anything to get */
        begun = begin_method(&connection->out, number, 60, 72);
        put8(&connection->out, 0);
        end_frame(&connection->out, begun);
        return;
    case METHOD(85, 10): /* confirm.select */
        channel->confirms = true;
        channel->published = channel->confirmed = 0;
        if (!(get8(reader) & 1))
            answer(connection, number, 85, 11);
        return;
    case METHOD(50, 10):
        declare_queue(connection, number, reader);
        return;
    case METHOD(50, 20): /* queue.bind */
        simple(connection, number, reader, method, 3, 1, false);
        return;
    case METHOD(50, 30): /* queue.purge */
        simple(connection, number, reader, method, 1, 1, true);
        return;
    case METHOD(50, 40): /* queue.delete */
        simple(connection, number, reader, method, 1, 4, true);
        return;
    case METHOD(40, 10): /* exchange.declare */
        simple(connection, number, reader, method, 2, 16, false);
        return;
    case METHOD(40, 20): /* exchange.delete */
        simple(connection, number, reader, method, 1, 2, false);
        return;
    case METHOD(20, 40): /* channel.close */
        answer(connection, number, 20, 41);
        free_channel(connection, channel);
        return;
    default:
        give_up("channel %u: method %u.%u is not supported", number, method >> 16,
                method & 0xFFFF);
    }
}

static void take_frame(struct connection *connection, uint8_t type, uint16_t number,
                       struct reader reader) {
    if (type == FRAME_HEARTBEAT)
        return;
    if (number > CHANNEL_MAX)
        give_up("channel %u is above the maximum", number);
    struct channel *channel = connection->channels[number];
    if (type == FRAME_METHOD) {
        uint32_t method = get32(&reader);
        if (number == 0)
            take_connection_method(connection, method, &reader);
        else if (method == METHOD(20, 10) && channel == NULL)
            open_channel(connection, number);
        else if (channel != NULL)
            take_channel_method(connection, channel, method, &reader);
        else
            give_up("channel %u is not open", number);
        return;
    }
    if (channel == NULL)
        give_up("channel %u is not open", number);
    if (type == FRAME_HEADER)
        take_header(connection, channel, &reader);
    else if (type == FRAME_BODY)
        take_body(connection, channel, &reader);
    else
        give_up("frame of type %u", type);
}

size_t take(struct connection *connection, const uint8_t *bytes, size_t length) {
    size_t used = 0;
    if (!connection->greeted) {
        if (length < 8)
            return 0;
        if (memcmp(bytes, "AMQP\0\0\x09\x01", 8) != 0)
            give_up("another protocol than AMQP 0-9-1");
        connection->greeted = true;
        start_connection(connection);
        used = 8;
    }
    while (length - used >= FRAME_OVERHEAD && !connection->closing) {
        const uint8_t *frame = bytes + used;
        uint32_t size = (uint32_t)frame[3] << 24 | (uint32_t)frame[4] << 16 | frame[5] << 8 | frame[6];
        if (size > connection->frame_max - FRAME_OVERHEAD)
            give_up("a frame of %u bytes, beyond the limit of %u", size, connection->frame_max);
        if (length - used < (size_t)size + FRAME_OVERHEAD)
            break;
        if (frame[7 + size] != FRAME_END)
            give_up("a frame without its end");
        struct reader reader = {frame + 7, frame + 7 + size};
        take_frame(connection, frame[0], (uint16_t)(frame[1] << 8 | frame[2]), reader);
        used += (size_t)size + FRAME_OVERHEAD;
    }
    return used;
}
