# sensord: what a person types. `make demo` and `make test` do all their own set-up.

PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
ARGS    ?=

.DEFAULT_GOAL := help
N       ?= 1000
SEED    ?= 1
HOURS   ?= 1
INPUTS  ?= 100000
SBOM    ?= sbom.json
MOST    ?= 20000
STREETS ?= 100

.PHONY: help setup demo score test lint check bench services docs lock clean torture soak replay-is-live fuzz interleavings streets audit sbom

help:                ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "sensord needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "this Python has no venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Two depths of installation: what runs (the demonstration), and all that developers use on top.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.develop: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

setup: $(VENV)/.develop  ## create the virtual environment with everything that developers need

demo: $(VENV)/.runtime  ## run the main job on this machine: SCENARIO=lane-crowd SPEED=1
	@$(BIN)/python -m simulators.demo $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(SPEED),--speed $(SPEED)) $(ARGS)

score: $(VENV)/.develop  ## score the shipped rules on every simulated scenario
	$(BIN)/python -m simulators.score $(ARGS)

services:            ## install mosquitto, InfluxDB and VictoriaMetrics, where that is allowed
	@scripts/install-services.sh

# Six at a time even on two cores: the tests with real services mostly wait. A file stays together, for what it shares.
JOBS    ?= 6

# Compiled modules are kept, whatever the machine's settings: the tests start sensord some two hundred times.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.develop services  ## run all tests (ARGS="-k word", JOBS=1 one after the other)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.develop  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy sensord simulators bench scripts tests

check: lint test     ## everything that must be green before a commit

bench: $(VENV)/.develop services  ## run the benchmarks, one after the other; fails in the end if a target was missed
	@missed=; for program in bench/*.py; do case $$program in */__init__.py|*/machine.py|*/targets.py) ;; \
	  *) $(BIN)/python $$program || missed="$$missed $$program";; esac; done; \
	  [ -z "$$missed" ] || { echo "failed:$$missed"; exit 1; }

torture: $(VENV)/.develop services  ## shoot the daemon, cut the power, N times each, and write the table: N=1000 SEED=1
	$(BIN)/python -m tests.faults.torture --runs $(N) --seed $(SEED) --write $(ARGS)

soak: $(VENV)/.develop services  ## run at 500 messages/s with random faults: HOURS=1 (ARGS="--one-life": no restarts); writes soak.csv, soak.png
	$(BIN)/python -m tests.faults.soak --hours $(HOURS) $(ARGS)
	$(BIN)/uv run --quiet --no-project --with matplotlib python tests/faults/soakplot.py soak.csv soak.png

replay-is-live: $(VENV)/.develop services  ## replay every scenario as a daemon lived through it, shot in the middle: MOST=20000
	$(BIN)/python -m tests.faults.replayed --most $(MOST) $(ARGS)

fuzz: $(VENV)/.develop  ## feed nonsense to everything that reads input: INPUTS=100000 for each
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-fuzz.lock
	$(BIN)/python -m tests.fuzz.run --runs $(INPUTS) $(ARGS)

interleavings: $(VENV)/.develop  ## let alerts, answers, time and restarts interleave at random: N=1000 of forty steps
	SENSORD_EXAMPLES=$(N) $(BIN)/python -m pytest tests/core/test_case_machine.py -q --timeout=0 $(ARGS)

streets: $(VENV)/.develop  ## draw whole streams at random, with reloads and restarts, against the promises: STREETS=100
	FUZZ_EXAMPLES=$(STREETS) $(BIN)/python -m pytest tests/core/test_whole.py -q --timeout=0 $(ARGS)

audit: $(VENV)/.develop  ## ask the advisory service for known faults of what is pinned (needs the network)
	$(BIN)/uvx pip-audit --strict --requirement requirements.lock --require-hashes --disable-pip $(ARGS)

sbom: $(VENV)/.develop  ## write the bill of materials of what is installed with sensord: sbom.json (CycloneDX)
	$(BIN)/uvx --from cyclonedx-bom cyclonedx-py requirements requirements.lock --output-reproducible --output-file $(SBOM) $(ARGS)

docs: $(VENV)/.develop  ## write again what is made from the code: schemas, references, samples
	$(BIN)/python scripts/generated.py

lock: $(VENV)/.develop  ## pin the newest versions that fit pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" --upgrade --extra build --extra demo \
	  pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" --upgrade --extra build --extra demo --extra dev \
	  pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" --upgrade --group fuzz -o requirements-fuzz.lock

clean:               ## remove the virtual environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
