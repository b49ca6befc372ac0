/* Preloaded: a disk that takes SLOW_SYNC_MS for every fsync and fdatasync. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

static int slow(void) {
  const char *text = getenv("SLOW_SYNC_MS");
  long ms = text ? atol(text) : 0;
  struct timespec pause = {ms / 1000, (ms % 1000) * 1000000L};
  nanosleep(&pause, 0);
  return 0;
}

int fsync(int fd) { (void)fd; return slow(); }
int fdatasync(int fd) { (void)fd; return slow(); }
