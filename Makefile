# Thin: every target is one call. `make run` and `make test` set up everything they need.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c "$(SUPPORTED)" 2>/dev/null && { echo "$$p"; break; }; done)
BIN := .venv/bin
READY := .venv/.ready

SEED ?= $(shell date +%s)

.PHONY: run test test-fast random alone long browser check docs lock help faults-root
help:  ## what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: $(READY)  ## retrain the default model: data, checks, training, gate, registry
	@$(BIN)/ratchet run

test: $(READY)  ## the tests, in a quarter of an hour on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not long" --durations 40 --durations-min 2

test-fast: $(READY)  ## the tests of functions, which need neither TensorFlow nor a whole run: under a minute
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -p tests.guard.no_tensorflow \
		--hypothesis-profile quick -m "not (long or tensorflow or process)" tests/flows tests/pipelines tests/project

long: $(READY)  ## the tests that take a minute or so each
	$(BIN)/python -m pytest -n 2 --dist loadfile -m long --timeout 7200 -o faulthandler_timeout=7500

random: $(READY)  ## the tests in another order, which SEED=N gives again, and with more examples drawn
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not long" --hypothesis-profile thorough --random-order-seed $(SEED)

alone: $(READY)  ## the tests, each file in a process of its own: no file needs what another one left
	@failed=; for file in $$(find tests -name 'test_*.py' | sort); do echo "$$file"; \
		$(BIN)/python -m pytest -q --no-header -m "not long" $$file || [ $$? = 5 ] || failed="$$failed $$file"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

browser: $(READY)  ## the tests that look at pages with Chromium
	$(BIN)/python -m pytest -q -rs -m "browser and not long"

faults-root: $(READY)  ## the faults that need root, if only of a namespace: disks that are full or read-only
	$(BIN)/python -m pytest -q tests/flows/project/test_preflight.py
	unshare -rm $(BIN)/python benchmarks/faults.py --only disk

check: $(READY)  ## lint, format, types, import rules, dead links
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/project/test_documents.py

docs: $(READY)  ## write the reference of the commands and of the model's YAML from the code
	@$(BIN)/python -m typer flows.cli.app utils docs --name ratchet --title Commands --output docs/reference/commands.md
	@$(BIN)/python -m docs.model_yaml docs/reference/model-yaml.md

lock: $(READY)  ## resolve the dependencies anew
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade -o requirements.lock

# The marker is written last: an interrupted installation starts again. uv itself comes from the same
# lock. Byte code is compiled here because imports take twice as long without it.
$(READY): requirements.lock
	@test -n "$(PYTHON)" || { echo "Ratchet needs Python 3.11, 3.12 or 3.13, and none was found:" \
		"install one, or name it with 'make PYTHON=/path/to/python3.12'."; exit 2; }
	@"$(PYTHON)" -c "$(SUPPORTED)" || { echo "Ratchet needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is" \
		"$$("$(PYTHON)" --version): name another with 'make PYTHON=/path/to/python3.12'."; exit 2; }
	@"$(PYTHON)" -c "import ensurepip" 2>/dev/null || { echo "This Python cannot make virtual environments:" \
		"install its venv package (on Debian: apt install python3-venv)."; exit 2; }
	@echo "Installing into .venv (about a minute, 3 GB) ..."
	@"$(PYTHON)" -m venv --clear .venv
	@awk '/^uv==/ {on=1; print; next} /^[^ ]/ {on=0} on' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync -q --require-hashes --compile-bytecode requirements.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q --no-deps --no-build-isolation --offline -e .
	@$(BIN)/python -m compileall -q flows pipelines
	@touch $(READY)
