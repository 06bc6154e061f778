# The two commands are `make book` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv/bin
RUN    := PATH="$(CURDIR)/$(VENV):$$PATH" OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
A      ?= conv-backprop

.DEFAULT_GOAL := help
.PHONY: help setup book pdf epub bundle serve test lab release check grade bench record lock clean

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 16

setup:
	@$(PYTHON) tools/environment.py

book: setup  ## build the site; its address is printed at the end
	@$(RUN) python -m book.build

pdf: book  ## print the whole book: _build/pdf
	@$(RUN) python -m book.editions.pdf

epub: book  ## the whole book for e-readers: _build/epub
	@$(RUN) python -m book.editions.epub

bundle: book  ## site, notebooks and library in one archive, for no network: _build/bundle
	@$(RUN) python -m book.editions.bundle

serve: setup  ## show the built site at http://localhost:8000
	@$(RUN) python -m book.serve

test: setup  ## run every test (PYTEST="-k conv" runs some)
	@$(RUN) python -m book.frontend
	@$(RUN) python -m pytest -n auto --maxprocesses=4 $(PYTEST)

lab: setup  ## open the notebooks in JupyterLab
	@$(RUN) jupyter lab --LabApp.default_url=/lab/tree/lectures

release: setup  ## prove the checks of A, and make what students get (A=conv-backprop)
	@$(RUN) course release $(A)

check: setup  ## run the visible checks of a student's notebook (A=path/to/notebook.ipynb)
	@$(RUN) course check $(A)

grade: setup  ## grade what was handed in for A; write feedback and grades-A.csv
	@$(RUN) course grade $(A)
	@$(RUN) course feedback $(A)
	@$(RUN) course export $(A)

bench: setup  ## measure speed and memory beside PyTorch; writes benchmarks/results
	@$(RUN) python -m benchmarks

record: setup  ## train anew the runs that figures replay (half an hour); writes course_lib/data/recordings
	@$(RUN) python -m recordings

lock: setup  ## resolve pyproject.toml into requirements.lock (needs uv: pip install uv)
	@uv pip compile pyproject.toml --all-extras --python-version 3.11 \
	  --python-platform x86_64-manylinux_2_28 --no-header --no-annotate --quiet -o requirements.lock

clean:  ## remove what was built, and .venv
	@rm -rf _build node_modules .venv .pytest_cache .ruff_cache .hypothesis
