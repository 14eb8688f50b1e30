# Everything runs in .venv, made here; nothing but Python >= 3.11 and make has to be installed before.
SHELL := /bin/sh
export PIP_DISABLE_PIP_VERSION_CHECK = 1

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PY := .venv/bin/python
UP_FILES := requirements.txt requirements-services.txt
DEV_FILES := requirements.txt requirements-dev.txt
# The stamp carries the hash of the locks: another lock is another stamp, so an old environment is brought up to date.
UP_STAMP := .venv/.up-$(shell cat $(UP_FILES) | cksum | cut -d' ' -f1)
DEV_STAMP := .venv/.dev-$(shell cat $(DEV_FILES) | cksum | cut -d' ' -f1)
LIBRARIES_STAMP := .libraries/.done-$(shell cat requirements-libraries.txt | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help install up test test-slow check demo chaos chaos-short proof versions django-tasks-suite celery-suite bench bench-short bench-canvas messages format lock clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-19s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(DEV_STAMP) ## Create .venv with everything for tests and checks

up: $(UP_STAMP) ## Start PostgreSQL, Redis, a worker and the web pages; stop them with Ctrl-C
	@exec $(PY) manage.py up

test test-slow: export PYTHONDONTWRITEBYTECODE = # hundreds of processes are started: compile once

test: $(DEV_STAMP) ## Run the tests, in six processes with servers of their own
	$(PY) -m pytest -n 6 --dist loadfile --no-loadscope-reorder

test-slow: $(DEV_STAMP) ## Run what make test leaves out: other pools, languages, themes and widths, long faults
	$(PY) -m pytest -n 6 --dist loadfile --no-loadscope-reorder -m "slow and not chaos and not compare"

check: $(DEV_STAMP) ## Lint, types, import contracts, known vulnerabilities, migrations, translations, compose file
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) -m djlint --lint --quiet templates
	$(PY) -m tests.audit
	$(PY) -m pytest -q tests/checks

proof: $(DEV_STAMP) ## The long form of tests/proof: plans at a million rows, more faults in the model
	PROOF=full $(PY) -m pytest -q tests/proof --durations=5

demo: $(UP_STAMP) ## Start, run a few jobs of every kind to their end, stop
	@exec $(PY) manage.py demo

chaos: $(DEV_STAMP) ## Break things while jobs run, and count what was lost (MINUTES=10 SEED=... SYSTEM=jobs|early|late)
	$(PY) -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(SYSTEM),--system $(SYSTEM))
	$(PY) -m pytest -q -m chaos tests/integration

chaos-short: $(DEV_STAMP) ## The same for 90 seconds, plus the proof that the verdict can turn red
	$(PY) -m tests.chaos --minutes 1.5 --seed $(or $(SEED),1)
	$(PY) -m pytest -q tests/chaos

versions: $(DEV_STAMP) ## Run the core tests on other versions of Python, Django and Celery (.versions/)
	$(PY) -m tests.versions

django-tasks-suite: $(DEV_STAMP) ## Run Django's own tests of task backends on ours (after `make versions`: they need Django 6)
	.versions/python3.13-django6.1-celery5.7/bin/python -W ignore -m tests.djangotasks.suite

celery-suite: $(DEV_STAMP) $(LIBRARIES_STAMP) ## Run Celery's own integration tests on this engine, and programs on both
	$(PY) -m pytest -q -m compare tests/adoption
	$(PY) -m tests.celery_suite

bench: $(DEV_STAMP) ## Measure against other queues (../shared/bench)
	BENCH_PEERS=bench/peers $(PY) ../shared/bench/run.py

bench-short: $(DEV_STAMP) ## Fail if no-op jobs drain less than 1.2 times as fast as on stock Celery (a minute)
	$(PY) -m benchmarks.guard

bench-canvas: $(DEV_STAMP) ## A chord of 10,000 and a chain of 1,000, here and on stock Celery
	$(PY) -m benchmarks.canvas

messages: $(DEV_STAMP) ## Collect the texts to translate (needs gettext)
	$(PY) manage.py makemessages -l ar --no-location --no-wrap --ignore tests --ignore bench --ignore var

format: $(DEV_STAMP) ## Format the files with ruff and djlint
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(PY) -m djlint --reformat --quiet templates

lock: $(DEV_STAMP) ## Renew requirements*.txt from requirements*.in
	for name in requirements requirements-services requirements-dev requirements-libraries; do \
		.venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
			--custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; done

clean: ## Remove .venv, caches and compiled translations (the data in var/ stays)
	rm -rf .venv .versions .libraries .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache test-results test-pictures
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.mo' -not -path './.venv/*' -delete

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found on PATH." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }

$(UP_STAMP): | .venv/bin/python
	@echo "installing (once) ..."
	@$(PY) -m pip install --quiet $(UP_FILES:%=-r %)
	@rm -f .venv/.up-*; touch $@

$(DEV_STAMP): | .venv/bin/python
	@echo "installing (once) ..."
	@$(PY) -m pip install --quiet $(DEV_FILES:%=-r %)
	@rm -f .venv/.dev-* .venv/.up-*; touch $@ $(UP_STAMP)

# In a folder of its own, so that the environment of the other tests stays what the locks say.
$(LIBRARIES_STAMP): $(DEV_STAMP)
	@echo "installing (once) ..."
	@rm -rf .libraries
	@.venv/bin/uv pip install --quiet --require-hashes --target .libraries -r requirements-libraries.txt
	@touch $@
