# Everything that a checkout can do. Needs make, Node with npm, and Go; the rest sets itself up, outside the checkout in the
# user's cache folder where it can be shared. `make help` lists the targets.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sealgate

# --- Node: the one on PATH if it is new enough, else one from npm -------------------------------------------------------
NODE_VERSION := 26.10.0
NODE_IS_NEW := process.exit(process.versions.node.split(".").map(Number).reduce((v, n, i) => v + n * [1e6, 1e3, 0][i], 0) < 24012000 ? 1 : 0)
CACHED_NODE := $(CACHE)/node-$(NODE_VERSION)/bin/node

ifeq ($(shell node -e '$(NODE_IS_NEW)' >/dev/null 2>&1 && echo yes),yes)
NODE := $(shell command -v node)
else
NODE := $(CACHED_NODE)
export PATH := $(dir $(CACHED_NODE)):$(PATH)
endif

NEED_NPM = command -v npm >/dev/null || { echo 'make: npm is not on PATH: install Node with npm (any version: a newer Node is fetched with it)' >&2; exit 1; }

$(CACHED_NODE):
	@$(NEED_NPM)
	@mkdir -p '$(CACHE)'
	@os=$$(uname -s | tr A-Z a-z); arch=$$(uname -m); case $$arch in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; esac; \
	package=node-$$os-$$arch; temp=$$(mktemp -d '$(CACHE)/.node-XXXXXX'); trap 'rm -rf "$$temp"' EXIT; \
	echo "Fetching Node $(NODE_VERSION) ($$package): the one on PATH is missing or older than 24.12" >&2; \
	npm install --silent --prefix "$$temp" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund "$$package@$(NODE_VERSION)" >&2 && \
	mkdir -p '$(@D)' && mv "$$temp/node_modules/$$package/bin/node" '$@'

# --- npm packages and Go tools --------------------------------------------------------------------------------------------
PACKAGES := node_modules/.stamp

$(PACKAGES): package-lock.json package.json .npmrc | $(NODE)
	@$(NEED_NPM)
	npm ci
	@touch $@

# Built once for each version; tools/build-tools.ts finds at once that there is nothing to do.
BUILD_TOOLS = $(NODE) tools/build-tools.ts

.PHONY: setup tools tool-opa print-node print-opa
setup: $(PACKAGES) tool-opa ## Node, npm packages and OPA: what `make run` needs

tool-opa: | $(NODE)
	@$(BUILD_TOOLS) opa

tools: | $(NODE) ## every pinned Go tool (kube-apiserver takes minutes the first time)
	@$(BUILD_TOOLS)

print-opa: tool-opa
	@$(BUILD_TOOLS) --list opa

print-node: | $(NODE)
	@echo '$(NODE)'

# --- Running it -------------------------------------------------------------------------------------------------------------
.PHONY: run cluster
run: setup ## start Sealgate, play recorded requests through it, stay up until interrupted
	@$(NODE) tools/demo.ts $(ARGS)

cluster: setup tools ## a real etcd and kube-apiserver with Sealgate attached, until interrupted
	@$(NODE) tools/cluster/main.ts $(ARGS)

# --- Packaging --------------------------------------------------------------------------------------------------------------
.PHONY: dist image
dist: setup ## dist/: compiled sources, packages, Node and OPA, which run without a checkout
	@$(NODE) tools/image/main.ts

IMAGE ?= sealgate:dev
image: dist ## the container image IMAGE, with docker or, where there is no Docker engine, buildah
	@version=$$($(NODE) -p 'require("./package.json").version'); revision=$$(git rev-parse HEAD 2>/dev/null || echo unknown); \
	if docker info >/dev/null 2>&1; then build='docker build'; \
	elif command -v buildah >/dev/null; then build='buildah bud --isolation chroot --storage-driver vfs'; \
	else echo 'make: building an image needs docker or buildah' >&2; exit 1; fi; \
	$$build --build-arg VERSION=$$version --build-arg REVISION=$$revision --tag '$(IMAGE)' .

# --- Tests. REPORTS=folder also writes the results there as JSON ------------------------------------------------------------
VITEST = node_modules/.bin/vitest run --project $@ $(if $(REPORTS),--reporter=default --reporter=json --outputFile.json='$(REPORTS)/$@.json') $(ARGS)

.PHONY: test unit integration rego-test e2e conformance chaos chaos-quick chaos-tools
test: unit rego-test integration ## all tests

unit: setup ## unit tests (ARGS='path or -t name' narrows them down)
	@$(VITEST)

integration: setup tools ## tests against a real kube-apiserver and etcd
	@$(VITEST)

