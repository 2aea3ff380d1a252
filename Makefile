# Every command of the project; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help install lock

# A python to make .venv with; empty: the first of 3.11 to 3.14 that the PATH has.
PYTHON :=
bin := .venv/bin

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' "$(CURDIR)/Makefile"

install: ## bring .venv to what requirements.lock says (nothing to do: no network needed)
	@"$(CURDIR)/deploy/local/install.sh" $(PYTHON)

lock: install ## make requirements.lock anew from pyproject.toml
	@$(bin)/uv lock --quiet
	@$(bin)/uv export --quiet --all-groups --no-emit-index-url --no-emit-workspace --no-header --output-file requirements.lock
	@"$(CURDIR)/deploy/local/install.sh"
