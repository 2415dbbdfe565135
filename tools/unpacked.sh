#!/bin/sh
# Unpacks Debian packages into build/debian/PACKAGE without installing them: for daemons like firewalld, which would
# start, and shut this host up. What they depend on has to be installed.
set -eu
for package; do
  target=build/debian/$package
  [ -d "$target" ] && continue
  mkdir -p build/debian
  download=$(mktemp -d)
  # apt drops its privileges for a download.
  chmod 755 "$download"
  chown _apt "$download" 2>/dev/null || true
  (cd "$download" && apt-get download -qq "$package" >/dev/null)
  dpkg-deb -x "$download"/*.deb "$target.new"
  mv "$target.new" "$target"
  rm -rf "$download"
done
