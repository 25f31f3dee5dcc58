# `make demo` and `make test` do all their own set-up in .venv; PYTHON names the interpreter.
PYTHON ?= python3
TORCH ?= 2.13.0
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: demo test test-slow test-cluster lint bench clean

demo: .venv/.installed
	HF_HUB_OFFLINE=1 $(BIN)/pad-ray pipeline --config jobs/configs/demo.yaml

# PYTEST adds flags: make test PYTEST="-k answers -x".
test: .venv/.installed-dev
	$(BIN)/python -m pytest -m "not slow and not cluster" -n 2 --dist loadscope $(PYTEST)

# Endurance, fuzz, kill -9, full trainings.
test-slow: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow --timeout 1200 $(PYTEST)

# Several nodes and hosts, a head that restarts, load; some want root, iproute2, nftables, runc and
# redis-server, and say so where they are skipped.
test-cluster: .venv/.installed-dev
	$(BIN)/python -m pytest -m cluster --timeout 1200 $(PYTEST)

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@# 2 is no error of types: on a busy machine its processes may not start in time.
	$(BIN)/mypy || { [ $$? -eq 2 ] && $(BIN)/mypy --num-workers 0; }

bench: .venv/.installed-dev
	$(BIN)/python -m pytest -s tests/bench/bench_*.py

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache .hypothesis pad_ray.egg-info

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 13) else "pad-ray needs Python 3.11 or 3.12; set PYTHON=")'
	$(PYTHON) -m venv .venv

.venv/bin/uv: | .venv/bin/python
	$(BIN)/pip install --quiet "uv>=0.9,<1"

# Torch first: where no GPU is found, its CPU build, which is a tenth of the size. pip finds that
# build where its own configuration offers one; uv knows PyTorch's CPU index by name.
.venv/.torch: | .venv/bin/uv
	if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then \
	  $(UV) torch==$(TORCH); \
	else \
	  $(BIN)/pip install --quiet "torch==$(TORCH)+cpu" \
	  || $(UV) --torch-backend cpu torch==$(TORCH) \
	  || $(BIN)/pip install torch==$(TORCH); \
	fi
	touch $@

# DeepSpeed's operators are built when first used, never here: no compiler is needed. uv leaves the
# torch that is there alone, and takes a tenth of pip's time.
.venv/.installed: requirements.txt pyproject.toml | .venv/.torch
	DS_BUILD_OPS=0 $(UV) -r requirements.txt
	$(UV) --no-deps -e .
	touch $@

.venv/.installed-dev: .venv/.installed
	DS_BUILD_OPS=0 $(UV) -e ".[dev]"
	touch $@
