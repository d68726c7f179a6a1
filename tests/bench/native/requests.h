/* As much of an HTTP/1.1 request as a stand-in vendor needs to know to choose its answer. */
#ifndef BENCH_REQUESTS_H
#define BENCH_REQUESTS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

struct request {
    bool is_post;
    bool anthropic;  /* the path ends in /messages */
    bool streams;    /* "stream": true */
    bool with_usage; /* "include_usage": true */
    size_t length;   /* head and body */
};

/* Whether a JSON text says "name": true. A quoted name inside of a string has its quotes escaped, so it does not match. */
static inline bool json_says_true(const char *json, size_t length, const char *quoted_name)
{
    const char *end = json + length;
    size_t name_length = strlen(quoted_name);
    const char *found;
    while ((found = memmem(json, (size_t)(end - json), quoted_name, name_length))) {
        const char *value = found + name_length;
        while (value < end && (*value == ' ' || *value == ':'))
            value++;
        if (end - value >= 4 && memcmp(value, "true", 4) == 0)
            return true;
        json = value;
    }
    return false;
}

/* False while bytes are missing. `in` is terminated by a zero. */
static inline bool request_parse(struct request *request, struct bytes *in)
{
    char *blank = memmem(in->data, in->length, "\r\n\r\n", 4);
    if (!blank)
        return false;
    size_t head_bytes = (size_t)(blank - in->data) + 4;

    *blank = 0; /* so that the searches end with the head */
    const char *size = strcasestr(in->data, "\r\ncontent-length:");
    bool chunked = strcasestr(in->data, "\r\ntransfer-encoding: chunked");
    const char *target_end = strstr(in->data, " HTTP/1.");
    request->is_post = strncmp(in->data, "POST ", 5) == 0;
    request->anthropic =
        target_end && target_end - in->data > 9 && memcmp(target_end - 9, "/messages", 9) == 0;
    *blank = '\r';

    request->length = head_bytes;
    if (size)
        request->length += strtoull(size + strlen("\r\ncontent-length:"), NULL, 10);
    if (chunked) { /* the last chunk: JSON has no raw line breaks inside of strings, so this cannot be content */
        const char *last = memmem(blank + 2, in->length - head_bytes + 2, "\r\n0\r\n\r\n", 7);
        if (!last)
            return false;
        request->length = (size_t)(last - in->data) + 7;
    }
    if (in->length < request->length)
        return false;

    const char *body = in->data + head_bytes;
    size_t body_bytes = request->length - head_bytes;
    request->streams = json_says_true(body, body_bytes, "\"stream\"");
    request->with_usage = request->streams && json_says_true(body, body_bytes, "\"include_usage\"");
    return true;
}

#endif
