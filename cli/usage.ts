// What the command line says of itself; docs/command-line.md says it at length.
import { version } from '#cni/release.ts'
import { versions } from '#cni/spec.ts'

export const release = `fairlead ${version}\nCNI ${versions.join(', ')}\n`

export const usage = `fairlead ${version}: CNI plugins, and a command line for them

  fairlead install DIR [--replace] [--from FILE]
      put the plugins into DIR; --replace keeps files of others as NAME.orig
  fairlead uninstall DIR
      take them out again, and put back what was kept

  fairlead add NETWORK NETNS [-i IFNAME]
      attach a network namespace; if a plugin fails, DEL is called for all
  fairlead check NETWORK NETNS [-i IFNAME]
      is everything still as ADD has left it?
  fairlead del NETWORK NETNS [-i IFNAME]
      detach it
  fairlead status NETWORK
      could the network take another attachment?
  fairlead gc NETWORK [--all]
      detach all that is recorded, by cnitool or a runtime, too;
      --all also frees what no record knows
  fairlead list [--json]
      what is attached on this host

  fairlead agent [--store DIR|URL,...] [--interface LINK] [--once] ...
      keep this host in step with the others of its overlay networks; see
      docs/overlay.md for all options, which /etc/fairlead/agent.json has too
  fairlead overlay create NETWORK [--subnet PREFIX]... [--flat] [--internal]
      [--encryption wireguard] [--block-length N]... [--mtu N] [--vni N]
      [--port N]
  fairlead overlay create NETWORK --pool --subnet PREFIX... [--gateway IP]
      [--range-start IP] [--range-end IP] [--block-length N]
  fairlead overlay list [--json]
  fairlead overlay inspect NETWORK [--json]
  fairlead overlay rm NETWORK
      the networks and pools of a store; --store, or else the agent's
      configuration (--config FILE) names it
  fairlead host list [--json]
  fairlead host rm HOST [--force]
      its hosts; rm frees what a host that is gone has left

  fairlead version
  fairlead help

NETNS is a path, or a name below /run/netns. Environment, as for cnitool:
NETCONFPATH (/etc/cni/net.d), CNI_PATH (the directory of this executable,
then /opt/cni/bin), CNI_ARGS (KEY=VALUE;...), CAP_ARGS (a JSON object),
CNI_IFNAME (eth0).
`
