/* The wall clock of one service, moved while it runs: for row 28 of the acceptance table.
 *
 * Loaded into every process of the product. Where the command line names a service, the file of that name in
 * $AIBRIDGE_FAULTS_CLOCKS holds the seconds by which its clock is ahead; monotonic clocks are left alone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t nothing = 0;
static const volatile int64_t *ahead_s = &nothing;

static const char *service(void) {
  static const char *const names[] = {"router", "billing"};
  static char line[4096];
  int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  ssize_t length = read(file, line, sizeof line - 1);
  close(file);
  for (ssize_t at = 0; at < length; at++)
    if (line[at] == '\0') line[at] = ' ';
  for (size_t each = 0; each < sizeof names / sizeof *names; each++) {
    char word[64];
    snprintf(word, sizeof word, "aibridge-%s ", names[each]);
    if (strstr(line, word) != NULL) return names[each];
  }
  return NULL;
}

__attribute__((constructor)) static void find_clock(void) {
  const char *folder = getenv("AIBRIDGE_FAULTS_CLOCKS"), *name = service();
  char path[4096];
  if (folder == NULL || name == NULL) return;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void *place = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (place != MAP_FAILED) ahead_s = place;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead_s;
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec exact;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *told) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (told != NULL) *told = exact.tv_sec;
  return exact.tv_sec;
}
