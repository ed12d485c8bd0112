/* Contents that are published: confirmed together, and requests answered. */
#include "reader.h"

static const char DIRECT_REPLY[] = "amq.rabbitmq.reply-to";

bool is_direct_reply(const struct text *name) {
    size_t length = sizeof DIRECT_REPLY - 1;
    return name->length >= length && memcmp(name->bytes, DIRECT_REPLY, length) == 0;
}

void confirm(struct connection *connection, struct channel *channel, uint64_t up_to) {
    if (!channel->confirms || up_to <= channel->confirmed)
        return;
    size_t begun = begin_method(&connection->out, channel->number, 60, 80);
    put64(&connection->out, channel->confirmed = up_to);
    put8(&connection->out, 1);
    end_frame(&connection->out, begun);
}

void confirm_all(struct connection *connection) {
    for (size_t n = 0; n < connection->owing_count; n++) {
        struct channel *channel = connection->owing[n];
        if (channel->published > connection->lag)
            confirm(connection, channel, channel->published - connection->lag);
        channel->owes_confirm = false;
    }
    connection->owing_count = 0;
}

static void published(struct connection *connection, struct channel *channel) {
    channel->content = NO_CONTENT;
    channel->published++;
    if (channel->confirms && !channel->owes_confirm) {
        channel->owes_confirm = true;
        if (connection->owing_count == connection->owing_room) {
            connection->owing_room = connection->owing_room ? 2 * connection->owing_room : 1;
            connection->owing =
                claim(connection->owing, connection->owing_room * sizeof *connection->owing);
        }
        connection->owing[connection->owing_count++] = channel;
    }
    if (!channel->is_request)
        return;
    struct buffer *out = &connection->out, *body = &channel->request;
    size_t begun = begin_method(out, channel->number, 60, 60);
    put_text(out, &channel->reply_tag);
    put64(out, next_tag(channel, 0)), put8(out, 0), put_literal(out, ""), put_literal(out, DIRECT_REPLY);
    end_frame(out, begun);
    begun = begin_frame(out, FRAME_HEADER, channel->number);
    put16(out, 60), put16(out, 0), put64(out, body->end);
    put16(out, 0x0400), put_text(out, &channel->correlation_id);
    end_frame(out, begun);
    put_body(out, channel->number, connection->frame_max, body->bytes, body->end);
    body->end = 0;
}

/* Look for a request: a reply_to that is the direct one, and its correlation_id. */
static void take_properties(struct channel *channel, struct reader *reader) {
    uint16_t flags = get16(reader);
    channel->is_request = false;
    if (!(flags & 0x0200))
        return;
    if (flags & 0x8000)
        skip_text(reader); /* content_type */
    if (flags & 0x4000)
        skip_text(reader); /* content_encoding */
    if (flags & 0x2000)
        skip(reader, get32(reader)); /* headers */
    skip(reader, !!(flags & 0x1000) + !!(flags & 0x0800)); /* delivery_mode, priority */
    channel->correlation_id.length = 0;
    if (flags & 0x0400)
        get_text(reader, &channel->correlation_id);
    struct text reply_to;
    get_text(reader, &reply_to);
    channel->is_request = is_direct_reply(&reply_to);
    if (channel->is_request && !channel->has_reply_consumer)
        give_up("channel %u: a request without a consumer of %s", channel->number, DIRECT_REPLY);
}

void take_header(struct connection *connection, struct channel *channel,
                 struct reader *reader) {
    if (channel->content != AWAITS_HEADER)
        give_up("channel %u: a header without its method", channel->number);
    skip(reader, 4); /* class and weight */
    channel->body_left = get64(reader);
    take_properties(channel, reader);
    channel->content = AWAITS_BODY;
    if (channel->body_left == 0)
        published(connection, channel);
}

void take_body(struct connection *connection, struct channel *channel, struct reader *reader) {
    size_t size = (size_t)(reader->end - reader->at);
    if (channel->content != AWAITS_BODY || size > channel->body_left)
        give_up("channel %u: a body that no header has announced", channel->number);
    if (channel->is_request)
        put_bytes(&channel->request, reader->at, size);
    channel->body_left -= size;
    if (channel->body_left == 0)
        published(connection, channel);
}
