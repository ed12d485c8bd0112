/* rabbitmq-c: amqp_basic_publish, amqp_consume_message, and confirms read as frames. */
#include "measuring.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNEL = 1, CALLS_AT_ONCE = 100, HEADERS = 5, WARM_UP_SHARE = 50 };
static const char REPLY_TO[] = "amq.rabbitmq.reply-to";

struct options {
    const char *scenario, *url, *properties, *queue, *queue_type;
    uint64_t count, warm_up, window;
    size_t body;
    uint16_t prefetch;
};

struct client {
    struct options options;
    amqp_connection_state_t connection;
    amqp_bytes_t queue, body;
    amqp_basic_properties_t properties;
    amqp_table_entry_t headers[HEADERS];
    uint64_t published, unconfirmed;
    uint64_t oldest;  /* delivery tag of the oldest message that is not confirmed */
    bool *confirmed;  /* by delivery tag, a ring as long as the window */
    struct measurement measurement;
};

/* --- what goes wrong ends the program ---------------------------------------------------- */

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void check(int status, const char *what)
{
    if (status != AMQP_STATUS_OK)
        fail(what, amqp_error_string2(status));
}

static void check_reply(amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        fail(what, amqp_error_string2(reply.library_error));
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        fail(what, "refused by the broker");
}

/* --- setting up --------------------------------------------------------------------------- */

static struct options parse(int argc, char **argv)
{
    struct options options = {.url = "amqp://guest:guest@127.0.0.1:5672/", .properties = "none",
                              .queue = "bench", .count = 10000, .window = 100, .body = 100,
                              .prefetch = 100};
    if (argc < 2)
        fail("rabbitmq_c_client", "no scenario given");
    options.scenario = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--url")) options.url = value;
        else if (!strcmp(name, "--count")) options.count = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--body")) options.body = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--properties")) options.properties = value;
        else if (!strcmp(name, "--window")) options.window = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--prefetch")) options.prefetch = (uint16_t)atoi(value);
        else if (!strcmp(name, "--queue")) options.queue = value;
        else if (!strcmp(name, "--queue-type")) options.queue_type = value;
    }
    options.warm_up = options.count / WARM_UP_SHARE ? options.count / WARM_UP_SHARE : 1;
    if (!strcmp(options.scenario, "confirm-each"))
        options.window = 1;
    return options;
}

static amqp_table_entry_t text(const char *key, const char *value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value = {.kind = AMQP_FIELD_KIND_UTF8,
                                          .value.bytes = amqp_cstring_bytes(value)}};
}

static amqp_table_entry_t number(const char *key, uint8_t kind, int64_t value)
{
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(key), .value.kind = kind};
    if (kind == AMQP_FIELD_KIND_BOOLEAN)
        entry.value.value.boolean = (amqp_boolean_t)value;
    else
        entry.value.value.i64 = value;
    return entry;
}

static void set_properties(struct client *client)
{
    amqp_basic_properties_t *properties = &client->properties;
    const int64_t created = 1767323045;
    if (!strcmp(client->options.properties, "none"))
        return;
    properties->_flags =
        AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
    properties->delivery_mode = AMQP_DELIVERY_PERSISTENT;
    properties->content_type = amqp_cstring_bytes("application/json");
    properties->message_id = amqp_cstring_bytes("1f0c9e3a77b1");
    if (!strcmp(client->options.properties, "three"))
        return;
    properties->_flags |= AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                          AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG |
                          AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_PRIORITY_FLAG |
                          AMQP_BASIC_HEADERS_FLAG;
    properties->correlation_id = amqp_cstring_bytes("9a1d2f7c");
    properties->reply_to = amqp_cstring_bytes("answers");
    properties->timestamp = (uint64_t)created;
    properties->type = amqp_cstring_bytes("order.created");
    properties->app_id = amqp_cstring_bytes("shop");
    properties->priority = 5;
    client->headers[0] = number("attempt", AMQP_FIELD_KIND_I64, 3);
    client->headers[1] = number("first-seen", AMQP_FIELD_KIND_TIMESTAMP, created);
    client->headers[2] = number("replayed", AMQP_FIELD_KIND_BOOLEAN, 0);
    client->headers[3] = text("source", "checkout");
    client->headers[4] = text("trace-id", "4bf92f3577b34da6a3ce929d0e0e4736");
    properties->headers = (amqp_table_t){.num_entries = HEADERS, .entries = client->headers};
}

