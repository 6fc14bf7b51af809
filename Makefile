# make demo: the main job, on a real agent.   make demo-rollout: canaries, before users.   make test: what CI runs.   make check: the quick half.
# make test-long: the rest, stacks in containers.
BIN := .venv/bin

.PHONY: setup demo demo-rollout test test-long check lint golden bench soak rolling pins clean

setup: .venv/.ready

.venv/.ready: requirements/dev.txt requirements/uv.txt pyproject.toml runtime/pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "python3 is $$(python3 -V 2>&1); 3.11 or newer is needed, put one first on PATH" >&2; exit 2; }
	@echo "preparing .venv"
	@python3 -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e runtime -e .
	@touch $@

demo: setup
	@$(BIN)/python examples/demo.py

demo-rollout: setup  # two minutes: a canary that is worse is found and goes back, a good one is promoted
	@$(BIN)/python examples/demo_rollout.py

# Two cores full of processes and containers: what fails is run once more, and named with its traceback.
AGAIN := --reruns 1 --rerun-show-tracebacks -raR

test: lint
	$(BIN)/pytest -q -n 4 $(AGAIN) tests/unit tests/golden
	$(BIN)/pytest -n 4 $(AGAIN) --dist loadfile --durations 20 -m "not long and not alone" tests/docs tests/scenarios tests/engines
	$(BIN)/pytest -m alone $(AGAIN) tests/engines

test-long: setup  # stacks in containers of a real engine: some ten minutes more
	$(BIN)/pytest -n 2 $(AGAIN) --dist loadfile -m long tests/scenarios tests/engines

check: lint
	$(BIN)/pytest -q -n 2 --hypothesis-profile quick -m "not slow and not network and not docker" tests/unit tests/golden tests/docs

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: setup
	SHIPWAY_WRITE_GOLDEN=1 $(BIN)/pytest -q tests/golden
	$(BIN)/python -m shipway.spec.reference --write
	$(BIN)/python -m shipway.cli.reference --write
	$(BIN)/python -m shipway.render.targets.page --write
	$(BIN)/python -m shipway_runtime.api.openapi > docs/reference/openapi.json

bench: bench-cli bench-runtime bench-policy bench-control bench-image bench-relay bench-replay bench-gate bench-rollout

bench-%: setup
	$(BIN)/python bench/$*.py

MINUTES := 10

soak: setup  # MINUTES=10: every few seconds an MCP server ends; no agent may be lost and nothing leak
	$(BIN)/python bench/soak.py --seconds $$(($(MINUTES) * 60))

rolling: setup  # MINUTES=10: two replicas under the load of five hundred conversations, restarted in the middle
	$(BIN)/python bench/rolling.py --seconds $$(($(MINUTES) * 60))

COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --no-emit-package shipway-runtime

pins: setup  # moves every pinned tool of requirements/ to its newest release
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) --all-extras pyproject.toml runtime/pyproject.toml requirements/dev.in -o requirements/dev.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache examples/*/.shipway
