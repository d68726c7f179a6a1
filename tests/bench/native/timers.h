/* Who is due next: a binary heap whose entries know their slot, so that one can be taken out from the middle. */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct timer {
    uint64_t due_ns;
    size_t slot; /* 1-based; 0: not waiting */
};

static struct timer **timer_heap; /* slot 0 is unused */
static size_t timer_count, timer_capacity;

static inline void timer_place(struct timer *timer, size_t slot)
{
    timer_heap[slot] = timer;
    timer->slot = slot;
}

static inline void timer_rise(struct timer *timer, size_t slot)
{
    while (slot > 1 && timer_heap[slot / 2]->due_ns > timer->due_ns) {
        timer_place(timer_heap[slot / 2], slot);
        slot /= 2;
    }
    timer_place(timer, slot);
}

static inline void timer_sink(struct timer *timer, size_t slot)
{
    for (;;) {
        size_t child = slot * 2;
        if (child > timer_count)
            break;
        if (child < timer_count && timer_heap[child + 1]->due_ns < timer_heap[child]->due_ns)
            child++;
        if (timer_heap[child]->due_ns >= timer->due_ns)
            break;
        timer_place(timer_heap[child], slot);
        slot = child;
    }
    timer_place(timer, slot);
}

static inline void timer_start(struct timer *timer, uint64_t due_ns)
{
    timer->due_ns = due_ns;
    if (timer_count + 1 >= timer_capacity) {
        timer_capacity = timer_capacity ? timer_capacity * 2 : 1024;
        timer_heap = realloc(timer_heap, timer_capacity * sizeof(struct timer *));
        if (!timer_heap)
            abort();
    }
    timer_rise(timer, ++timer_count);
}

static inline void timer_stop(struct timer *timer)
{
    size_t slot = timer->slot;
    if (!slot)
        return;
    timer->slot = 0;
    struct timer *last = timer_heap[timer_count--];
    if (last == timer)
        return;
    timer_sink(last, slot);
    timer_rise(last, last->slot);
}

static inline struct timer *timer_first(void)
{
    return timer_count ? timer_heap[1] : NULL;
}

#endif
