# Two commands do everything: `make repro` runs the pipeline, `make test` the tests. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3.11
PROFILE ?=
VENV := .venv
BIN := $(VENV)/bin
UV := .uv/bin/uv
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install repro test torture gpu bench programs images e2e lint lock clean

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(UV): requirements-uv.lock
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

$(VENV)/.installed: $(UV) requirements.lock pyproject.toml
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed ## install the locked requirements into .venv

repro: install ## run the whole pipeline; PROFILE=full for the large setting
ifneq ($(PROFILE),)
	ofa profile $(PROFILE)
endif
	ofa check
	dvc repro
	ofa summary

test: install programs ## run the tests
	ruff check .
	ruff format --check .
	lint-imports --no-cache --no-logo
	OMP_NUM_THREADS=1 pytest -n 2

torture: install ## kill trainings at random and compare how they end; MINUTES=60 for an hour
	OMP_NUM_THREADS=1 python -m tests.train.torture --minutes $(or $(MINUTES),10) --seed $(or $(SEED),$$RANDOM)

gpu: install ## what only a GPU can show: NCCL, the compiler, bit-equal resume; prints the table of docs/training.md
	pytest -m gpu -s tests/train/test_gpu.py tests/generate
	python -m tests.train.speed --device cuda

bench: install ## load the service at twice its capacity, with nano and base; prints the table of docs/serving.md
	python -m tests.load.bench

# Tests drive a real browser, keep a registry in a real database and comment by GitHub's own program; without these
# programs, and without the right to install them, those tests are skipped.
programs:
	@[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0; \
	missing=; \
	command -v chromium >/dev/null || missing="chromium"; \
	command -v gh >/dev/null || missing="$$missing gh"; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	[ -z "$$missing" ] || { apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing; }

images: ## build the container images of the steps
	docker/build.sh

e2e: install ## the long tests, and the pipeline at its smallest setting, every step in its container
	pytest -m slow
	docker/build.sh preprocess train evaluate deploy
	ofa pipeline run finetune --profile smoke --runner docker --out runs/e2e

lint: install ## format and check the code
	ruff format .
	ruff check --fix .

lock: $(UV) ## resolve the requirements again
	$(UV) pip compile pyproject.toml --quiet --all-extras --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" -o requirements.lock
	echo "uv==$$($(UV) --version | cut -d' ' -f2)" | $(UV) pip compile - --quiet --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" -o requirements-uv.lock
	for group in $(basename $(notdir $(wildcard docker/requirements/*.in))); do \
		case $$group in \
			kfp | build) more=--no-deps ;; \
			train) more= ;; \
			*) more="$(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS))" ;; \
		esac; \
		$(UV) pip compile docker/requirements/$$group.in --quiet $$more --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links -c requirements.lock --custom-compile-command "make lock" \
			-o docker/requirements/$$group.lock; \
	done

clean: ## remove what the pipeline made (not the environment)
	rm -rf data models runs evaluations reports metrics dvc_plots mlruns mlartifacts mlflow.db
