/* What a synthetic peer remembers of a connection, and the bytes it puts together. */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_HEARTBEAT = 8, FRAME_END = 0xCE };
enum { CHANNEL_MAX = 2047, FRAME_MAX = 131072, FRAME_OVERHEAD = 8, SHORT_MAX = 255 };

/* Bytes from start to end are in use. */
struct buffer {
    uint8_t *bytes;
    size_t start, end, room;
};

/* A short string of the protocol: its length, then its bytes. */
struct text {
    uint8_t length;
    char bytes[SHORT_MAX];
};

struct consumer {
    struct channel *channel;
    struct text tag;
    uint16_t id; /* its place among the consumers of the channel, from 1 */
    bool live, no_ack;
    uint32_t prefetch, unsettled;
    uint64_t left; /* how many more there are for it */
    /* Ready deliveries one behind the other, alike but for their delivery tags. */
    uint8_t *block;
    size_t one, count, tag_at;
};

struct channel {
    uint16_t number;
    bool confirms, owes_confirm;
    uint16_t prefetch;
    uint64_t published, confirmed, delivered;
    /* Whose each delivery is that is not settled: the ring holds consumer ids by delivery tag. */
    uint64_t oldest;
    uint16_t *ring;
    size_t ring_size;
    struct consumer **consumers;
    size_t consumer_count;
    /* The publish whose frames are arriving. */
    enum { NO_CONTENT, AWAITS_HEADER, AWAITS_BODY } content;
    uint64_t body_left;
    bool is_request;
    struct text correlation_id;
    struct buffer request;
    bool has_reply_consumer;
    struct text reply_tag;
};

struct connection {
    int socket;
    bool greeted, closing, again, hung_up;
    uint32_t frame_max;
    uint64_t lag;   /* how many publishes of a channel are left unconfirmed */
    uint64_t names; /* how many queues and consumers were given names here */
    struct buffer in, out;
    const uint8_t *block, *block_end; /* what is left of a block that the socket did not take whole */
    struct channel *channels[CHANNEL_MAX + 1];
    struct channel **owing; /* channels that owe a confirm */
    size_t owing_count, owing_room;
    struct consumer **consumers; /* all that are live */
    size_t consumer_count, consumer_room, turn;
};

/* protocol.c: what arrives. Returns how many of the bytes were used up. */
size_t take(struct connection *, const uint8_t *bytes, size_t length);

/* content.c: what is published. */
struct reader;
void take_header(struct connection *, struct channel *, struct reader *);
void take_body(struct connection *, struct channel *, struct reader *);
void confirm_all(struct connection *);
void confirm(struct connection *, struct channel *, uint64_t up_to);
bool is_direct_reply(const struct text *name);

/* delivery.c: what is delivered. */
struct consumer *start_consumer(struct connection *, struct channel *, const struct text *queue,
                                const struct text *tag, bool no_ack);
void stop_consumer(struct connection *, struct consumer *);
void settle(struct channel *, uint64_t tag, bool multiple);
/* Number a delivery; id is the consumer that settles it, or 0. */
uint64_t next_tag(struct channel *, uint16_t id);
/* The next deliveries that are allowed, or NULL. */
const uint8_t *next_block(struct connection *, size_t *length);
void free_channel(struct connection *, struct channel *);

/* buffer.c */
void *claim(void *old, size_t size);
void buffer_reserve(struct buffer *, size_t more);
void put_bytes(struct buffer *, const void *bytes, size_t length);
void put_text(struct buffer *, const struct text *);
void put_literal(struct buffer *, const char *text);
void put8(struct buffer *, uint8_t);
void put16(struct buffer *, uint16_t);
void put32(struct buffer *, uint32_t);
void put64(struct buffer *, uint64_t);
size_t begin_frame(struct buffer *, uint8_t type, uint16_t channel);
size_t begin_method(struct buffer *, uint16_t channel, uint16_t class_id, uint16_t method_id);
void end_frame(struct buffer *, size_t begun);
void put_body(struct buffer *, uint16_t channel, uint32_t frame_max, const uint8_t *body,
              uint64_t size);
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
