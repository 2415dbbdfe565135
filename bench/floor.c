/* The floor: the kernel's work of a bridge ADD and DEL with a host-local address, and nothing else. rtnetlink(7).
 *
 * Speaks as much CNI as the stopwatch needs (CNI_COMMAND, CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS) and no JSON: bridge,
 * addresses and folder come from FLOOR_BRIDGE, FLOOR_ADDRESS, FLOOR_GATEWAY and FLOOR_FOLDER. The bridge exists.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
  struct nlmsghdr header;
  char body[1024];
};

static void must(int done, const char *what) {
  if (done) return;
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static const char *variable(const char *name) {
  const char *value = getenv(name);
  must(value != NULL, name);
  return value;
}

static void *append(struct request *request, const void *data, size_t size) {
  void *at = (char *)request + request->header.nlmsg_len;
  if (data) memcpy(at, data, size);
  request->header.nlmsg_len += NLMSG_ALIGN(size);
  return at;
}

static struct rtattr *attribute(struct request *request, int type, const void *data, size_t size) {
  struct rtattr *attribute = append(request, NULL, sizeof *attribute);
  attribute->rta_type = type;
  attribute->rta_len = RTA_LENGTH(size);
  append(request, data, size);
  return attribute;
}

static void text(struct request *request, int type, const char *value) {
  attribute(request, type, value, strlen(value) + 1);
}

static void end(struct request *request, struct rtattr *nest) {
  nest->rta_len = (char *)request + request->header.nlmsg_len - (char *)nest;
}

static struct request begin(int type, int flags, const void *family, size_t size) {
  struct request request = {.header = {NLMSG_HDRLEN, type, NLM_F_REQUEST | flags, 1, 0}};
  append(&request, family, size);
  return request;
}

/* Sends, receives the answer, and returns the index that a link's answer begins with. */
static int send_to(int socket, struct request *request, const char *what) {
  struct request answer;
  must(write(socket, request, request->header.nlmsg_len) == (ssize_t)request->header.nlmsg_len, what);
  must(recv(socket, &answer, sizeof answer, MSG_TRUNC) > 0, what);
  if (answer.header.nlmsg_type != NLMSG_ERROR) return ((struct ifinfomsg *)answer.body)->ifi_index;
  errno = -((struct nlmsgerr *)answer.body)->error;
  must(errno == 0, what);
  return 0;
}

static int link_index(int socket, const char *name) {
  struct ifinfomsg link = {0};
  struct request request = begin(RTM_GETLINK, 0, &link, sizeof link);
  text(&request, IFLA_IFNAME, name);
  return send_to(socket, &request, name);
}

static int netlink(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  must(fd >= 0, "netlink socket");
  return fd;
}

static const int acknowledged = NLM_F_ACK, created = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

static void attach(int host, int container, int netns) {
  const char *interface = variable("CNI_IFNAME");
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, "f%s", variable("CNI_CONTAINERID"));
  int bridge = link_index(host, variable("FLOOR_BRIDGE"));

  struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, plain = {0};
  struct request veth = begin(RTM_NEWLINK, created, &up, sizeof up);
  text(&veth, IFLA_IFNAME, name);
  attribute(&veth, IFLA_MASTER, &bridge, sizeof bridge);
  struct rtattr *info = attribute(&veth, IFLA_LINKINFO, NULL, 0);
  text(&veth, IFLA_INFO_KIND, "veth");
  struct rtattr *data = attribute(&veth, IFLA_INFO_DATA, NULL, 0);
  struct rtattr *peer = attribute(&veth, VETH_INFO_PEER, &plain, sizeof plain);
  text(&veth, IFLA_IFNAME, interface);
  attribute(&veth, IFLA_NET_NS_FD, &netns, sizeof netns);
  end(&veth, peer);
  end(&veth, data);
  end(&veth, info);
  send_to(host, &veth, "veth");

  up.ifi_index = link_index(container, interface);
  struct request rise = begin(RTM_NEWLINK, acknowledged, &up, sizeof up);
  send_to(container, &rise, "up");

  struct in_addr local, gateway;
  must(inet_aton(variable("FLOOR_ADDRESS"), &local) && inet_aton(variable("FLOOR_GATEWAY"), &gateway), "address");
  struct ifaddrmsg prefix = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = up.ifi_index};
  struct request address = begin(RTM_NEWADDR, created, &prefix, sizeof prefix);
  attribute(&address, IFA_LOCAL, &local, sizeof local);
  attribute(&address, IFA_ADDRESS, &local, sizeof local);
  send_to(container, &address, "address");

  struct rtmsg way = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
                      .rtm_type = RTN_UNICAST};
  struct request route = begin(RTM_NEWROUTE, created, &way, sizeof way);
  attribute(&route, RTA_GATEWAY, &gateway, sizeof gateway);
  attribute(&route, RTA_OIF, &up.ifi_index, sizeof up.ifi_index);
  send_to(container, &route, "route");
}

static void detach(int container) {
  struct ifinfomsg link = {0};
  struct request request = begin(RTM_DELLINK, acknowledged, &link, sizeof link);
  text(&request, IFLA_IFNAME, variable("CNI_IFNAME"));
  send_to(container, &request, "delete");
}

static void write_file(int folder, const char *name, int flags, const char *content) {
  int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
  must(fd >= 0 && write(fd, content, strlen(content)) >= 0 && close(fd) == 0, name);
}

/* host-local's files: the lock, one file for each address, the address given last. */
static void lease(int add) {
  int folder = open(variable("FLOOR_FOLDER"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int lock = openat(folder, "lock", O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  must(lock >= 0 && flock(lock, LOCK_EX) == 0, "lock");
  const char *address = variable("FLOOR_ADDRESS");
  char owner[256];
  snprintf(owner, sizeof owner, "%s\r\n%s", variable("CNI_CONTAINERID"), variable("CNI_IFNAME"));
  if (add) {
    write_file(folder, address, O_EXCL, owner);
    write_file(folder, "last_reserved_ip.0", O_TRUNC, address);
  } else {
    must(unlinkat(folder, address, 0) == 0, address);
  }
}

int main(void) {
  int add = strcmp(variable("CNI_COMMAND"), "ADD") == 0;
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  int netns = open(variable("CNI_NETNS"), O_RDONLY | O_CLOEXEC);
  int host = netlink();
  must(home >= 0 && netns >= 0 && setns(netns, CLONE_NEWNET) == 0, "container's namespace");
  int container = netlink();
  must(setns(home, CLONE_NEWNET) == 0, "own namespace");
  if (add) {
    lease(1);
    attach(host, container, netns);
  } else {
    detach(container);
    lease(0);
  }
  return 0;
}
