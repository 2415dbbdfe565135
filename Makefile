# Fairlead. `make` prints the targets.

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
NODE := node --disable-warning=ExperimentalWarning
PEER ?= /usr/lib/cni
BIN ?= build/bin
BINDIR ?= /opt/cni/bin
DESTDIR ?=

# What the tests observe with, the suite they compare with, the runtimes that they start, and a kernel for a guest.
DEBIAN_PACKAGES := iproute2 nftables iptables conntrack iputils-ping containernetworking-plugins strace \
	podman crun containerd busybox-static tcpdump etcd-server ethtool openssl wireguard-tools \
	dbus-daemon dbus-bin python3-dbus python3-gi gir1.2-glib-2.0 python3-firewall python3-nftables \
	$(if $(filter x86_64,$(shell uname -m)),user-mode-linux kmod)

SOURCES := $(shell find agent bench cli cni net netlink plugins sys tools -name '*.ts') package.json

.PHONY: help demo demo-overlay test test-vm vm-kernel build check unit conformance bench bench-pods bench-overlay install keys clean
.DEFAULT_GOAL := help

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: build/bin/fairlead ## build the executables into build/bin

check: build/validators.stamp ## type-check
	@node_modules/.bin/tsc

demo: root build ## attach two containers to a bridge, show that they talk, delete them, show that nothing is left
	@tools/packages.sh iproute2 iputils-ping nftables
	@tools/demo.sh $(BIN)

demo-overlay: root build ## one network over three hosts with etcd: containers talk, agent and store are killed, nobody notices
	@tools/packages.sh iproute2 iputils-ping etcd-server
	@tools/demo-overlay.sh $(BIN)

test: root packages check build ## everything: type check, build, tests, conformance of ours and of the reference suite
	@$(NODE) tools/test.ts

unit: check build .tap/stamp ## the tests beside the code, and the system tests
	@node_modules/.bin/tap

conformance: root build ## judge a suite: make conformance BIN=/usr/lib/cni ARGS='--area A'
	@$(NODE) conformance/main.ts $(BIN) $(if $(filter $(PEER),$(BIN)),--known reference) $(ARGS)

test-vm: root build ## kernel tests and conformance on a kernel with more drivers than this one; ARGS=all for every case
	@tools/packages.sh containernetworking-plugins iproute2 nftables iptables iputils-ping tcpdump wireguard-tools
	@$(NODE) tools/vm/main.ts $(ARGS)

vm-kernel: root node_modules/.package-lock.json ## build the kernel for test-vm (10 minutes, once); without it Debian's own is taken
	@$(NODE) tools/vm/build.ts

bench: root build ## compare with another suite (PEER=/usr/lib/cni), interleaved
	@tools/packages.sh iproute2 nftables iptables containernetworking-plugins gcc libc6-dev
	@$(NODE) bench/main.ts --ours $(BIN) --peer $(PEER) $(ARGS)

bench-pods: root build ## 50 pods at once with containerd, beside the other suite and without any (some minutes)
	@tools/packages.sh iproute2 nftables iptables containernetworking-plugins containerd crun busybox-static
	@$(NODE) bench/pods.ts --ours $(BIN) --peer $(PEER) $(ARGS)

bench-overlay: root build ## the overlay: new hosts, 5,000 hosts, ADD beside a bridge, throughput (5 minutes)
	@tools/packages.sh iproute2 nftables iputils-ping etcd-server iperf3 gcc libc6-dev
	@FAIRLEAD_BIN=$(BIN) $(NODE) bench/overlay.ts $(ARGS)

install: build ## install the executables: make install DESTDIR= BINDIR=/opt/cni/bin REPLACE=1
	@build/bin/fairlead install $(DESTDIR)$(BINDIR) $(if $(REPLACE),--replace)

keys: check ## write the tables of keys in the plugins' READMEs
	@$(NODE) tools/keys.ts

clean: ## remove what was built
	@rm -rf build .tap node_modules

node_modules/.package-lock.json: package.json package-lock.json
	@echo 'installing the packages of package-lock.json'
	@npm ci --no-progress --loglevel=error
	@touch $@

build/validators.stamp: node_modules/.package-lock.json tools/validators.ts $(filter plugins/%/config.ts cni/keys.ts,$(SOURCES))
	@$(NODE) tools/validators.ts
	@touch $@

build/bin/fairlead: build/validators.stamp $(SOURCES)
	@echo 'building build/bin'
	@$(NODE) tools/build.ts

# tap builds its test class once; without it the first run fails beside TypeScript 7.
.tap/stamp: node_modules/.package-lock.json
	@node_modules/.bin/tap build
	@touch $@

.PHONY: packages root
packages:
	@tools/packages.sh $(DEBIAN_PACKAGES)
	@tools/unpacked.sh firewalld

root:
	@[ "$$(id -u)" = 0 ] || { echo 'this needs root: it makes network namespaces' >&2; exit 1; }
