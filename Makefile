# Common tasks, one word each.
PYTHON ?= python
.PHONY: install test test-all lint docs format bench

install:  ## everything needed to develop
	$(PYTHON) -m pip install -e ".[test]"

test:  ## the fast tests, half a minute
	$(PYTHON) -m pytest -n 2 --dist loadfile -m "not slow"

test-all:  ## all tests, trainings included
	$(PYTHON) -m pytest -n 2 --dist loadfile

lint:  ## what CI checks besides the tests
	ruff check .
	ruff format --check .
	mypy

docs:  ## the pages of docs/ as a site in docs/build
	$(PYTHON) -m sphinx -W -q -b html docs docs/build

format:
	ruff check --fix .
	ruff format .

bench:  ## accuracy on the built-in scene; see benchmarks/ for the others
	$(PYTHON) benchmarks/accuracy.py scenes/courtyard --minutes 5 --seeds 0 --recipes default
