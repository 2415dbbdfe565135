/* How many small requests a connection carries: one byte there and one back, again and again. setns(2), tcp(7).
 *
 *   round-trips SERVER_NETNS CLIENT_NETNS ADDRESS PORT MILLISECONDS
 *
 * A child answers on a port of the network namespace SERVER_NETNS; its parent connects from CLIENT_NETNS to an IPv4
 * address that leads there, and asks for so long. Prints round trips per second.
 */
#include "netns.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static int tcp(void) {
  int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0, "socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  return fd;
}

static void answer(int listener) {
  char byte;
  must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "prctl");
  int asker = accept(listener, NULL, NULL), yes = 1;
  setsockopt(asker, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  while (read(asker, &byte, 1) == 1 && write(asker, &byte, 1) == 1);
  exit(0);
}

int main(int count, char **words) {
  must(count == 6, "round-trips SERVER_NETNS CLIENT_NETNS ADDRESS PORT MILLISECONDS");
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(words[4]))}, there = own;
  must(inet_pton(AF_INET, words[3], &there.sin_addr) == 1, words[3]);
  enter(words[1]);
  int listener = tcp();
  must(bind(listener, (struct sockaddr *)&own, sizeof own) == 0 && listen(listener, 1) == 0, "listen");
  if (fork() == 0) answer(listener);

  enter(words[2]);
  int fd = tcp();
  must(connect(fd, (struct sockaddr *)&there, sizeof there) == 0, "connect");
  char byte = 0;
  long trips = 0;
  long long start = now(), end = start + atoi(words[5]) * 1000000LL, at = start;
  for (; at < end; at = now(), trips++) must(write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1, "round trip");
  printf("%.0f\n", trips * 1e9 / (at - start));
  return 0;
}
