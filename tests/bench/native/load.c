/* Load generator for HTTP/1.1 on 127.0.0.1: sends one request over many kept connections and times the answers.
 *
 * Closed loop: every connection sends again as soon as its answer is complete.
 * Constant rate (--rate-per-s): request i is due at start + i / rate whether or not earlier ones were answered, and its latency
 * counts from that instant, so a target that stalls cannot hide the requests it kept from being sent.
 *
 * "measuring" and "measured" on stderr frame the window, for whoever reads the target's CPU time meanwhile. After the
 * window the requests under way are let finish, uncounted, so that no target is left with streams cut short.
 * One JSON object on stdout is the result.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "answer.h"
#include "clock.h"
#include "marks.h"
#include "options.h"
#include "samples.h"

#define EVENTS_PER_WAIT 256
#define DRAIN_NS_MAX (2 * NS_PER_S)

struct connection {
    int fd;
    bool busy;
    bool waits_to_send;
    uint64_t started_ns;
    size_t sent_bytes;
    uint64_t chunks;
    uint64_t read_at_ns;
    struct mark_reader marks;
    struct answer answer;
};

enum phase { WARMING, MEASURING, DRAINING, FINISHED };

static struct options options;
static char *request;
static size_t request_bytes;

static int epoll_fd;
static struct wakeup wakeup;
static struct connection *connections;
static struct connection **idle; /* a stack, so that the connection used last is used again, as a client's pool does */
static int idle_count;

static enum phase phase = WARMING;
static uint64_t begun_ns, measure_from_ns, measure_to_ns, measured_from_ns, measured_to_ns;
static uint64_t requests_started;

static struct samples latency, first_chunk, chunk_delay;
static uint64_t answered, errors, reconnects, chunks_received;
static int status_of_last_error;

/* ---- connections ---- */

static void connection_watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(epoll_fd, operation, connection->fd, &event))
        die("epoll_ctl");
}

static void connection_open(struct connection *connection)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (void *)&address, sizeof address))
        die("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    connection->waits_to_send = false;
    connection_watch(connection, EPOLL_CTL_ADD, EPOLLIN);
}

static void connection_reopen(struct connection *connection)
{
    close(connection->fd);
    reconnects++;
    connection_open(connection);
}

static void connection_release(struct connection *connection)
{
    connection->busy = false;
    idle[idle_count++] = connection;
}

static void exchange_finish(struct connection *connection, bool good)
{
    if (phase == MEASURING && good) {
        answered++;
        samples_add(&latency, clock_now_ns() - connection->started_ns);
    }
    if (!good) { /* an error outside of the window is an error too */
        errors++;
        status_of_last_error = connection->answer.status;
    }
    if (!good || !connection->answer.keeps_connection)
        connection_reopen(connection);
    connection_release(connection);
}

static void exchange_send(struct connection *connection)
{
    while (connection->sent_bytes < request_bytes) {
        ssize_t sent = send(connection->fd, request + connection->sent_bytes,
                            request_bytes - connection->sent_bytes, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) {
                exchange_finish(connection, false);
            } else if (!connection->waits_to_send) {
                connection->waits_to_send = true;
                connection_watch(connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            }
            return;
        }
        connection->sent_bytes += (size_t)sent;
    }
    if (connection->waits_to_send) {
        connection->waits_to_send = false;
        connection_watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    }
}

static void exchange_start(uint64_t due_ns)
{
    struct connection *connection = idle[--idle_count];
    connection->busy = true;
    connection->started_ns = due_ns;
    connection->sent_bytes = 0;
    connection->chunks = 0;
    mark_reader_reset(&connection->marks);
    answer_reset(&connection->answer);
    requests_started++;
    exchange_send(connection);
}

/* ---- answers ---- */

static void take_body(void *context, const char *data, size_t length)
{
    struct connection *connection = context;
    const char *end = data + length;
    uint64_t written_ns;
    if (!options.chunks_expected)
        return;
    while ((written_ns = mark_next(&connection->marks, &data, end))) {
        connection->chunks++;
        if (phase != MEASURING)
            continue;
        chunks_received++;
        samples_add(&chunk_delay, connection->read_at_ns - written_ns);
        if (connection->chunks == 1)
            samples_add(&first_chunk, connection->read_at_ns - connection->started_ns);
    }
}

static bool answer_is_good(const struct connection *connection)
{
    return connection->answer.state == ANSWER_COMPLETE && connection->answer.status == 200 &&
           connection->chunks == options.chunks_expected;
}

static void connection_lost(struct connection *connection)
{
    if (!connection->busy) { /* the target closed an idle connection, as it may */
        connection_reopen(connection);
        return;
    }
    if (connection->answer.state == ANSWER_UNTIL_CLOSE)
        connection->answer.state = ANSWER_COMPLETE;
    exchange_finish(connection, answer_is_good(connection));
}

