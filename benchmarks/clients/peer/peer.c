/* A synthetic AMQP 0-9-1 peer: what a client under measurement talks to, far cheaper than any client.

   Usage: peer [PORT]; prints the port it listens on at 127.0.0.1, and serves until it is killed or
   its parent ends. It takes every publish and keeps none, confirms all of a read at once, and
   delivers what the queue's name says: bench-BODY-PROPERTIES-COUNT, with the body's size in bytes,
   none, three or ten, and how many; without end if that is left out. A request to whatever queue with a direct reply-to is answered by
   its own body. What it does not know ends it with a message: a benchmark must not go on. */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 512 * 1024, READS_AT_ONCE = 16, BLOCKS_AT_ONCE = 16, EVENTS = 256 };

static uint8_t arrived[READ_SIZE];
static int poller;

/* Connections that have more to do than their turn allowed. */
static struct connection **waiting;
static size_t waiting_count, waiting_room;

static void come_back(struct connection *connection) {
    if (connection->again)
        return;
    connection->again = true;
    if (waiting_count == waiting_room) {
        waiting_room = waiting_room ? 2 * waiting_room : 16;
        waiting = claim(waiting, waiting_room * sizeof *waiting);
    }
    waiting[waiting_count++] = connection;
}

static void hang_up(struct connection *connection) {
    close(connection->socket);
    for (size_t n = 0; n < waiting_count; n++)
        if (waiting[n] == connection)
            waiting[n--] = waiting[--waiting_count];
    for (uint32_t n = 0; n <= CHANNEL_MAX; n++)
        if (connection->channels[n] != NULL)
            free_channel(connection, connection->channels[n]);
    free(connection->in.bytes);
    free(connection->out.bytes);
    free(connection->owing);
    free(connection->consumers);
    free(connection);
}

/* Write as much as the socket takes; return whether that was all. */
static bool send_some(struct connection *connection, const uint8_t **from, const uint8_t *end) {
    while (*from < end) {
        ssize_t sent = send(connection->socket, *from, (size_t)(end - *from), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false; /* full, or broken: then reading will tell */
        *from += sent;
    }
    return true;
}

/* Write what is due and then deliveries, until the socket is full. */
static void write_out(struct connection *connection) {
    struct buffer *out = &connection->out;
    for (int blocks = 0;; blocks++) {
        if (!send_some(connection, &connection->block, connection->block_end))
            return;
        connection->block = connection->block_end = NULL;
        const uint8_t *from = out->bytes + out->start;
        bool all = send_some(connection, &from, out->bytes + out->end);
        out->start = (size_t)(from - out->bytes);
        if (!all)
            return;
        out->start = out->end = 0;
        if (connection->closing)
            return;
        if (blocks == BLOCKS_AT_ONCE) {
            come_back(connection);
            return;
        }
        size_t length;
        connection->block = next_block(connection, &length);
        if (connection->block == NULL)
            return;
        connection->block_end = connection->block + length;
    }
}

/* Read what is there; return whether the connection goes on. */
static bool read_in(struct connection *connection) {
    struct buffer *in = &connection->in;
    for (int reads = 0; reads < READS_AT_ONCE; reads++) {
        size_t kept = in->end;
        if (kept > 0)
            memcpy(arrived, in->bytes, kept);
        ssize_t got = recv(connection->socket, arrived + kept, READ_SIZE - kept, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (got <= 0)
            return false;
        size_t length = kept + (size_t)got, used = take(connection, arrived, length);
        in->end = 0;
        if (used < length)
            put_bytes(in, arrived + used, length - used);
        confirm_all(connection);
        write_out(connection);
        if (connection->closing)
            return true;
        if (length < READ_SIZE && !connection->hung_up)
            return true; /* an edge will tell of more */
    }
    come_back(connection);
    return true;
}

/* Tell whether close-ok is out, which may have to wait behind deliveries. */
static bool closed(const struct connection *connection) {
    return connection->closing && connection->block == NULL &&
           connection->out.start == connection->out.end;
}

static void serve(struct connection *connection) {
    bool open = read_in(connection);
    if (open)
        write_out(connection);
    if (!open || closed(connection)) {
        shutdown(connection->socket, SHUT_WR);
        hang_up(connection);
    }
}

static void accept_all(int listener) {
    for (;;) {
        int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0)
            return;
        int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *connection = claim(NULL, sizeof *connection);
        memset(connection, 0, sizeof *connection);
        connection->socket = socket;
        connection->frame_max = FRAME_MAX;
        struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = connection}};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, socket, &event) < 0)
            give_up("epoll_ctl: %s", strerror(errno));
    }
}

static int listen_on(uint16_t port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        give_up("port %u: %s", port, strerror(errno));
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count, char **words) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int listener = listen_on(count > 1 ? (uint16_t)atoi(words[1]) : 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}}, events[EVENTS];
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0)
        give_up("epoll: %s", strerror(errno));
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, waiting_count > 0 ? 0 : -1);
        for (int n = 0; n < ready; n++) {
            struct connection *connection = events[n].data.ptr;
            if (connection == NULL) {
                accept_all(listener);
                continue;
            }
            connection->hung_up |= (events[n].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
            come_back(connection);
        }
        size_t turn = waiting_count;
        for (size_t n = 0; n < turn; n++) {
            struct connection *connection = waiting[n];
            waiting[n] = NULL;
            connection->again = false;
            serve(connection);
        }
        waiting_count -= turn;
        if (waiting_count > 0)
            memmove(waiting, waiting + turn, waiting_count * sizeof *waiting);
    }
}
