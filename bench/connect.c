/* How long it takes to open a TCP connection: from connect(2) to its return. setns(2), tcp(7).
 *
 *   connect SERVER_NETNS PORT CLIENT_NETNS ADDRESS PORT COUNT
 *
 * Listens on a port of the network namespace SERVER_NETNS and connects COUNT times, one after the other, from the
 * namespace CLIENT_NETNS to an IPv4 address and port that lead there. Prints one line per connection: nanoseconds.
 * The kernel answers for the listener, so that no other process has a part in it.
 */
#include "netns.h"
#include <arpa/inet.h>
#include <sys/socket.h>

static struct sockaddr_in place(const char *address, const char *port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  must(inet_pton(AF_INET, address, &at.sin_addr) == 1, address);
  return at;
}

int main(int count, char **words) {
  must(count == 7, "connect SERVER_NETNS PORT CLIENT_NETNS ADDRESS PORT COUNT");
  enter(words[1]);
  struct sockaddr_in own = place("0.0.0.0", words[2]);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  must(bind(listener, (struct sockaddr *)&own, sizeof own) == 0 && listen(listener, 16) == 0, "listen");

  enter(words[3]);
  struct sockaddr_in there = place(words[4], words[5]);
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  for (int left = atoi(words[6]); left > 0; left--) {
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    long long start = now();
    must(connect(client, (struct sockaddr *)&there, sizeof there) == 0, "connect");
    printf("%lld\n", now() - start);
    close(accept(listener, NULL, NULL));
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(client);
  }
  return 0;
}
