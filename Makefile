# Everything below works on a machine that has make, Python 3.11 or newer, and a network.
# What is downloaded lies in .venv and .data; a second run finds it there and starts at once.

PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo $$candidate; break; fi; done)

RUN := .venv/bin/python
READY := .venv/.in-step-with-the-lock
CODE := schemas services webhook_gateway token_service sync_worker connector sandbox deploy simulation tests $(wildcard bench)
PYTEST := $(RUN) -m pytest
# Three processes on two processors: tests of whole systems mostly wait. PROCESSES=0: one after the other.
PROCESSES ?= 3
SHARED_OUT := -n $(PROCESSES) --dist loadscope --no-loadscope-reorder

# Image locks hold part of what requirements.lock holds, in the same versions.
LOCK_IMAGE = $(RUN) -m uv pip compile pyproject.toml $(1) --universal --python-version 3.11 \
	--constraints requirements.lock --generate-hashes --no-emit-index-url --no-annotate --quiet \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --output-file $(2)

.DEFAULT_GOAL := help
.PHONY: $(shell awk -F: '/^[a-z-]+:/ { print $$1 }' $(firstword $(MAKEFILE_LIST)))

help: ## Show this list
	@echo "make demo    plays the whole system; make test    checks all of it. Each sets up what it needs."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) prepare ## Play the article's story, then stay up to be used (ONCE=1: end after the story)
	@$(RUN) -m connector demo $(if $(ONCE),--once)

test: $(READY) ## Lint, types and every test, on a real Kafka, PostgreSQL and browser
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target lint mypy basedpyright setup-browser
	$(PYTEST) $(SHARED_OUT) $(ARGS)

test-unit: $(READY) ## The tests that need no server and no browser
	$(PYTEST) -m "not kafka and not postgres and not browser and not stack" $(ARGS)

test-stack: $(READY) setup-browser prepare ## The tests of all programs together
	$(PYTEST) -m "stack" $(ARGS)

simulate: $(READY) ## Histories of faults from seeds (SEEDS=10000; SEED=123 prints one)
	@PYTHONHASHSEED=0 $(RUN) -m simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),10000)) $(ARGS)

lint: $(READY) ## Rules of the code and its layout
	$(RUN) -m ruff check $(CODE)
	$(RUN) -m ruff format --check $(CODE)

types: mypy basedpyright ## Types, and results that are returned and dropped

mypy: $(READY) ## Types alone
	$(RUN) -m mypy

basedpyright: $(READY) ## Results that are returned and dropped, alone
	$(RUN) -m basedpyright --level error

fmt: $(READY) ## Write the code as the rules want it, where a tool can
	$(RUN) -m ruff check --fix $(CODE)
	$(RUN) -m ruff format $(CODE)

up: $(READY) prepare ## A Kafka and a PostgreSQL alone, until Ctrl-C
	@$(RUN) -m deploy.local.up

migrate: $(READY) ## Bring the database of DATABASE_URL up to date
	@$(RUN) -m connector migrate

setup: $(READY) prepare ## Everything that demo needs, downloaded beforehand

setup-browser: $(READY) ## A Chromium for the page tests and a promtool for the alerts', unless installed
	@$(RUN) -m deploy.local.prepare --browser

prepare: $(READY)
	@$(RUN) -m deploy.local.prepare

schemas: $(READY) ## OpenAPI, AsyncAPI and JSON Schema, from the types of what crosses our wires
	@$(RUN) -m schemas.documents

lock: $(READY) ## Pin what pyproject.toml asks for, with hashes (UPGRADE=1: the newest of each)
	$(RUN) -m uv pip compile pyproject.toml --extra demo --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --quiet $(if $(UPGRADE),--upgrade) \
		--custom-compile-command "make lock" --output-file requirements.lock
	$(call LOCK_IMAGE,--extra build,requirements.runtime.lock)
	$(call LOCK_IMAGE,--extra build --extra sandbox,requirements.sandbox.lock)
	$(RUN) -m deploy.local.jars
	$(RUN) -m deploy.sbom

sbom: $(READY) ## Write deploy/sbom.cdx.json, what the image contains, from its lock file
	@$(RUN) -m deploy.sbom

advisories: $(READY) ## Ask the OSV database of flaws about every pinned release (leaves this machine)
	@$(RUN) -m deploy.advisories

faults: $(READY) prepare ## Every fault on the real system, below an hour (ONLY="w5 kafka" some; SEED=7 a run again)
	@ONLY="$(ONLY)" SEED="$(SEED)" MINUTES="$(MINUTES)" $(RUN) -m tests.faults
	$(if $(ONLY),,REFRESH_ROTATIONS=$(or $(ROTATIONS),100) $(PYTEST) tests/token_service/test_refresh_storm.py)

mutants: $(READY) prepare ## Seeded defects, each of which a named test must notice (ONLY="no-quiet-period" some; WHY=1)
	@$(RUN) -m tests.mutants $(if $(WHY),--why) $(if $(ONLY),--only $(ONLY))

soak: $(READY) prepare ## The real system under load with restarts (MINUTES=30 RATE=50 events a second)
	@MINUTES="$(MINUTES)" RATE="$(RATE)" $(RUN) -m tests.faults.soak

bench: $(READY) prepare ## Everything measured, into docs/performance.md (10 minutes; ARGS="--only ingest")
	@$(RUN) -m bench $(ARGS)

bench-ingest: $(READY) prepare ## The gateway's throughput beside that of bare uvicorn and aiokafka
	@$(RUN) -m bench.ingest $(ARGS)

refresh-storm: $(READY) prepare ## 1,000 refreshes of a grant by 4 replicas in trouble: each redeems once (up to an hour)
	REFRESH_ROTATIONS=$(or $(ROTATIONS),1000) $(PYTEST) tests/token_service/test_refresh_storm.py $(ARGS)

bench-calls: $(READY) prepare ## What the mirror costs in calls on Procore, as five ratios
	@$(RUN) -m bench.calls

dashboard: $(READY) prepare ## The dashboard drawn from a Prometheus (PROMETHEUS=http://127.0.0.1:9090 MINUTES=20)
	@$(RUN) -m deploy.grafana.preview $(or $(PROMETHEUS),http://127.0.0.1:9090) --minutes $(or $(MINUTES),20) --into .data/dashboard.png

manifests: $(READY) ## Build every overlay of deploy/kubernetes into .data/manifests, and validate it
	@mkdir -p .data/manifests
	@for overlay in deploy/kubernetes/overlays/*/; do name=$$(basename $$overlay); \
		.venv/bin/kubectl kustomize $$overlay > .data/manifests/$$name.yaml || exit 1; \
		echo "$$name: $$(grep -c '^kind:' .data/manifests/$$name.yaml) resources in .data/manifests/$$name.yaml"; done
	$(PYTEST) tests/deploy_kubernetes -q $(ARGS)

check-image: $(READY) ## Follow deploy/Dockerfile in a clean folder, without a docker engine (downloads)
	@$(RUN) -m deploy.check_image

clean: ## Remove all that was downloaded and made here
	rm -rf .venv .data .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(READY): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer is needed, and none was found on the PATH." >&2; \
		echo "Install one (Debian, Ubuntu: python3 python3-venv), or say where it is: make PYTHON=/path/to/python3" >&2; \
		exit 1; fi
	@$(PYTHON) deploy/local/environment.py
	@touch $@
