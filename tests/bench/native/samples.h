/* Durations of one kind, all kept, so that percentiles are exact and not read off a histogram. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct samples {
    float *values_us;
    size_t count;
    size_t capacity;
};

static inline void samples_add(struct samples *samples, uint64_t duration_ns)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 65536;
        samples->values_us = realloc(samples->values_us, samples->capacity * sizeof(float));
        if (!samples->values_us)
            abort();
    }
    samples->values_us[samples->count++] = (float)((double)duration_ns / 1e3);
}

static inline int samples_compare(const void *left, const void *right)
{
    float a = *(const float *)left;
    float b = *(const float *)right;
    return (a > b) - (a < b);
}

/* Nearest rank of the sorted values. */
static inline double samples_percentile(const struct samples *samples, double share)
{
    if (!samples->count)
        return 0;
    return samples->values_us[(size_t)(share * (double)(samples->count - 1) + 0.5)];
}

/* Sorts, then prints one member of a JSON object. */
static inline void samples_print(const char *name, struct samples *samples)
{
    if (samples->count)
        qsort(samples->values_us, samples->count, sizeof(float), samples_compare);
    printf(",\"%s\":{\"count\":%zu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name,
           samples->count, samples_percentile(samples, 0.50), samples_percentile(samples, 0.90),
           samples_percentile(samples, 0.99), samples_percentile(samples, 1.0));
}

#endif