rego-test: tool-opa ## the Rego tests of policies/
	@opa=$$($(BUILD_TOOLS) --list opa); \
	$(if $(REPORTS),mkdir -p '$(REPORTS)' && "$$opa" test --format=json policies > '$(REPORTS)/$@.json' ||) "$$opa" test policies

# With REPORTS, where the machine cannot be a node, the file skipped-e2e there says why.
e2e: setup tools ## the image and the chart in a real cluster of one node: installed, upgraded, broken, removed (root, no Docker)
	@$(BUILD_TOOLS) kubelet kube-proxy kube-scheduler kube-controller-manager pause
	@REPORTS='$(REPORTS)' $(NODE) --no-warnings test/e2e/main.ts $(ARGS)

conformance: setup ## OPA's own conformance cases, through the host that evaluates policies (ARGS='--only PATTERN')
	@$(BUILD_TOOLS) conformance
	@$(NODE) --no-warnings test/conformance/main.ts $(if $(REPORTS),--report '$(REPORTS)/$@.json') $(ARGS)

# strace lets chaos see and fail system calls, libfaketime steps its clock. What is missing is installed where there is root and
# apt-get; otherwise a class says what it skips, or what it does instead.
chaos-tools:
	@need=; command -v strace >/dev/null || need=strace; \
	ls /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || need="$$need faketime"; \
	[ -z "$$need" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	{ apt-get install -y -qq $$need || { apt-get update -qq && apt-get install -y -qq $$need; }; } >/dev/null 2>&1 || true

chaos: $(PACKAGES) chaos-tools ## kill, fault, cut the power of, fill and misdate the ledger for minutes (docs/faults.md)
	@$(NODE) --no-warnings test/chaos/main.ts $(ARGS)

chaos-quick: $(PACKAGES) chaos-tools ## a bounded version of it, about a minute
	@$(NODE) --no-warnings test/chaos/main.ts --quick $(ARGS)

# --- Checks -----------------------------------------------------------------------------------------------------------------
.PHONY: check lint rego-lint types layers knip portable generate
check: lint rego-lint types layers knip portable ## every check that is not a test

lint: $(PACKAGES) ## Biome: style and mistakes
	@node_modules/.bin/biome check --error-on-warnings .

rego-lint: tool-opa ## OPA's own checks of policies/
	@opa=$$($(BUILD_TOOLS) --list opa); "$$opa" check --strict policies && "$$opa" fmt --list --fail policies

types: $(PACKAGES) ## TypeScript
	@node_modules/.bin/tsc --noEmit

layers: $(PACKAGES) ## which room of src/ imports which
	@$(NODE) tools/check-layers.ts

knip: $(PACKAGES) ## files, exports and dependencies that nobody uses
	@node_modules/.bin/knip

portable: ## nothing in the repository names one machine or one package registry
	@git grep -nIE '(^|[^a-z.])[/](work|root|Users)/|regist[r]y[.]npmjs|prox[y][.]golang'; test $$? -eq 1

generate: $(PACKAGES) ## write the files that are made from others
	@$(BUILD_TOOLS) helm
	@set -e; for script in $(wildcard tools/generate/*.ts); do $(NODE) $$script; done

.PHONY: fmt bench-inventory bench-ledger bench-admission bench-mirror bench-e2e fixtures clean help
fmt: setup ## format everything
	@node_modules/.bin/biome check --write .
	@opa=$$($(BUILD_TOOLS) --list opa); "$$opa" fmt --write policies

bench-ledger: setup ## how fast events and decisions are recorded, kept and verified, beside bare SQLite (ARGS=--quick)
	@$(NODE) --no-warnings bench/ledger.ts $(ARGS)

bench-inventory: setup ## what 10,000 objects of inventory and their updates cost the evaluation of policies (ARGS=--quick)
	@$(NODE) --no-warnings bench/inventory.ts $(ARGS)

bench-admission: setup ## decisions over TLS, recorded, against OPA's own server with the same policies (ARGS=--quick)
	@$(NODE) --no-warnings bench/admission.ts $(ARGS)

bench-mirror: setup ## how fast a ledger is mirrored into an Object Lock server, what that costs, and how fast it comes back (ARGS=--quick)
	@$(BUILD_TOOLS) versitygw
	@$(NODE) --no-warnings bench/mirror.ts $(ARGS)

bench-e2e: setup ## what a webhook adds to the creation of a pod: Sealgate beside OPA Gatekeeper (ARGS=--quick)
	@$(BUILD_TOOLS) etcd kube-apiserver kubectl gatekeeper
	@$(NODE) --no-warnings bench/e2e.ts $(ARGS)

fixtures: setup tools ## record test/fixtures anew from a real kube-apiserver
	@$(NODE) tools/record-fixtures.ts

clean: ## remove what was installed and written here; never a ledger (sealgate-data/), nor the cache
	rm -rf node_modules .tmp coverage dist

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
