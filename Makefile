# Everything is one word: `make run`, `make test`, `make check`. Each does its own set-up; the second time it is fast.
#
#   make run                  the demo: a small server with a story, watched live
#   make run TARGET=nginx     watch nginx (as root)
#   make test                 the whole suite; as root it installs nginx, wrk, tmux ... and traces for real
#   make test-servers         nginx, Apache, Redis, PostgreSQL ... one by one; writes docs/servers.md
#   make test-bpftraces       the scripts on every bpftrace that Debian ships; writes docs/bpftrace.md
#   make test-kernels         the scripts on Debian's kernels from 5.10 on, under QEMU; writes docs/kernels.md
#   make incidents            incidents on a real nginx and what the overview says of them; writes docs/incidents.md
#   make grid                 are all events accounted for? rates x readers x hogs x scripts x bpftraces; writes docs/accounting.md
#   make faults               bad habits of a bpftrace, signals, pauses, restarts, a long day: 25 rounds (ROUNDS=3 is shorter)
#   make fuzz                 every reader of foreign bytes on mutations, a minute each (SECONDS=600 is longer)
#   make check                ruff, mypy, import layers, the dialect of bt/
#   make bench                what it costs nginx; bench-scripts: script by script; bench-ui: the screen
#   make docs                 the tables that are made from the headers of bt/ and the measured costs
#   make screenshots | clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

TARGET ?=
ARGS ?=
PACKAGES_RUN := bpftrace
PACKAGES_TEST := bpftrace nginx wrk tmux curl strace build-essential:gcc procps:ps util-linux:unshare iproute2:ip iptables \
  python3-minimal:/usr/bin/python3 redis-tools:redis-benchmark apache2-bin:apache2 haproxy postgresql:pg_ctlcluster nodejs:node \
  qemu-system-x86:qemu-system-x86_64 busybox-static:busybox e2fsprogs:mke2fs prometheus sudo
FAULTS := tests/faults tests/kernel/test_division.py
PACKAGES_SERVERS := php-fpm:$(notdir $(firstword $(wildcard /usr/sbin/php-fpm*) php-fpm)) openssl default-jdk-headless:javac
SYSTEM_PATH := $(PATH):/usr/sbin:/sbin

.PHONY: run test test-servers test-bpftraces test-kernels incidents grid faults fuzz check bench bench-scripts bench-ui docs screenshots clean host-run host-test
.DEFAULT_GOAL := run

run: $(VENV)/run.stamp host-run
	@exec $(BIN)/bpftop $(if $(TARGET),watch "$(TARGET)",demo) $(ARGS)

test: $(VENV)/dev.stamp host-test
ifneq ($(ARGS),)
	$(BIN)/python -m pytest $(ARGS)
else
	@others=$$(mktemp); nice -n 10 $(BIN)/python -m pytest -m 'not kernel' -n 2 --dist worksteal >"$$others" 2>&1 & pid=$$!; \
	$(BIN)/python -m pytest -m kernel -n 2 --dist loadfile; code=$$?; \
	wait $$pid || code=$$?; cat "$$others"; rm -f "$$others"; exit $$code
endif

# With ARGS only what they name runs, and nothing is written.
test-servers: $(VENV)/dev.stamp host-test
	@$(call missing,$(PACKAGES_SERVERS)); if [ -n "$$missing" ]; then $(call install,$$missing) || true; fi
	$(BIN)/python -m tests.servers $(or $(ARGS),--write)

test-bpftraces: $(VENV)/dev.stamp host-test
	$(BIN)/python -m tests.bpftraces $(or $(ARGS),--write)

test-kernels: $(VENV)/dev.stamp host-test
	$(BIN)/python -m tests.kernels $(or $(ARGS),--write)

incidents: $(VENV)/dev.stamp host-test
	$(BIN)/python -m tests.incidents $(or $(ARGS),--write)

grid: $(VENV)/dev.stamp host-test
	$(BIN)/python -m tests.grid $(or $(ARGS),--bpftraces trixie,sid --at-once 3 --write)

faults: $(VENV)/dev.stamp host-test
	@export BPFTOP_FAULT_ROUNDS=$(or $(ROUNDS),25); run="$(BIN)/python -m pytest $(FAULTS) --timeout 7200"; \
	others=$$(mktemp); $$run -m 'not kernel' $(ARGS) >"$$others" 2>&1 & pid=$$!; \
	$$run -m kernel $(ARGS); code=$$?; \
	if [ "$$(id -u)" = 0 ]; then $(BIN)/python -m tests.faults.a_user || code=$$?; fi; \
	wait $$pid || code=$$?; cat "$$others"; rm -f "$$others"; exit $$code

fuzz: $(VENV)/dev.stamp
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(ARGS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m bpftop.scripts.lint bt

bench-scripts: $(VENV)/dev.stamp host-test
	$(BIN)/python benchmarks/scripts.py $(ARGS)

bench-ui: $(VENV)/dev.stamp host-test
	$(BIN)/python benchmarks/ui.py $(ARGS)
	$(BIN)/python benchmarks/many.py $(if $(findstring --write,$(ARGS)),--write)

bench: $(VENV)/dev.stamp host-test
	$(BIN)/python benchmarks/overhead.py $(ARGS)

docs: $(VENV)/dev.stamp
	$(BIN)/python -m bpftop.scripts.page

screenshots: $(VENV)/dev.stamp
	$(BIN)/python screenshots/make.py $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up ---

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "bpftop needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then $(call install,python3-venv); fi
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp

# PACKAGE or PACKAGE:COMMAND when the command is called otherwise. One missing command is one apt-get for all.
define missing
missing=; for p in $(1); do PATH="$(SYSTEM_PATH)" command -v "$${p#*:}" >/dev/null 2>&1 || missing="$$missing $${p%%:*}"; done; \
missing="$${missing# }"
endef

# As root on Debian: install. Otherwise: the one command to type.
define install
if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
  echo "installing $(strip $(1))" >&2; \
  { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $(1) >/dev/null 2>&1 || \
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $(1) >/dev/null; }; }; \
else \
  echo "missing: $(strip $(1)). Type: sudo apt-get install -y $(strip $(1))" >&2; false; \
fi
endef

define tracefs
if [ "$$(id -u)" = 0 ] && [ ! -e /sys/kernel/tracing/events ] && [ -d /sys/kernel/tracing ]; then \
  mount -t tracefs tracefs /sys/kernel/tracing || true; \
fi
endef

# Nothing here stops the run: without bpftrace or root the demo simulates, and every verb says itself what is missing.
host-run:
	@$(call missing,$(PACKAGES_RUN)); if [ -n "$$missing" ]; then $(call install,$$missing) || true; fi
	@$(call tracefs)

host-test:
	@$(call missing,$(PACKAGES_TEST)); if [ -n "$$missing" ]; then $(call install,$$missing) || true; fi
	@$(call tracefs)
