/* Time on the clock that every process of one machine shares, and a file descriptor that wakes epoll at an instant of it. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

static inline uint64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* epoll_wait counts in milliseconds, too coarse for 1000 requests per second; a timerfd counts in nanoseconds. */
struct wakeup {
    int fd;
    uint64_t at_ns;
};

static inline int wakeup_open(struct wakeup *wakeup)
{
    wakeup->at_ns = 0;
    wakeup->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return wakeup->fd;
}

/* Zero disarms. Asking for the same instant again costs no system call. */
static inline void wakeup_set(struct wakeup *wakeup, uint64_t at_ns)
{
    if (wakeup->at_ns == at_ns)
        return;
    wakeup->at_ns = at_ns;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S)},
    };
    timerfd_settime(wakeup->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static inline void wakeup_acknowledge(struct wakeup *wakeup)
{
    uint64_t expirations;
    wakeup->at_ns = 0;
    while (read(wakeup->fd, &expirations, sizeof expirations) > 0)
        continue;
}

#endif
