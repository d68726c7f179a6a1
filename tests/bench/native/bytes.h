/* A byte buffer that grows. */
#ifndef BENCH_BYTES_H
#define BENCH_BYTES_H

#include <stdlib.h>
#include <string.h>

struct bytes {
    char *data;
    size_t length;
    size_t capacity;
};

/* Room for more bytes and a terminating zero, which lets the string functions search the buffer. */
static inline void bytes_reserve(struct bytes *bytes, size_t more)
{
    size_t needed = bytes->length + more + 1;
    if (needed <= bytes->capacity)
        return;
    bytes->capacity = needed * 2;
    bytes->data = realloc(bytes->data, bytes->capacity);
    if (!bytes->data)
        abort();
}

static inline void bytes_append(struct bytes *bytes, const void *data, size_t length)
{
    bytes_reserve(bytes, length);
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static inline void bytes_drop_front(struct bytes *bytes, size_t length)
{
    bytes->length -= length;
    memmove(bytes->data, bytes->data + length, bytes->length);
}

#endif
