/* Stand-in vendor for measurements: one thread, OpenAI chat and Anthropic messages, whole and streamed.
 *
 * usage: upstream PORT:FIRST_BYTE_MS:CHUNKS:INTERVAL_US ...
 *
 * Each argument is a listener on 127.0.0.1 with its own behaviour: how long it waits before its first byte, how many text
 * chunks a stream has, and how far apart they are (0: all at once, each in a write of its own, as a fast vendor flushes).
 * A path that ends in /messages is answered in Anthropic's dialect, every other POST in OpenAI's, a GET by a model list.
 * Prints "ready" once every listener is bound; dies with the process that started it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "bytes.h"
#include "clock.h"
#include "replies.h"
#include "requests.h"
#include "timers.h"

#define LISTENERS_MAX 16
#define EVENTS_PER_WAIT 256
#define READ_BYTES 65536
#define UNSENT_BYTES_MAX (256 * 1024) /* a reader slower than this pauses its stream */

struct listener {
    int port;
    int fd;
    unsigned first_byte_ms;
    unsigned chunks;
    unsigned interval_us;
};

enum phase { READING, WAITING, STREAMING };

struct connection {
    struct timer timer; /* first, so that a timer is its connection */
    int fd;
    const struct listener *listener;
    struct bytes in;
    struct bytes out;
    size_t sent_bytes;
    bool waits_to_send;
    enum phase phase;
    struct request request;
    unsigned chunks_sent;
    uint64_t chunk_due_ns;
};

static int epoll_fd;
static struct wakeup wakeup;
static struct listener listeners[LISTENERS_MAX];
static int listener_count;

static void die(const char *what)
{
    fprintf(stderr, "upstream: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void watch(int fd, int operation, uint32_t events, void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll_fd, operation, fd, &event))
        die("epoll_ctl");
}

static void connection_close(struct connection *connection)
{
    timer_stop(&connection->timer);
    close(connection->fd);
    free(connection->in.data);
    free(connection->out.data);
    free(connection);
}

/* ---- sending: false when the peer is gone ---- */

static bool flush(struct connection *connection)
{
    struct bytes *out = &connection->out;
    while (connection->sent_bytes < out->length) {
        ssize_t sent = send(connection->fd, out->data + connection->sent_bytes,
                            out->length - connection->sent_bytes, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN)
                return false;
            if (!connection->waits_to_send)
                watch(connection->fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT, connection);
            connection->waits_to_send = true;
            return true;
        }
        connection->sent_bytes += (size_t)sent;
    }
    out->length = connection->sent_bytes = 0;
    if (connection->waits_to_send)
        watch(connection->fd, EPOLL_CTL_MOD, EPOLLIN, connection);
    connection->waits_to_send = false;
    return true;
}

static bool answer_whole(struct connection *connection)
{
    const char *body = connection->request.anthropic ? ANTHROPIC_ANSWER : OPENAI_ANSWER;
    reply_json(&connection->out, connection->request.is_post ? body : MODELS);
    connection->phase = READING;
    return flush(connection);
}

/* Writes every chunk that is due; leaves a timer, or a wait for the reader, behind for the rest. */
static bool stream_on(struct connection *connection)
{
    const struct listener *listener = connection->listener;
    bool anthropic = connection->request.anthropic;
    while (connection->chunks_sent < listener->chunks) {
        if (connection->out.length - connection->sent_bytes > UNSENT_BYTES_MAX)
            return true; /* EPOLLOUT calls again */
        if (connection->chunk_due_ns > clock_now_ns()) {
            timer_start(&connection->timer, connection->chunk_due_ns);
            return true;
        }
        if (connection->chunks_sent == 0)
            reply_stream_open(&connection->out, anthropic);
        reply_stream_chunk(&connection->out, anthropic);
        connection->chunks_sent++;
        connection->chunk_due_ns += listener->interval_us * NS_PER_US;
        if (!flush(connection))
            return false;
    }
    reply_stream_close(&connection->out, anthropic, connection->request.with_usage, listener->chunks);
    connection->phase = READING;
    return flush(connection);
}

/* ---- receiving ---- */