static void connection_read(struct connection *connection)
{
    static char buffer[262144];
    for (;;) {
        ssize_t received = recv(connection->fd, buffer, sizeof buffer, 0);
        if (received < 0 && errno == EAGAIN)
            return;
        if (received <= 0) {
            connection_lost(connection);
            return;
        }
        if (!connection->busy) { /* bytes that nobody asked for */
            errors++;
            connection_reopen(connection);
            return;
        }
        connection->read_at_ns = clock_now_ns();
        answer_feed(&connection->answer, buffer, (size_t)received, take_body, connection);
        if (connection->answer.state >= ANSWER_COMPLETE) {
            exchange_finish(connection, answer_is_good(connection));
            return;
        }
        if ((size_t)received < sizeof buffer)
            return;
    }
}

/* ---- pace ---- */

static uint64_t request_due_ns(uint64_t index)
{
    return begun_ns + (uint64_t)((double)index * (double)NS_PER_S / options.rate_per_s);
}

static void start_due_requests(uint64_t now_ns)
{
    if (phase >= DRAINING)
        return;
    while (idle_count) {
        if (options.rate_per_s <= 0) {
            exchange_start(clock_now_ns());
        } else {
            uint64_t due_ns = request_due_ns(requests_started);
            if (due_ns > now_ns)
                return;
            exchange_start(due_ns);
        }
    }
}

static void advance_phase(uint64_t now_ns)
{
    if (phase == WARMING && now_ns >= measure_from_ns) {
        phase = MEASURING;
        measured_from_ns = now_ns;
        fputs("measuring\n", stderr);
    } else if (phase == MEASURING && now_ns >= measure_to_ns) {
        phase = DRAINING;
        measured_to_ns = now_ns;
        fputs("measured\n", stderr);
    }
    if (phase == DRAINING &&
        (idle_count == options.connections || now_ns >= measure_to_ns + DRAIN_NS_MAX))
        phase = FINISHED;
}

static uint64_t next_wakeup_ns(void)
{
    uint64_t next_ns = phase == WARMING     ? measure_from_ns
                       : phase == MEASURING ? measure_to_ns
                                            : measure_to_ns + DRAIN_NS_MAX;
    if (options.rate_per_s > 0 && phase < DRAINING && idle_count) {
        uint64_t due_ns = request_due_ns(requests_started);
        if (due_ns < next_ns)
            next_ns = due_ns;
    }
    return next_ns;
}

static void run(void)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    begun_ns = clock_now_ns();
    measure_from_ns = begun_ns + (uint64_t)(options.warmup_s * (double)NS_PER_S);
    measure_to_ns = measure_from_ns + (uint64_t)(options.seconds * (double)NS_PER_S);
    while (phase != FINISHED) {
        start_due_requests(clock_now_ns());
        wakeup_set(&wakeup, next_wakeup_ns());
        int count = epoll_wait(epoll_fd, events, EVENTS_PER_WAIT, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) {
                wakeup_acknowledge(&wakeup);
                continue;
            }
            if ((events[i].events & EPOLLOUT) && connection->busy)
                exchange_send(connection);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                connection_read(connection);
            start_due_requests(clock_now_ns()); /* at once, so that the target is not fed in bursts */
        }
        advance_phase(clock_now_ns());
    }
}

/* ---- the outside ---- */

static uint64_t requests_overdue(void)
{
    if (options.rate_per_s <= 0)
        return 0;
    double elapsed_s = (double)(measured_to_ns - begun_ns) / (double)NS_PER_S;
    uint64_t due = (uint64_t)(elapsed_s * options.rate_per_s);
    return due > requests_started ? due - requests_started : 0;
}

static void print_result(void)
{
    double seconds = (double)(measured_to_ns - measured_from_ns) / (double)NS_PER_S;
    printf("{\"seconds\":%.4f,\"answered\":%llu,\"errors\":%llu,\"status_of_last_error\":%d,"
           "\"reconnects\":%llu,\"overdue\":%llu,\"unfinished\":%d,\"chunks\":%llu",
           seconds, (unsigned long long)answered, (unsigned long long)errors, status_of_last_error,
           (unsigned long long)reconnects, (unsigned long long)requests_overdue(),
           options.connections - idle_count, (unsigned long long)chunks_received);
    samples_print("latency_us", &latency);
    samples_print("first_chunk_us", &first_chunk);
    samples_print("chunk_delay_us", &chunk_delay);
    puts("}");
}

int main(int count, char **arguments)
{
    options = options_parse(count, arguments);
    request = options_request(&options, &request_bytes);
    alarm((unsigned)(options.warmup_s + options.seconds) + 10); /* whatever happens, it ends */

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event timer_event = {.events = EPOLLIN, .data.ptr = NULL};
    if (wakeup_open(&wakeup) < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wakeup.fd, &timer_event))
        die("timerfd");
    connections = calloc((size_t)options.connections, sizeof *connections);
    idle = calloc((size_t)options.connections, sizeof(struct connection *));
    if (!connections || !idle)
        die("memory");
    for (int i = 0; i < options.connections; i++) {
        connection_open(&connections[i]);
        connection_release(&connections[i]);
    }
    run();
    print_result();
    return 0;
}
