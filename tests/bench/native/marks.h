/* A mark is the instant at which the upstream wrote a chunk, carried inside the chunk's text: '#', 19 digits, '#'.
 * Both programs read the same clock, so that arrival minus mark is the one-way latency through whatever stands between. */
#ifndef BENCH_MARKS_H
#define BENCH_MARKS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MARK_DIGITS 19

static inline int mark_write(char *text, size_t room, uint64_t at_ns)
{
    return snprintf(text, room, "#%019llu#", (unsigned long long)at_ns);
}

/* Finds marks in a byte stream that may be cut anywhere. */
struct mark_reader {
    int digits; /* digits seen since the opening '#', or -1 outside of a mark */
    uint64_t value;
};

static inline void mark_reader_reset(struct mark_reader *reader)
{
    reader->digits = -1;
    reader->value = 0;
}

/* Moves *data on and returns the next mark, or 0 when the bytes are used up. */
static inline uint64_t mark_next(struct mark_reader *reader, const char **data, const char *end)
{
    while (*data < end) {
        if (reader->digits < 0) {
            const char *opening = memchr(*data, '#', (size_t)(end - *data));
            if (!opening) {
                *data = end;
                return 0;
            }
            *data = opening + 1;
            reader->digits = 0;
            reader->value = 0;
            continue;
        }
        char byte = *(*data)++;
        if (byte >= '0' && byte <= '9' && reader->digits < MARK_DIGITS) {
            reader->value = reader->value * 10 + (uint64_t)(byte - '0');
            reader->digits++;
        } else if (byte == '#' && reader->digits == MARK_DIGITS) {
            reader->digits = -1;
            return reader->value;
        } else {
            reader->digits = byte == '#' ? 0 : -1;
            reader->value = 0;
        }
    }
    return 0;
}

#endif
