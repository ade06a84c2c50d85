# `make demo` and `make test` do all of their own set-up in .venv; Python 3.11+ is all they need.
.PHONY: demo test check help
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
PIP = .venv/bin/python -m pip --disable-pip-version-check install --quiet

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST)

demo: .venv/installed  ## start everything on 127.0.0.1:8000, load a small practice, ask a question
	@.venv/bin/pazpaz-agent up --demo

test: .venv/installed-dev  ## everything that CI checks
	@scripts/check

check: test

.venv/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)")'
	@"$(PYTHON)" -m venv .venv

.venv/installed: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing into .venv (a minute or two, once) ..."
	@$(PIP) --require-hashes --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	@$(PIP) --require-hashes --requirement requirements-dev.lock
	@touch $@
