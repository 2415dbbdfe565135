# Fairlead. `make` prints the targets.

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
NODE := node --disable-warning=ExperimentalWarning
PEER ?= /usr/lib/cni
BIN ?= build/bin
BINDIR ?= /opt/cni/bin
DESTDIR ?=

# What the tests observe with, the suite they compare with, and the runtimes that they start.
DEBIAN_PACKAGES := iproute2 nftables iptables conntrack iputils-ping containernetworking-plugins strace \
	podman crun containerd busybox-static

SOURCES := $(shell git ls-files -co --exclude-standard -- '*.ts' package.json 2>/dev/null)

.PHONY: help demo test build check unit conformance bench install clean
.DEFAULT_GOAL := help

help: ## print the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

build: build/bin/fairlead ## build the executables into build/bin

check: build/validators.stamp ## type-check
	@node_modules/.bin/tsc

demo: root build ## attach two containers to a bridge, show that they talk, delete them, show that nothing is left
	@tools/packages.sh iproute2 iputils-ping nftables
	@tools/demo.sh $(BIN)

test: root packages check build ## everything: type check, build, tests, conformance of ours and of the reference suite
	@$(NODE) tools/test.ts

unit: check build .tap/stamp ## the tests beside the code, and the system tests
	@node_modules/.bin/tap

conformance: build ## judge a suite: make conformance BIN=/usr/lib/cni
	@$(NODE) conformance/main.ts $(BIN) $(if $(filter $(PEER),$(BIN)),--known reference)

bench: build ## compare with another suite (PEER=/usr/lib/cni), interleaved
	@$(NODE) bench/main.ts --ours $(BIN) --peer $(PEER)

install: build ## install the executables: make install DESTDIR= BINDIR=/opt/cni/bin
	@build/bin/fairlead install $(DESTDIR)$(BINDIR)

clean: ## remove what was built
	@rm -rf build .tap node_modules

node_modules/.package-lock.json: package.json package-lock.json
	@npm ci --no-progress --loglevel=error
	@touch $@

build/validators.stamp: node_modules/.package-lock.json tools/validators.ts $(filter plugins/%/config.ts cni/keys.ts,$(SOURCES))
	@$(NODE) tools/validators.ts
	@touch $@

build/bin/fairlead: build/validators.stamp $(SOURCES)
	@$(NODE) tools/build.ts

# tap builds its test class once; without it the first run fails beside TypeScript 7.
.tap/stamp: node_modules/.package-lock.json
	@node_modules/.bin/tap build
	@touch $@

.PHONY: packages root
packages:
	@tools/packages.sh $(DEBIAN_PACKAGES)

root:
	@[ "$$(id -u)" = 0 ] || { echo 'this needs root: it makes network namespaces' >&2; exit 1; }
