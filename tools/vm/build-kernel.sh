#!/bin/sh
# Builds the user-mode kernel of kernel.config from Debian's package of the kernel's source: build-kernel.sh TARGET.
# Takes 5 minutes on two idle cores. Does nothing when the target is there.
set -eu
target=$1
here=$(cd "$(dirname "$0")" && pwd)
source=linux-source-6.12

mkdir -p "$(dirname "$target")"
exec 9>"$(dirname "$target")/lock"
flock 9
[ ! -x "$target" ] || exit 0
"$here/../packages.sh" gcc libc6-dev make flex bison bc xz-utils
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
cd "$work"

echo "fetching $source"
apt-get update -qq
# The reader of packages without privileges may not look into this directory: it is root's.
apt-get download -qq -o APT::Sandbox::User=root "$source"
# What cannot become part of this kernel is left out; only its Kconfig files are needed.
drivers='gpu media staging scsi infiniband iio usb net/ethernet net/wireless'
for folder in sound fs/xfs fs/btrfs arch/arm arch/arm64 arch/mips arch/powerpc $(printf 'drivers/%s ' $drivers); do
  printf '%s\n' "$source/$folder/*.[chS]"
done >skipped
dpkg-deb --fsys-tarfile ./*.deb | tar -xO "./usr/src/$source.tar.xz" |
  tar -xJ --anchored --wildcards --exclude-from=skipped --exclude="$source/tools/testing/*"
rm ./*.deb
cd "$source"

# A signal frame keeps only the AVX part of the vector registers, so a handler would spoil those of AVX-512.
sed -i arch/x86/um/signal.c \
  -e 's/struct _xstate fpstate;/union { & unsigned long all[MAX_FP_NR]; };/' \
  -e 's/sizeof(struct _xstate)/sizeof(unsigned long) * MAX_FP_NR/'

sed -e 's/#.*//' -e 's/^[a-z]*//' "$here/kernel.config" | xargs -n1 | sed 's/.*/CONFIG_&=y/' >../wanted
echo 'CONFIG_LOCALVERSION="-fairlead"' >>../wanted
make -s ARCH=um SUBARCH=x86_64 KCONFIG_ALLCONFIG=../wanted allnoconfig >/dev/null
if grep -vxFf .config ../wanted; then echo 'these options are not to be had' >&2; exit 1; fi
echo "building $target"
make -s -j"$(nproc)" ARCH=um SUBARCH=x86_64 linux >../log 2>&1 9>&- || { tail -20 ../log >&2; exit 1; }
strip -o ../linux linux
mv ../linux "$target"
