# Every command of the project; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help install lock demo test test-fast test-faults check contracts bench bench-page bench-soak profile up down status logs reset format

# A python to make .venv with; empty: the first of 3.11 to 3.14 that the PATH has.
PYTHON ?=
# make demo FULL=1: every basket of the year instead of the first days'.
FULL ?=
# make bench ARGS="--only journal,points --repeat 3": options of python -m bench, which --help lists.
ARGS ?=
# make profile STAGE=journal: whose time is looked at.
STAGE ?= points

python := .venv/bin/python

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: ## make .venv what requirements.lock says, and fetch Kafka's jars; once there, needs no network
	@./deploy/local/install.sh $(PYTHON)
	@$(python) -m deploy.local.jars

lock: install ## resolve pyproject.toml and Kafka's jars anew into requirements.lock and kafka.lock
	@.venv/bin/uv lock --quiet --upgrade
	@.venv/bin/uv export --quiet --all-groups --no-emit-index-url --no-emit-workspace --no-header --output-file requirements.lock
	@.venv/bin/uv export --quiet --no-default-groups --no-emit-index-url --no-emit-workspace --no-header --output-file requirements.runtime.lock
	@$(python) -m deploy.local.jars --lock
	@./deploy/local/install.sh

up: install ## start Kafka, mongod and every service, and say where they are
	@./laurel up

demo: install ## run real shopping baskets through the whole platform and show what came of them (FULL=1: all)
	@$(python) -m cli demo $(if $(FULL),--full)

status: install ## show each process, whether it is ready, and its address
	@./laurel status || [ $$? -eq 3 ]

logs: install ## follow every log (one: ./laurel logs NAME)
	@./laurel logs

down: install ## stop everything, keep the data
	@./laurel down

reset: install ## stop everything and remove its data
	@./laurel reset

test: install ## run every test with coverage, on a Kafka and a mongod of their own
	@$(python) -m pytest --cov --cov-report=term

test-fast: install ## run the tests that need no server
	@$(python) -m pytest -m "not servers"

test-faults: install ## kill, freeze, cut off and slow down what runs, for twenty minutes, and report it
	@$(python) -m pytest tests/faults -m "faults or faults_long"; code=$$?; \
		echo "The report: tests/faults/out/report.md"; exit $$code

check: install ## check format, lint, types, imports between packages, and the architecture
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@$(python) -m mypy
	@.venv/bin/lint-imports --no-logo
	@$(python) -m pytest -q tests/test_architecture.py

contracts: install ## write docs/contracts and the JSON Schemas anew from the code
	@$(python) -m deploy.contracts

bench: install ## measure pipeline, gateway and latency on servers of their own, some ten minutes (ARGS="--only points")
	@$(python) -m bench $(ARGS)

bench-page: bench ## the same, and docs/benchmarks.md written from it
	@$(python) -m bench page

bench-soak: install ## ten minutes of load on the whole stack: is each process's memory flat?
	@$(python) -m bench soak $(ARGS)

profile: install ## a flame graph of one service under the load of the bench (STAGE=points)
	@$(python) -m bench --profile $(STAGE) --out bench/out/profile.json $(ARGS)

format: install ## rewrite the code in the house format, and mend what lint can mend
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format .
