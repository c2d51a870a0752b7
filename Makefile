# Two commands need nothing but Python, make and a package index, and can be run again at once:
#
#   make demo    trains a network on handwritten digits; pictures go to build/
#   make test    lint, types, unit tests, doctests, notebooks
#
# They set up .venv by themselves. PYTHON=python3.12 chooses its interpreter; otherwise it is the newest that will do.

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check -q
PYTHONS := $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3)
# Workers of pytest: one a core, at most 8. Files in order of their names, so that doctests, which are short, come last.
WORKERS := -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
# Notebooks run without the user's own IPython settings.
export IPYTHONDIR := $(CURDIR)/$(VENV)/ipython
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help demo test lint types format pytest notebooks bench test-lowest clean
.NOTPARALLEL:

help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile
	@echo 'also: lint types format pytest (ARGS="-k dense") notebooks bench test-lowest clean'

demo: $(VENV)/.demo
	$(BIN)/python notebooks/digits.py

test: lint pytest

lint: $(VENV)/.test
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	@$(BIN)/python -m pyright & checking=$$!; $(MAKE) --no-print-directory types; typed=$$?; \
	    wait $$checking && exit $$typed

# All of the public interface has a type: where something has none, this fails and says what.
types: $(VENV)/.test
	@mkdir -p build
	@PYTHONPATH=.:$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") \
	    $(BIN)/python -m pyright --verifytypes gluonjax --ignoreexternal >build/types.txt; \
	grep 'Type completeness score' build/types.txt; \
	grep -q 'Type completeness score: 100%' build/types.txt || { grep error build/types.txt; exit 1; }

pytest: $(VENV)/.test
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

format: $(VENV)/.test
	$(BIN)/python -m ruff check --fix
	$(BIN)/python -m ruff format

# Executes the notebooks in place, so that they show their pictures.
notebooks: $(VENV)/.test
	$(BIN)/python -c "$$EXECUTE" notebooks/*.ipynb

bench: $(VENV)/.bench
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script" $(ARGS) || exit 1; done

# The tests with every dependency at its lower bound; NumPy's and SciPy's have wheels up to Python 3.13.
test-lowest: $(VENV)/.test
	$(BIN)/python -m venv --clear .venv-lowest
	@$(BIN)/python -c "$$LOWER_BOUNDS" > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip --disable-pip-version-check -q install -e '.[test]' -c .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pytest $(WORKERS) $(ARGS)

clean:
	rm -rf $(VENV) .venv-lowest build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up. A stamp is as new as the last installation of its extra; a changed pyproject.toml installs again.

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@echo 'installing gluonjax and what the demo needs into $(VENV); this takes a minute, once'
	@$(PIP) install -e '.[demo]'
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo 'installing gluonjax and what the tests need into $(VENV); this takes a minute, once'
	@$(PIP) install -e '.[test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.made pyproject.toml
	@echo 'installing gluonjax and its peers into $(VENV); this takes a minute or two, once'
	@$(PIP) install -e '.[test,bench]'
	@touch $@ $(VENV)/.test $(VENV)/.demo

$(VENV)/.made:
	@tried=; for python in $(PYTHONS); do \
	    if ! command -v "$$python" >/dev/null; then why='is not there'; \
	    elif why=$$("$$python" -c "$$USABLE" 2>/dev/null); then \
	        echo "making $(VENV) with $$python"; \
	        "$$python" -m venv --clear $(VENV) && touch $@ && exit 0; \
	        why='could not make a virtual environment'; \
	    fi; \
	    tried="$$tried\n  $$python $${why:-does not run}"; \
	done; \
	printf '%b\n' "gluonjax needs Python 3.11 or newer. Tried:$$tried" \
	    'Install one, or name it: make test PYTHON=/path/to/python3.12' >&2; exit 1

# A .venv of another Python than the one asked for is made again.
ifneq ($(PYTHON),)
VERSION := -c 'import sys; print(sys.version)'
ifneq ($(shell $(PYTHON) $(VERSION) 2>/dev/null),$(shell $(BIN)/python $(VERSION) 2>/dev/null))
.PHONY: $(VENV)/.made
endif
endif

# Says why a Python will not do. It must run on every Python there is.
define USABLE
import sys
version = sys.version_info[:2]
try:
    import venv, ensurepip, ssl
    lacks = ''
except ImportError as error:
    lacks = ', but lacks a module (%s); on Debian and Ubuntu: apt install python%d.%d-venv' % ((error,) + version)
if lacks or version < (3, 11):
    print('is Python %d.%d' % version + (lacks if version >= (3, 11) else ''))
    sys.exit(1)
endef
export USABLE

define EXECUTE
import sys, nbclient, nbformat
for path in sys.argv[1:]:
    notebook = nbformat.read(path, 4)
    nbclient.NotebookClient(notebook, kernel_name='python3', record_timing=False, coalesce_streams=True).execute()
    nbformat.write(notebook, path)
endef
export EXECUTE

define LOWER_BOUNDS
import re, tomllib
project = tomllib.load(open('pyproject.toml', 'rb'))['project']
extras = project['optional-dependencies']
for requirement in project['dependencies'] + extras['demo'] + extras['test']:
    if bound := re.fullmatch(r'([\w.-]+)>=([\w.]+)', requirement):
        print('=='.join(bound.groups()))
endef
export LOWER_BOUNDS
