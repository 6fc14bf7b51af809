PY := .venv/bin/python
.PHONY: setup
setup: .venv/.ready
.venv/.ready: requirements/dev.txt pyproject.toml runtime/pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "python3 is $$(python3 -V 2>&1), 3.11 or newer is needed; put one first on PATH" >&2; exit 2; }
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/dev.txt
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e runtime -e .
	@touch $@
