/* Reads one HTTP/1.1 answer from bytes that may be cut anywhere: sized, chunked, or ended by closing. */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ANSWER_HEAD_BYTES_MAX 16384
#define ANSWER_LINE_BYTES_MAX 64

enum answer_state {
    ANSWER_HEAD,
    ANSWER_SIZED,
    ANSWER_CHUNK_SIZE,
    ANSWER_CHUNK,
    ANSWER_CHUNK_END,
    ANSWER_TRAILER,
    ANSWER_UNTIL_CLOSE,
    ANSWER_COMPLETE,
    ANSWER_BROKEN,
};

struct answer {
    enum answer_state state;
    int status;
    bool keeps_connection;
    uint64_t left_bytes; /* of the sized body, or of the current chunk */
    size_t line_length;
    char line[ANSWER_LINE_BYTES_MAX]; /* a chunk's size; a trailer keeps only its length here */
    size_t head_length;
    char head[ANSWER_HEAD_BYTES_MAX];
};

typedef void answer_body_sink(void *context, const char *data, size_t length);

static inline void answer_reset(struct answer *answer)
{
    answer->state = ANSWER_HEAD;
    answer->status = 0;
    answer->keeps_connection = true;
    answer->line_length = 0;
    answer->head_length = 0;
}

static inline bool answer_has_begun(const struct answer *answer)
{
    return answer->state != ANSWER_HEAD || answer->head_length > 0;
}

/* The head is whole: decide how the body ends. */
static inline void answer_read_head(struct answer *answer)
{
    answer->status = answer->head_length > 12 ? atoi(answer->head + 9) : 0;
    if (answer->status < 100 || strncmp(answer->head, "HTTP/1.", 7) != 0) {
        answer->state = ANSWER_BROKEN;
        return;
    }
    if (answer->status < 200) { /* an interim answer: the real one follows */
        answer_reset(answer);
        return;
    }
    answer->keeps_connection = !strcasestr(answer->head, "\r\nconnection: close");
    const char *size = strcasestr(answer->head, "\r\ncontent-length:");
    if (strcasestr(answer->head, "\r\ntransfer-encoding: chunked")) {
        answer->state = ANSWER_CHUNK_SIZE;
    } else if (size) {
        answer->left_bytes = strtoull(size + strlen("\r\ncontent-length:"), NULL, 10);
        answer->state = answer->left_bytes ? ANSWER_SIZED : ANSWER_COMPLETE;
    } else {
        answer->keeps_connection = false;
        answer->state = ANSWER_UNTIL_CLOSE;
    }
}

static inline size_t answer_feed_head(struct answer *answer, const char *data, size_t length)
{
    size_t room = ANSWER_HEAD_BYTES_MAX - 1 - answer->head_length;
    size_t taken = length < room ? length : room;
    size_t before = answer->head_length;
    memcpy(answer->head + before, data, taken);
    answer->head_length += taken;
    answer->head[answer->head_length] = 0;

    /* The blank line may have begun in an earlier piece. */
    size_t from = before > 3 ? before - 3 : 0;
    char *blank = memmem(answer->head + from, answer->head_length - from, "\r\n\r\n", 4);
    if (!blank) {
        if (taken == room)
            answer->state = ANSWER_BROKEN;
        return taken;
    }
    size_t head_bytes = (size_t)(blank - answer->head) + 4;
    *blank = 0;
    answer_read_head(answer);
    return head_bytes - before;
}

static inline size_t answer_feed_body(struct answer *answer, const char *data, size_t length,
                                      enum answer_state next, answer_body_sink *sink, void *context)
{
    size_t taken = length < answer->left_bytes ? length : (size_t)answer->left_bytes;
    sink(context, data, taken);
    answer->left_bytes -= taken;
    if (!answer->left_bytes)
        answer->state = next;
    return taken;
}

/* A byte of the lines between chunks. */
static inline void answer_feed_framing(struct answer *answer, char byte)
{
    bool line_ends = byte == '\n';
    if (answer->state == ANSWER_CHUNK_END) {
        if (line_ends)
            answer->state = ANSWER_CHUNK_SIZE;
        return;
    }
    if (!line_ends) {
        if (byte != '\r' && answer->line_length < ANSWER_LINE_BYTES_MAX - 1)
            answer->line[answer->line_length++] = byte;
        return;
    }
    answer->line[answer->line_length] = 0;
    if (answer->state == ANSWER_CHUNK_SIZE) {
        char *rest;
        answer->left_bytes = strtoull(answer->line, &rest, 16);
        if (rest == answer->line)
            answer->state = ANSWER_BROKEN;
        else
            answer->state = answer->left_bytes ? ANSWER_CHUNK : ANSWER_TRAILER;
    } else if (answer->line_length == 0) {
        answer->state = ANSWER_COMPLETE;
    }
    answer->line_length = 0;
}

/* Returns how many bytes belonged to this answer; it stops where the answer is complete or broken. */
static inline size_t answer_feed(struct answer *answer, const char *data, size_t length,
                                 answer_body_sink *sink, void *context)
{
    size_t used = 0;
    while (used < length && answer->state != ANSWER_COMPLETE && answer->state != ANSWER_BROKEN) {
        const char *rest = data + used;
        size_t left = length - used;
        switch (answer->state) {
        case ANSWER_HEAD:
            used += answer_feed_head(answer, rest, left);
            break;
        case ANSWER_SIZED:
            used += answer_feed_body(answer, rest, left, ANSWER_COMPLETE, sink, context);
            break;
        case ANSWER_CHUNK:
            used += answer_feed_body(answer, rest, left, ANSWER_CHUNK_END, sink, context);
            break;
        case ANSWER_UNTIL_CLOSE:
            sink(context, rest, left);
            used += left;
            break;
        default:
            answer_feed_framing(answer, *rest);
            used++;
        }
    }
    return used;
}

#endif
