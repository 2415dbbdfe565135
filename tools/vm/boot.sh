#!/bin/sh
# Starts the guest, in mount and process namespaces of its own: boot.sh KERNEL SHIM PROCESSOR DIRECTORY
# COMMAND.
# Kernel messages go to descriptor 1, what COMMAND says to 3, what became of it to 4.
set -eu
kernel=$1 shim=$2 processor=$3 directory=$4 command=$5
memory=1536M

# Over the machine's /run, in this namespace only: what is to be run, and the file that is the guest's memory.
mount -t tmpfs -o size=2g,mode=700 tmpfs /run
printf '%s\n' "$directory" >/run/directory
printf '%s\n' "$command" >/run/command

# The kernel and the processes that it traces hand over to each other all the time: on one processor that is up to five
# times as fast.
set -- taskset -c "$processor"
# Randomly placed memory has gaps that the guest must not use.
! setarch -R true 2>/dev/null || set -- "$@" setarch -R

# Not exec: when this shell, the namespace's first process, is killed, the whole guest dies at one stroke. Traced
# processes that outlive their tracer would run on as processes of the host.
env -i PATH="$PATH" HOME=/run TMPDIR=/run LD_PRELOAD="$shim" \
  "$@" "$kernel" umid=guest uml_dir=/run/ mem="$memory" \
  root=/dev/root rootfstype=hostfs rootflags=/ ro init="$(dirname "$0")/init.sh" noreboot panic=-1 loglevel=5 \
  con=null con0=null,fd:1 con1=null,fd:3 con2=null,fd:4 ssl=null </dev/null
exit $?
