# `make reproduce` and `make test` do everything from a clean clone; each first makes the environment in .venv.
PYTHON ?= python3
BIN := .venv/bin
# One process per core at most; the notebooks' kernels and XLA are threaded themselves.
WORKERS ?= 2

.PHONY: setup reproduce test test-fast lint page animation book

setup: .venv/.complete

# The stamp is written last, so that an interrupted set-up is done again.
.venv/.complete: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rfcollapse needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

reproduce: setup
	$(BIN)/python -m rfcollapse reproduce

# The explorable page, build/page/rfcollapse.html.
page: setup
	$(BIN)/python -m rfcollapse page

# The animation of the README, trained anew: two minutes.
animation: setup
	$(BIN)/python benchmarks/animation.py

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope -p no:nbval tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --nbval --nbval-current-env --nbval-cell-timeout=600 \
		--nbval-sanitize-with=tests/nbval.cfg notebooks
	$(BIN)/python -m rfcollapse claims --check

test-fast: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope -p no:nbval -m "not slow" tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The site: notebooks as committed, functions, ledger, glossary. Open build/book/index.html; it needs no network.
book: .venv/.book
	$(BIN)/python -m sphinx -W --keep-going -q -c book . build/book

.venv/.book: .venv/.complete book/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -r book/requirements.txt
	touch $@
