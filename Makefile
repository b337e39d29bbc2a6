# Every target sets up what it needs; nothing is done twice.
PYTHON ?= $(shell command -v python3 || command -v python)
PORT ?= 8000
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# processes that test, one thread each: more than there are cores, since most tests wait for other programs
TEST_JOBS ?= 5
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder --durations=10

.PHONY: help setup system book pdf epub serve notebooks grade audit lab test lint linkcheck clean
help:
	@echo "make book   set up, build the HTML book, say where to open it"
	@echo "make serve  serve the built book on 127.0.0.1:$(PORT)"
	@echo "make test   set up, then everything CI checks; ONLY=mini_engine (a folder, a topic, a test file) for a part"
	@echo "make pdf    the whole book as one PDF; make epub as one EPUB"
	@echo "also: notebooks, grade, audit, lab, lint, linkcheck, clean"

setup: $(READY)
$(READY): requirements.txt constraints.txt pyproject.toml tools/check_python.py
	@$(PYTHON) tools/check_python.py
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

# Chromium opens the built pages, bubblewrap jails student code: programs, not Python packages.
system:
	@sh tools/system_packages.sh

notebooks: $(READY)
	$(PY) -m autograder notebooks

# build_book.py compares a digest of the sources, so a book that is up to date is not built again
book: notebooks
	$(PY) book/tools/build_book.py --if-stale

pdf: book
	$(PY) book/tools/one_file.py

epub: book
	$(PY) book/tools/one_file.py --epub

serve: book
	$(PY) book/tools/serve.py --port $(PORT)

grade: $(READY)
	$(PY) -m autograder demo

audit: $(READY)
	$(PY) -m autograder audit

# tools/lab turns off the question about news from outside and what nbgrader has for instructors, and leaves a notebook
# that was only opened as it was. In a container the course runs as root.
lab: $(READY)
	JUPYTER_CONFIG_PATH=$(CURDIR)/tools/lab $(VENV)/bin/jupyter lab --allow-root notebooks

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

ifdef ONLY
test: $(READY)
	only=$$($(PY) tools/tests_of.py '$(ONLY)') && $(PYTEST) $$only
else
test: system lint notebooks
	$(PYTEST)
endif

linkcheck: $(READY)
	$(VENV)/bin/jupyter-book build . --builder linkcheck

clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
