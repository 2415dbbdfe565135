#!/bin/sh
# One network over three hosts: a real etcd, an agent on each host, a container on each, and pings between all of them.
# Everything happens in network and mount namespaces of its own; a host is a network namespace with directories of its own.
set -eu
bin=$(realpath "$1")
if [ -z "${FAIRLEAD_DEMO_INSIDE:-}" ]; then
  FAIRLEAD_DEMO_INSIDE=1 exec unshare --net --mount --pid --fork --kill-child --mount-proc sh "$0" "$bin"
fi
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir -p /run/netns
etcd=192.0.2.254:2379

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() { printf '$ %s\n' "$*" | sed "s|$bin/||"; "$@"; }
fairlead() { run "$bin/fairlead" "$@"; }
address() { ip -n "$1" -j address show dev eth0 | grep -o "\"local\":\"$2[^\"]*" | cut -d'"' -f4; }

say 'Three hosts on one Ethernet, and etcd'
ip link set lo up
ip link add switch type bridge
ip address add 192.0.2.254/24 dev switch
ip link set switch up
for host in 1 2 3; do
  ip netns add "host$host"
  ip link add "port$host" master switch up type veth peer name eth0 netns "host$host"
  ip -n "host$host" link set lo up
  ip -n "host$host" address add "192.0.2.$host/24" dev eth0
  ip -n "host$host" link set eth0 up
  echo "host$host: 192.0.2.$host"
done
etcd --data-dir /run/etcd --log-level error --listen-client-urls "http://$etcd" --advertise-client-urls "http://$etcd" \
  --listen-peer-urls http://127.0.0.1:2380 >/run/etcd.log 2>&1 &
etcd_pid=$!
for _ in $(seq 100); do
  node -e 'require("node:net").connect(2379, "192.0.2.254").on("connect", () => process.exit(0)).on("error", () => process.exit(1))' && break
  sleep 0.1
done

say 'A network for all of them'
fairlead overlay create blue --store "http://$etcd" --subnet 10.200.0.0/16 --subnet fd00:200::/48

say 'An agent on each host'
for host in 1 2 3; do
  place=/run/host$host
  mkdir -p "$place/net.d"
  ip netns exec "host$host" "$bin/fairlead" agent --store "http://$etcd" --host-id "host$host" --interface eth0 \
    --state-dir "$place/state" --run-dir "$place/run" --leases-dir "$place/leases" --metrics off 2>"$place/log" &
  agent_pid=$!
  cat >"$place/net.d/10-blue.conflist" <<JSON
{
  "cniVersion": "1.1.0",
  "name": "blue",
  "plugins": [{ "type": "overlay", "ipMasq": true, "runDir": "$place/run", "dataDir": "$place/leases" }]
}
JSON
done
for host in 1 2 3; do
  for _ in $(seq 100); do grep -q 'is a member' "/run/host$host/log" && break; sleep 0.1; done
  sed "s/^/host$host: /" "/run/host$host/log"
done

say 'A container on each host'
export CNI_PATH="$bin"
for host in 1 2 3; do
  ip netns add "pod$host"
  echo "host$host\$ fairlead add blue pod$host"
  NETCONFPATH=/run/host$host/net.d ip netns exec "host$host" "$bin/fairlead" add blue "/run/netns/pod$host" >/dev/null
  echo "  $(address "pod$host" 10.)  $(address "pod$host" fd00)"
done

say 'They reach each other'
lost=0
for from in 1 2 3; do
  for to in 1 2 3; do
    [ "$from" = "$to" ] && continue
    for family in 10. fd00; do
      target=$(address "pod$to" $family)
      if time=$(ip netns exec "pod$from" ping -n -c 1 -W 2 "$target" | grep -o 'time=[^ ]* ms'); then
        printf 'pod%s -> pod%s  %-24s %s\n' "$from" "$to" "$target" "$time"
      else
        printf 'pod%s -> pod%s  %-24s no answer\n' "$from" "$to" "$target"
        lost=1
      fi
    done
  done
done
printf 'the largest packet, not to be fragmented: '
ip netns exec pod1 ping -n -c 1 -W 2 -M do -s 1422 "$(address pod2 10.)" | grep -o '1430 bytes from.*'

say 'What the store knows'
fairlead host list --store "http://$etcd"
fairlead overlay inspect blue --store "http://$etcd"

say 'What the kernel of host1 knows of the others: one forwarding entry, and a route for each block'
run ip -n host1 route show proto 203
run bridge -n host1 fdb show dev "$(ip -n host1 -br link show type vxlan | cut -d' ' -f1)"

say 'etcd and an agent are killed: nobody notices'
kill -KILL $etcd_pid $agent_pid
for to in 2 3; do run ip netns exec pod1 ping -n -c 1 -W 2 "$(address "pod$to" 10.)" | grep -E 'transmitted|\$'; done

say 'The containers go'
for host in 1 2 3; do
  NETCONFPATH=/run/host$host/net.d ip netns exec "host$host" "$bin/fairlead" del blue "/run/netns/pod$host"
  left=$(ip -n "host$host" -br link show type veth | grep -v '^eth0' || true; ls "/run/host$host/leases/blue" | grep -E '^[0-9a-f]+[.:]' || true)
  [ -z "$left" ] || { echo "host$host: $left"; lost=1; }
done
[ "$lost" = 0 ] && echo 'nothing of them is left'
exit "$lost"
