#!/bin/sh
# The guest's first process; boot.sh has the kernel start it. Its root is the host's, by hostfs and read-only.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
# Unpatched kernels lose registers of AVX-512 when a signal comes: glibc and Node do without them.
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW SIMDUTF_FORCE_IMPLEMENTATION=haswell
[ $$ = 1 ] || { echo 'init.sh is for the guest only' >&2; exit 1; }
# A first process that ends is a panic, and a panic ends the guest: the reason is the last line on the console.
set -e

mount -t proc proc /proc
read -r directory </run/directory
command=$(cat /run/command)
read -r _ _ release _ </proc/version
modules=/usr/lib/uml/modules/$release
[ ! -d "$modules" ] || busybox insmod "$modules/kernel/fs/overlayfs/overlay.ko"

# Memory over the root: everything can be written, nothing is kept.
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work /run/root /run/directory
mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work overlay /run/root
cd /run/root
mount --bind ".$directory" /run/directory
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
for folder in dev/shm tmp; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p ".$directory" run/lock run/old
mount --move /run/directory ".$directory"
pivot_root . run/old
umount -l /run/old
ln -s /proc/self/fd /dev/fd
ip link set lo up

if [ -d "$modules" ]; then
  # What Debian's kernel does not load by itself when it is needed.
  mkdir -p /lib/modules
  ln -sfn "$modules" "/lib/modules/$release"
  modprobe -a br_netfilter tun
  # It has no nftables for IP, so iptables has to use the old tables.
  for name in iptables ip6tables; do ln -sf "/usr/sbin/$name-legacy" "/etc/alternatives/$name"; done
fi

exec 3<>/dev/tty1 4<>/dev/tty2
for console in 3 4; do stty raw -echo <&$console; done
echo "started $release" >&4
set +e
cd "$directory"
mkfifo /run/output
cat /run/output >&3 4>&- &
setsid sh -c "$command" </dev/null >/run/output 2>&1 3>&- 4>&-
echo "exit $?" >&4
# A process that was left behind keeps the pipe open; the host waits for that no longer than a moment.
wait
exec 3>&- 4>&-
busybox poweroff -f
