UV := $(shell command -v uv || echo .uv/bin/uv)
TEMPLATE := {{cookiecutter.project_slug}}

# Else every process compiles every library again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo pictures bench test coverage lint format goldens engine lock

help: ## show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# They play on the tests' local GitHub; pictures are taken by the tests' browser.
demo pictures bench: export PYTHONPATH := tests/workflows:tests

demo: | $(UV) ## play the whole story on this machine: push, pull request, comment, merge, release
	@$(UV) run --locked python -m demo

pictures: | $(UV) ## play it, and take the pictures of the docs (Chromium or Chrome must be on PATH)
	@$(UV) run --locked python -m demo --pictures docs/images

REPEATS := 3
bench: | $(UV) ## measure against the plain way, and how well the gate decides (REPEATS=1, ONLY=ratios, datasets, scale, serving, attack, verdict, canary or kills)
	@$(UV) run --locked python -m bench --repeats $(REPEATS) $(ONLY:%=--only %)

WORKERS := logical
test: lint ## lint, then run every test, the fast ones first (ROOM=stats runs a room's, WORKERS=0 one process)
	@PYTHONHASHSEED=0 $(UV) run --locked pytest --numprocesses $(WORKERS) $(ROOM:%=tests/engine/%)

COVERED := stats bundle registry review
coverage: | $(UV) ## measure how many branches of a room its own tests take: 90 % of each at least (COVERED=stats)
	@for room in $(COVERED); do \
	PYTHONHASHSEED=0 $(UV) run --locked coverage run --branch --source=engine/src/mlops_actions/$$room \
	    -m pytest --quiet tests/engine/$$room && $(UV) run --locked coverage report --skip-covered --fail-under=90 || exit 1; \
	done

lint: | $(UV) ## check the Python, and the types of the engine
	@$(UV) run --locked ruff check --config pyproject.toml .
	@$(UV) run --locked ruff format --config pyproject.toml --check .
	@$(UV) run --locked mypy

format: | $(UV) ## format the Python
	@$(UV) run --locked ruff check --config pyproject.toml --fix .
	@$(UV) run --locked ruff format --config pyproject.toml .

goldens: | $(UV) ## record what the stages make where a revision was raised, or source changed and results did not
	@PYTHONHASHSEED=0 $(UV) run --locked python tests/engine/stages/goldens.py

engine: | $(UV) ## build the engine's wheel into the template: once, with the last commit of a change
	@$(UV) run --locked python engine/build.py

# The generated project's lock file is rendered: its name and its oldest Python are the user's.
lock: engine ## renew this lock file and the generated project's (UPGRADE=--upgrade takes the newest versions)
	@$(UV) lock $(UPGRADE)
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(UV) run --locked cookiecutter --no-input . --output-dir "$$scratch" project_slug=lock-me > /dev/null && \
	$(UV) lock --default-index https://pypi.org/simple --project "$$scratch/lock-me" $(UPGRADE) && \
	sed -e 's/^name = "lock-me"$$/name = "{{ cookiecutter.__distribution }}"/' \
	    -e 's/^requires-python = ">=3.11, /requires-python = ">={{ cookiecutter.python_version }}, /' \
	    "$$scratch/lock-me/uv.lock" > "$(TEMPLATE)/uv.lock"

.uv/bin/uv:
	@echo "Installing uv into .uv/"
	@python3 -m venv .uv || { rm -rf .uv; echo "uv is missing and python3 cannot make a virtual environment: \
	install uv (https://docs.astral.sh/uv) or your system's python3-venv package." >&2; exit 1; }
	@.uv/bin/pip install --progress-bar off --disable-pip-version-check uv
