# `make demo` and `make test` do all their own set-up in .venv; PYTHON names the interpreter.
PYTHON ?= python3
TORCH ?= 2.13.0
BIN := .venv/bin
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: demo test test-slow test-thorough lint bench clean

demo: .venv/.installed
	HF_HUB_OFFLINE=1 $(BIN)/python jobs/pipeline.py --config jobs/configs/demo.yaml

test: .venv/.installed-dev
	$(BIN)/python -m pytest -m "not slow" --durations=15

test-slow: .venv/.installed-dev
	$(BIN)/python -m pytest -m "slow and not thorough" --durations=30

test-thorough: .venv/.installed-dev
	$(BIN)/python -m pytest -m thorough

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed-dev
	$(BIN)/python -m pytest -s tests/bench/bench_*.py

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache .hypothesis pad_ray.egg-info

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 13) else "pad-ray needs Python 3.11 or 3.12; set PYTHON=")'
	$(PYTHON) -m venv .venv

# Torch first: where no GPU is found, its CPU build, which is a tenth of the size. pip finds that
# build where its own configuration offers one; uv knows PyTorch's CPU index by name.
.venv/.torch: | .venv/bin/python
	if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then \
	  $(BIN)/pip install torch==$(TORCH); \
	else \
	  $(BIN)/pip install --quiet "torch==$(TORCH)+cpu" \
	  || { $(BIN)/pip install uv && $(BIN)/uv pip install --python $(BIN)/python --torch-backend cpu torch==$(TORCH); } \
	  || $(BIN)/pip install torch==$(TORCH); \
	fi
	touch $@

# DeepSpeed's operators are built when first used, never here: no compiler is needed.
.venv/.installed: requirements.txt pyproject.toml | .venv/.torch
	DS_BUILD_OPS=0 $(BIN)/pip install --quiet -r requirements.txt
	$(BIN)/pip install --quiet --no-deps -e .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@
