# `make` alone prints this menu. Every recipe does its own set-up; CI and pre-commit call the same ones.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
export YOLO_OFFLINE := 1
export YOLO_AUTOINSTALL := false
export RAY_USAGE_STATS_ENABLED := 0
# Empty: bytecode is kept, whatever the caller's environment says. Of the hundreds of Python processes that the tests start
# each would compile Rayline anew, and each pytest worker would rewrite the assertions of all tests.
export PYTHONDONTWRITEBYTECODE :=

help: ## this menu
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## create .venv/ with Rayline and all it needs (the others call it first)

.venv/.ready: pyproject.toml constraints.txt scripts/setup
	scripts/setup

setup-test: setup ## Debian packages that only the tests need (a Redis 7, GStreamer's RTSP server, ffmpeg)
	scripts/debian-packages test

demo: setup ## the main job, end to end: make demo [DURATION=90] [JSON=out.json] [SEED=1]
	$(PY) -m pipeline.cli demo $(if $(DURATION),--duration $(DURATION)) $(if $(JSON),--json $(JSON)) $(if $(SEED),--seed $(SEED))

test: setup-test ## all tests: unit, contracts, wiring, services, e2e (half an hour on 2 cores)
	$(PY) -m pytest tests --ignore=tests/wiring --ignore=tests/e2e -m "not slow and not gpu" -n 4 --dist worksteal
	scripts/test-whole

check: setup ## format, lint, types, unit tests (some 4 minutes on 2 cores)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	$(PY) -m pytest tests/unit -q -n 2

drill: setup-test ## the long forms of the tests
	$(PY) -m pytest -m "slow and not gpu"

chaos: setup-test ## parts of a running line die at random; what that cost: make chaos [MINUTES=10] [JSON=out.json] [SEED=1]
	$(PY) -m bench.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(JSON),--json $(JSON)) $(if $(SEED),--seed $(SEED))

bench: setup ## how fast the pipeline is beside the bare model: make bench [JSON=bench.json]
	$(PY) -m bench.pipeline --cameras 4 --json $(or $(JSON),bench/results/pipeline.json)

bench-scale: setup ## what cameras cost, from 1 to 64: make bench-scale [CAMERAS=1,4,16,64] [JSON=scale.json]
	$(PY) -m bench.scale $(if $(CAMERAS),--cameras $(CAMERAS)) --json $(or $(JSON),bench/results/scale.json)

bench-latency: setup ## from picture to message, by clocks that are not Rayline's: make bench-latency [JSON=latency.json]
	$(PY) -m bench.latency --json $(or $(JSON),bench/results/latency.json)

bench-soak: setup ## whether anything grows: make bench-soak [MINUTES=30] [JSON=soak.json]
	$(PY) -m bench.soak $(if $(MINUTES),--minutes $(MINUTES)) --json $(or $(JSON),bench/results/soak.json)

bench-report: setup ## docs/performance.md, its plots and one JSON anew, of what the benchmarks wrote
	$(PY) -m bench.report

bench-peers: setup .venv-peers/.ready ## Rayline beside other tools, in one run: make bench-peers [ROUNDS=3] [JSON=peers.json]
	$(PY) -m bench.peers $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(JSON),--json $(JSON))

.venv-peers/.ready: bench/peers/requirements.txt bench/peers/requirements-all.txt | setup
	[ -x .venv-peers/bin/python ] || $(PY) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r bench/peers/requirements.txt -c bench/peers/requirements-all.txt \
		&& touch $@ || echo "Roboflow could not be installed; its recorded share of the bare model stands in, marked so" >&2

bench-gpu: setup ## where a GPU's time goes, stage by stage: make bench-gpu [JSON=gpu.json]
	$(PY) -m bench.gpu $(if $(JSON),--json $(JSON))

test-gpu: setup ## the tests that need a GPU
	$(PY) -m pytest -m gpu

page-pictures: setup-test ## docs/images/page-*.png anew, of the demo's page
	$(PY) scripts/page_pictures.py

schemas: setup ## write configs/schemas anew
	.venv/bin/rayline schema --out configs/schemas

.PHONY: help setup setup-test demo test check drill chaos bench bench-scale bench-latency bench-soak bench-report bench-peers bench-gpu test-gpu page-pictures schemas