static bool begin_answer(struct connection *connection)
{
    uint64_t first_byte_ns =
        connection->request.is_post ? connection->listener->first_byte_ms * NS_PER_MS : 0;
    uint64_t due_ns = clock_now_ns() + first_byte_ns;
    if (connection->request.streams) {
        connection->phase = STREAMING;
        connection->chunks_sent = 0;
        connection->chunk_due_ns = due_ns;
        return stream_on(connection);
    }
    if (!first_byte_ns)
        return answer_whole(connection);
    connection->phase = WAITING;
    timer_start(&connection->timer, due_ns);
    return true;
}

static bool answer_requests(struct connection *connection)
{
    while (connection->phase == READING && connection->in.length &&
           request_parse(&connection->request, &connection->in)) {
        bytes_drop_front(&connection->in, connection->request.length);
        if (!begin_answer(connection))
            return false;
    }
    return true;
}

static bool receive(struct connection *connection)
{
    struct bytes *in = &connection->in;
    for (;;) {
        bytes_reserve(in, READ_BYTES);
        ssize_t received = recv(connection->fd, in->data + in->length, READ_BYTES, 0);
        if (received < 0)
            return errno == EAGAIN;
        if (received == 0)
            return false;
        in->length += (size_t)received;
        in->data[in->length] = 0;
        if (received < READ_BYTES)
            return true;
    }
}

/* A stream or an answer may have ended, and the next request may already be here. */
static bool go_on(struct connection *connection)
{
    bool alive = connection->phase == STREAMING ? stream_on(connection)
                 : connection->phase == WAITING ? answer_whole(connection)
                                                : true;
    return alive && answer_requests(connection);
}

static void on_connection(struct connection *connection, uint32_t events)
{
    bool alive = true;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        alive = receive(connection) && answer_requests(connection);
    if (alive && (events & EPOLLOUT)) {
        alive = flush(connection);
        if (alive && connection->phase == STREAMING && !connection->timer.slot)
            alive = go_on(connection);
    }
    if (!alive)
        connection_close(connection);
}

static void on_listener(const struct listener *listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection)
            die("memory");
        connection->fd = fd;
        connection->listener = listener;
        watch(fd, EPOLL_CTL_ADD, EPOLLIN, connection);
    }
}

static void run_due_timers(void)
{
    uint64_t now_ns = clock_now_ns();
    struct timer *timer;
    while ((timer = timer_first()) && timer->due_ns <= now_ns) {
        struct connection *connection = (struct connection *)timer;
        timer_stop(timer);
        if (!go_on(connection))
            connection_close(connection);
    }
    wakeup_set(&wakeup, timer ? timer->due_ns : 0);
}

static void listen_on(const char *specification)
{
    struct listener *listener = &listeners[listener_count++];
    if (sscanf(specification, "%d:%u:%u:%u", &listener->port, &listener->first_byte_ms,
               &listener->chunks, &listener->interval_us) != 4) {
        fprintf(stderr, "upstream: not PORT:FIRST_BYTE_MS:CHUNKS:INTERVAL_US: %s\n", specification);
        exit(2);
    }
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)listener->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener->fd, (void *)&address, sizeof address) || listen(listener->fd, 4096))
        die(specification);
    watch(listener->fd, EPOLL_CTL_ADD, EPOLLIN, listener);
}

static bool is_listener(const void *owner)
{
    return owner >= (const void *)listeners && owner < (const void *)(listeners + LISTENERS_MAX);
}

int main(int count, char **arguments)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (wakeup_open(&wakeup) < 0)
        die("timerfd");
    watch(wakeup.fd, EPOLL_CTL_ADD, EPOLLIN, NULL);
    for (int i = 1; i < count && i <= LISTENERS_MAX; i++)
        listen_on(arguments[i]);
    puts("ready");
    fflush(stdout);

    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS_PER_WAIT, -1);
        for (int i = 0; i < ready; i++) {
            void *owner = events[i].data.ptr;
            if (!owner)
                wakeup_acknowledge(&wakeup);
            else if (is_listener(owner))
                on_listener(owner);
            else
                on_connection(owner, events[i].events);
        }
        run_due_timers();
    }
}
