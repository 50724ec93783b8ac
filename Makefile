# Each target installs what it needs into .venv, once.
#   make demo       simulate, distil, train, evaluate and draw
#   make test       style, import contracts, types, and all tests but the slow ones
#   make test-slow  the slow tests: Brian2's builds, whole programs, the pages of the documentation
#   make docs       build the documentation site into site/, without network
#   make package    build the wheel into dist/, and try it in clean environments with each extra alone
#   make bench      measure speed, memory and data; results are written to benchmarks/results, goals printed
#   make fuzz       read 500 damaged files with every reader
#   make faults     kill work at random moments and fill its disk
#   make soak       train 10,000 steps and simulate 10,000 cycles, and watch memory and open files
#   make mutants    change operators of the core modules and see whether the tests notice
#   make bites      change constants of the models and see which rows of the validation notice

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-slow docs package bench fuzz faults soak mutants bites clean

demo: $(INSTALLED)
	$(BIN)/rmaat demo

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright
	$(BIN)/pytest --numprocesses 2 --dist loadgroup -m 'not slow'

test-slow: $(INSTALLED)
	$(BIN)/pytest --numprocesses 2 --dist loadgroup -m slow

# The variable silences a notice about later major versions of MkDocs.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo 'Open site/index.html; its search needs a server: $(BIN)/python -m http.server --directory site'

package: $(INSTALLED)
	PYTHON=$(PYTHON) .ci/packages

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.coupling
	$(BIN)/python -m benchmarks.sweep
	$(BIN)/python -m benchmarks.tasks
	$(BIN)/python -m benchmarks.forms
	$(BIN)/python -m benchmarks.engines
	$(BIN)/python -m benchmarks.replay
	$(BIN)/python -m benchmarks.row_blocks
	$(BIN)/python -m benchmarks.length
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks.options
	$(BIN)/python -m benchmarks.inference
	$(BIN)/python -m benchmarks.dropout
	$(BIN)/python -m benchmarks.training_share
	$(BIN)/python -m benchmarks.goals

fuzz: $(INSTALLED)
	$(BIN)/python -m benchmarks.fuzz

faults: $(INSTALLED)
	$(BIN)/python -m benchmarks.faults

soak: $(INSTALLED)
	$(BIN)/python -m benchmarks.soak

mutants: $(INSTALLED)
	$(BIN)/python -m benchmarks.mutants

bites: $(INSTALLED)
	$(BIN)/python -m benchmarks.bites

clean:
	rm -rf .venv

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo 'Python 3.11 to 3.13 is needed, and $(PYTHON) is another; name one: make PYTHON=python3.12 ...' >&2; exit 2; }
	@echo 'Installing into .venv (once; a few minutes)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,docs,dev]'
	@touch $@