static void declare(struct client *client, bool passive)
{
    const char *type = client->options.queue_type;
    amqp_table_entry_t entry;
    amqp_table_t arguments = amqp_empty_table;
    if (type) {
        entry = text("x-queue-type", type);
        arguments = (amqp_table_t){.num_entries = 1, .entries = &entry};
    }
    amqp_queue_declare(client->connection, CHANNEL, client->queue, passive, type != NULL, 0, 0,
                       arguments);
    check_reply(amqp_get_rpc_reply(client->connection), "queue.declare");
}

static void consume(struct client *client, amqp_bytes_t queue, bool no_ack)
{
    const char *type = client->options.queue_type;
    amqp_table_entry_t entry = text("x-stream-offset", "first");
    amqp_table_t arguments = amqp_empty_table;
    if (type && !strcmp(type, "stream"))
        arguments = (amqp_table_t){.num_entries = 1, .entries = &entry};
    amqp_basic_consume(client->connection, CHANNEL, queue, amqp_empty_bytes, 0, no_ack, 0,
                       arguments);
    check_reply(amqp_get_rpc_reply(client->connection), "basic.consume");
}

static void set_up(struct client *client)
{
    struct amqp_connection_info address;
    char *url = strdup(client->options.url);
    check(amqp_parse_url(url, &address), "--url");
    const char *vhost = address.vhost[0] ? address.vhost : "/";
    client->connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(client->connection);
    check(amqp_socket_open(socket, address.host, address.port), "connect");
    check_reply(amqp_login(client->connection, vhost, AMQP_DEFAULT_MAX_CHANNELS,
                           AMQP_DEFAULT_FRAME_SIZE, 0, AMQP_SASL_METHOD_PLAIN, address.user,
                           address.password),
                "login");
    free(url);
    amqp_channel_open(client->connection, CHANNEL);
    check_reply(amqp_get_rpc_reply(client->connection), "channel.open");

    client->queue = amqp_cstring_bytes(client->options.queue);
    client->body = amqp_bytes_malloc(client->options.body);
    memset(client->body.bytes, 'x', client->body.len);
    client->measurement.waits = malloc(client->options.count * sizeof(double));
    client->confirmed = calloc(client->options.window, sizeof *client->confirmed);
    client->oldest = 1;
    set_properties(client);
    declare(client, false);
}

/* --- publishing --------------------------------------------------------------------------- */

static void publish_one(struct client *client, const amqp_basic_properties_t *properties)
{
    check(amqp_basic_publish(client->connection, CHANNEL, amqp_empty_bytes, client->queue, 0, 0,
                             properties, client->body),
          "basic.publish");
    client->published++;
}

static void publish(struct client *client, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        publish_one(client, &client->properties);
    declare(client, true); /* answered behind all that was published */
}

static void settle(struct client *client, uint64_t tag, bool multiple)
{
    uint64_t window = client->options.window;
    if (multiple) {
        for (; client->oldest <= tag; client->oldest++) {
            client->unconfirmed -= !client->confirmed[client->oldest % window];
            client->confirmed[client->oldest % window] = false;
        }
    } else {
        client->confirmed[tag % window] = true;
        client->unconfirmed--;
    }
    while (client->confirmed[client->oldest % window]) {
        client->confirmed[client->oldest % window] = false;
        client->oldest++;
    }
}

static void wait_for_confirm(struct client *client)
{
    amqp_frame_t frame;
    amqp_maybe_release_buffers(client->connection);
    check(amqp_simple_wait_frame(client->connection, &frame), "confirm");
    if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
        fail("confirm", "something else came");
    amqp_basic_ack_t *ack = frame.payload.method.decoded;
    settle(client, ack->delivery_tag, ack->multiple);
}

static void confirm(struct client *client, uint64_t count)
{
    uint64_t window = client->options.window;
    for (uint64_t i = 0; i < count; i++) {
        double begun = window == 1 ? now() : 0;
        publish_one(client, &client->properties);
        client->unconfirmed++;
        /* The range of tags that are on the way is what the ring has room for. */
        while (client->published + 1 - client->oldest >= window)
            wait_for_confirm(client);
        if (window == 1)
            client->measurement.waits[client->measurement.waited++] = now() - begun;
    }
    while (client->unconfirmed)
        wait_for_confirm(client);
}

