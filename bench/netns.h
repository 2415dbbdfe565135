/* What the programs that measure connections have in common. clock_gettime(2), setns(2). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Nanoseconds on the monotonic clock. */
static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Ends the program with errno's words unless something was done. */
static void must(int done, const char *what) {
  if (done) return;
  perror(what);
  exit(125);
}

/* Moves into the network namespace behind a path. */
static void enter(const char *netns) {
  int fd = open(netns, O_RDONLY | O_CLOEXEC);
  must(fd >= 0 && setns(fd, CLONE_NEWNET) == 0, netns);
  close(fd);
}
