#!/bin/sh
# Two containers, one bridge network: attach, talk, check, delete, and look whether anything is left.
# Everything happens in network and mount namespaces of its own.
set -eu
bin=$(realpath "$1")
if [ -z "${FAIRLEAD_DEMO_INSIDE:-}" ]; then
  FAIRLEAD_DEMO_INSIDE=1 exec unshare --net --mount sh "$0" "$bin"
fi
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir -p /run/netns /run/demo/net.d
state=/run/demo/state

cat >/run/demo/net.d/10-demo.conflist <<JSON
{
  "cniVersion": "1.1.0",
  "name": "demo",
  "plugins": [{
    "type": "bridge",
    "bridge": "demo0",
    "isDefaultGateway": true,
    "ipMasq": true,
    "ipam": {
      "type": "host-local",
      "dataDir": "$state",
      "ranges": [[{ "subnet": "10.88.0.0/24" }], [{ "subnet": "fd00:88::/64" }]]
    }
  }]
}
JSON
export CNI_PATH="$bin" NETCONFPATH=/run/demo/net.d

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() { printf '$ %s\n' "$*" | sed "s|$bin/||"; "$@"; }
address() { ip -n "$1" -j address show dev eth0 | grep -o "\"local\":\"$2[^\"]*" | cut -d'"' -f4; }

ip link set lo up
for container in anna bert; do ip netns add $container; done

say 'ADD: both containers join the network'
run "$bin/fairlead" add demo anna
run "$bin/fairlead" add demo bert

say 'They reach each other'
for pair in 'anna bert' 'bert anna'; do
  from=${pair% *} to=${pair#* }
  run ip netns exec "$from" ping -c 1 -W 2 "$(address "$to" 10.)" | grep -E 'ping|transmitted|\$'
  run ip netns exec "$from" ping -c 1 -W 2 "$(address "$to" fd00)" | grep -E 'ping|transmitted|\$'
done

say 'A page over HTTP, from bert to anna'
ip netns exec anna node -e '
  require("node:http").createServer((request, response) => response.end("hello from anna\n")).listen(80)' &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
fetch() {
  ip netns exec bert node -e '
    const http = require("node:http"), deadline = Date.now() + 5000
    const get = () => http.get(process.argv[1], response => response.pipe(process.stdout))
      .on("error", error => Date.now() < deadline ? setTimeout(get, 20) : (console.error(error.message), process.exit(1)))
    get()' "$1"
}
for url in "http://$(address anna 10.)/" "http://[$(address anna fd00)]/"; do
  printf 'GET %s: ' "$url"
  fetch "$url"
done
kill $server

say 'CHECK: what was set up is still there'
run "$bin/fairlead" check demo anna
run "$bin/fairlead" check demo bert

say 'DEL, and GC of the network'
run "$bin/fairlead" del demo anna
run "$bin/fairlead" del demo bert
run "$bin/fairlead" gc demo --all

say 'What is left on the host'
left=$(ip -o link show | grep -v ' lo:' || true; nft list ruleset 2>/dev/null || true; find "$state" /var/lib/cni -type f ! -name lock ! -name 'last_reserved_ip.*' ! -name boot_id 2>/dev/null || true)
if [ -n "$left" ]; then
  printf '%s\n' "$left"
  exit 1
fi
echo 'nothing: no link, no rule, no lease'
