# One environment for everything, built once: a second call of any target starts at once.
PYTHON ?= python3
BIN := .venv/bin
# Only a fresh clone installs; -n 2 because most tests are small and torch gets one thread each.
export OMP_NUM_THREADS ?= 1

.PHONY: help test browser demo lint format docs bench clean
help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

test: .venv/ready browser ## run all tests (installs everything first)
	$(BIN)/python -m pytest -n 2

# For tests/browser, which are skipped without it; only root can install it, and only Debian's way.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get -qq update \
	    && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium; } \
	  >/dev/null 2>&1 || echo "No Chromium: the tests of TensorBoard's pages will be skipped."

demo: .venv/ready ## watch a small network learn where to look, and judge it (a minute or two)
	OMP_NUM_THREADS= $(BIN)/fullgrad demo

lint: .venv/ready ## ruff, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/ready ## build the documentation into site/; warnings are errors
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: .venv/ready ## all benchmarks; rewrites the tables in docs/
	OMP_NUM_THREADS= $(BIN)/python -m benchmarks.memory
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	OMP_NUM_THREADS= $(BIN)/python -m benchmarks.saliency --write docs/speed.md
	$(BIN)/python -m benchmarks.fills
	$(BIN)/python -m benchmarks.roar_loader
	OMP_NUM_THREADS= $(BIN)/python -m benchmarks.saliency_writer
	$(BIN)/python -m benchmarks.localization --write docs/localization.md
	[ -z "$$FULLGRAD_DATA" ] || $(BIN)/python -m benchmarks.psi --data "$$FULLGRAD_DATA" \
	  --weights "$$FULLGRAD_DATA/mobilenetv1_025_imagenet.pt" --write docs/psi.md
	OMP_NUM_THREADS= $(BIN)/python -m benchmarks.roar_planted
	OMP_NUM_THREADS= $(BIN)/python -m benchmarks.roar_kills
	OMP_NUM_THREADS= $(BIN)/python -m benchmarks.completeness --jobs 2 --write docs/completeness.md

clean: ## remove the environment and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