/* --- consuming ---------------------------------------------------------------------------- */

static void receive(struct client *client, amqp_envelope_t *envelope)
{
    amqp_maybe_release_buffers(client->connection);
    check_reply(amqp_consume_message(client->connection, envelope, NULL, 0), "delivery");
}

static void deliveries(struct client *client, uint64_t count, bool acks)
{
    amqp_envelope_t envelope;
    for (uint64_t i = 0; i < count; i++) {
        receive(client, &envelope);
        if (acks)
            check(amqp_basic_ack(client->connection, CHANNEL, envelope.delivery_tag, 0),
                  "basic.ack");
        amqp_destroy_envelope(&envelope);
    }
}

/* --- calls -------------------------------------------------------------------------------- */

static void call(struct client *client, uint64_t count, uint64_t at_once)
{
    double begun[CALLS_AT_ONCE];
    char name[24];
    uint64_t called = 0, answered = 0;
    amqp_envelope_t envelope;
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG,
        .reply_to = amqp_cstring_bytes(REPLY_TO)};
    /* A slot of `begun` for each call on the way; the correlation id is the slot's number. */
    for (; called < at_once && called < count; called++) {
        snprintf(name, sizeof name, "%llu", (unsigned long long)called);
        properties.correlation_id = amqp_cstring_bytes(name);
        begun[called] = now();
        publish_one(client, &properties);
    }
    while (answered < count) {
        receive(client, &envelope);
        amqp_bytes_t id = envelope.message.properties.correlation_id;
        if (id.len >= sizeof name)
            fail("answer", "to another call");
        memcpy(name, id.bytes, id.len);
        name[id.len] = 0;
        uint64_t slot = strtoull(name, NULL, 10) % CALLS_AT_ONCE;
        double at = now();
        client->measurement.waits[client->measurement.waited++] = at - begun[slot];
        answered++;
        if (called < count) {
            properties.correlation_id = id;
            begun[slot] = at;
            publish_one(client, &properties);
            called++;
        }
        amqp_destroy_envelope(&envelope);
    }
}

/* --- the scenarios ------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    struct client client = {.options = parse(argc, argv)};
    struct measurement *measurement = &client.measurement;
    const char *scenario = client.options.scenario;
    uint64_t warm_up = client.options.warm_up, count = client.options.count;

    set_up(&client);
    if (!strcmp(scenario, "publish")) {
        publish(&client, warm_up);
        start(measurement);
        publish(&client, count);
    } else if (!strcmp(scenario, "confirm-each") || !strcmp(scenario, "confirm-window")) {
        amqp_confirm_select(client.connection, CHANNEL);
        check_reply(amqp_get_rpc_reply(client.connection), "confirm.select");
        confirm(&client, warm_up);
        start(measurement);
        confirm(&client, count);
    } else if (!strcmp(scenario, "consume") || !strcmp(scenario, "consume-ack")) {
        bool acks = !strcmp(scenario, "consume-ack");
        if (acks) {
            amqp_basic_qos(client.connection, CHANNEL, 0, client.options.prefetch, 0);
            check_reply(amqp_get_rpc_reply(client.connection), "basic.qos");
        }
        consume(&client, client.queue, !acks);
        deliveries(&client, warm_up, acks);
        count -= warm_up;
        start(measurement);
        deliveries(&client, count, acks);
    } else if (!strcmp(scenario, "rpc-each") || !strcmp(scenario, "rpc-many")) {
        uint64_t at_once = strcmp(scenario, "rpc-each") ? CALLS_AT_ONCE : 1;
        consume(&client, amqp_cstring_bytes(REPLY_TO), true);
        call(&client, warm_up, at_once);
        start(measurement);
        call(&client, count, at_once);
    } else {
        printf("{\"unsupported\": \"no scenario %s\"}\n", scenario);
        return 0;
    }
    stop(measurement, count);
    report(measurement, "rabbitmq-c", amqp_version());
    fflush(stdout);
    amqp_connection_close(client.connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(client.connection);
    return 0;
}
