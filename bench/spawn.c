/* The stopwatch: starts processes and reports what each of them cost. posix_spawn(3), wait4(2), setns(2).
 *
 *   spawn NETNS STDIN PROGRAM NAME=VALUE... [-- NAME=VALUE...]...
 *
 * Every group of variables is one process; all are started one right after the other, inside the network namespace
 * NETNS, with the file STDIN as standard input, PATH and the group as environment, our own standard output and error.
 * For each process, in the order of starting, one line goes to descriptor 3:
 *
 *   start (ns, monotonic)  end (ns, monotonic)  user+system time (us)  peak resident memory (kB)  exit status
 *
 * It is small because a process inherits the resident size of its parent as the first value of its own peak.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_PROCESSES 256
#define MOST_VARIABLES 32

struct process {
  pid_t pid;
  long long start, end, cpu, memory;
  int status;
};

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long microseconds(struct timeval t) { return t.tv_sec * 1000000LL + t.tv_usec; }

static void must(int done, const char *what) {
  if (done) return;
  perror(what);
  exit(125);
}

int main(int count, char **words) {
  static struct process processes[MOST_PROCESSES];
  char *path[2] = {NULL, NULL};
  int started = 0;
  must(count > 4 && asprintf(&path[0], "PATH=%s", getenv("PATH")) > 0, "spawn NETNS STDIN PROGRAM NAME=VALUE...");
  int netns = open(words[1], O_RDONLY | O_CLOEXEC);
  must(netns >= 0 && setns(netns, CLONE_NEWNET) == 0, words[1]);
  fcntl(3, F_SETFD, FD_CLOEXEC);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, words[2], O_RDONLY, 0);
  char *arguments[] = {words[3], NULL};

  for (int word = 4; word < count; word++) {
    char *environment[MOST_VARIABLES + 2] = {path[0]};
    int variables = 1;
    for (; word < count && strcmp(words[word], "--") != 0; word++) {
      must(variables <= MOST_VARIABLES, "too many variables");
      environment[variables++] = words[word];
    }
    must(started < MOST_PROCESSES, "too many processes");
    struct process *process = &processes[started++];
    process->start = now();
    must(posix_spawn(&process->pid, words[3], &actions, NULL, arguments, environment) == 0, words[3]);
  }

  for (int left = started; left > 0; left--) {
    int status;
    struct rusage usage;
    pid_t pid = wait4(-1, &status, 0, &usage);
    long long end = now();
    for (int i = 0; i < started; i++) {
      if (processes[i].pid != pid) continue;
      processes[i].end = end;
      processes[i].cpu = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
      processes[i].memory = usage.ru_maxrss;
      processes[i].status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
  for (int i = 0; i < started; i++) {
    struct process *p = &processes[i];
    dprintf(3, "%lld %lld %lld %lld %d\n", p->start, p->end, p->cpu, p->memory, p->status);
  }
  return 0;
}
