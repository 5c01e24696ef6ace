# `make run` and `make test` start from nothing but make: scripts/setup.sh installs what is missing.

PYTHON ?= python3
ARGS =
LAB =
SUITE = trixie
WHAT = test

# Empty where there is no Python yet: that is why each target calls make anew after the set-up.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := .venv/$(VERSION)
# As newer versions of pip do by themselves; Debian 12's complains where it is not said.
PIP := PIP_USE_PEP517=1 $(VENV)/bin/pip --quiet --disable-pip-version-check
PYTEST := $(VENV)/bin/pytest -n 2
USER_NAMESPACE := $(if $(filter-out 0,$(shell id -u)),--user --map-root-user)
UNSHARE := unshare $(USER_NAMESPACE) --pid --fork --mount-proc
# What needs no package from Debian that `make run` does not, and is over in a moment.
QUICK := $(patsubst %,tests/test_%.py,command_line descendants exit_codes forwarding kill_after \
    lifecycle package reaping rewrite shell_above signals_page loop)
QUICK_ONES := not twenty_thousand and not storm
# What Python and the C library have a part in, without other programs than small ones.
CORE := $(filter-out %_command_line.py %_lifecycle.py,$(QUICK)) $(patsubst %,tests/test_%.py,child death_report docs drain exec_failures imports \
    inspect launcher logs parent_death security stacks subreaper terminal traps unheard verdicts) \
    tests/test_shutdown_races.py::test_asked_before_the_child_is_the_program
CORE_ONES := $(QUICK_ONES) and not every_prediction and not docs/inspect and not docs/labs \
    and not docs/maintainers/reliability
# With the directories, whose time changes when a file in them goes.
SOURCES := pyproject.toml README.md LICENSE $(shell find pyinit launcher ! -path '*__pycache__*')

help:
	@echo 'make run                run a small workload under pyinit, stop it, show what happened'
	@echo 'make lab LAB=zombies    run one of docs/labs; without LAB list them'
	@echo 'make check              while you edit: lint and the quick tests, in less than 20 s'
	@echo 'make test               run the tests; ARGS="-k reaping" for pytest'
	@echo 'make test-under-pyinit  the same with pyinit as the init of the test run itself'
	@echo 'make core               those of the tests that another Python or C library could change'
	@echo 'make elsewhere          the tests in another Debian, as root: SUITE=sid PYTHON=python3.15;'
	@echo '                        WHAT=core, run or check does that there'
	@echo 'make e2e                the tests in real containers: Docker, podman, runc, crun; as root'
	@echo 'make dist               what a release consists of, into dist/: wheels, source, hashes, SBOM'
	@echo 'make installs           make dist, then install from it in many ways; as root'
	@echo 'make bench              compare pyinit with other inits, write docs/performance.md;'
	@echo '                        not on a busy machine; ARGS=--quick takes a minute and only prints'
	@echo 'make chaos              random process trees, signals, options; ARGS="--seconds 600 --seed 7"'
	@echo 'make soak               an hour of orphans and signals; ARGS="--seconds 60"'
	@echo 'make faults             each system call of pyinit fails in turn; ARGS="--sample 500"'
	@echo 'make inputs             random command lines and environments; ARGS="--cases 10000"'
	@echo 'make survive            this and other inits in hostile surroundings, as a table'
	@echo 'make hung               have pyinit explain why programs do not stop, write docs/slow-stops.md;'
	@echo '                        as root; ARGS="--only asyncio" tries some and prints'
	@echo 'make rehearsals         rehearse stops with a fault and without, write docs/rehearsal.md;'
	@echo '                        as root; ARGS="--only celery" tries some and prints'
	@echo 'make pictures           draw the pictures of docs/, by real stops and runs; as root;'
	@echo '                        ARGS="--only run budget" draws these two'
	@echo 'make escapes            who outlives a time limit, under pyinit and under others, write docs/escapes.md;'
	@echo '                        as root; ARGS="--runs 5 --only relay" tries some and prints'
	@echo 'make programs           stop real programs that have work in hand, print what becomes of it;'
	@echo '                        as root; ARGS="apache2 squid" tries some'
	@echo 'make musl               the tests with the C library of Alpine, and a look at pyinit in Alpine;'
	@echo '                        as root; ARGS=--only-alpine takes a minute, "-k reaping" is for pytest'
	@echo 'make arm64              a look at pyinit on arm64, by an emulator; as root'
	@echo 'make coverage           which lines and branches no test goes through; fails below 100 %'
	@echo 'make mutants            do tests notice changes to what kills? ARGS="lifecycle processes"'
	@echo 'make lint               ruff and mypy; zizmor for the workflows'
	@echo 'make clean              remove what the others made'
	@echo 'PYTHON=python3.12 behind any of them chooses the interpreter (python3).'
	@echo 'As root they install what is missing: Debian packages, the rest into .venv.'

run check lint dist: packages = run
lab: packages = lab
bench: packages = bench
chaos faults soak inputs survive: packages = test
core: packages = core
test test-under-pyinit coverage mutants: packages = test
e2e: packages = e2e
installs: packages = installs
musl: packages = musl
arm64: packages = arm64
programs: packages = programs
hung: packages = hung
rehearsals pictures: packages = rehearsals
escapes: packages = escapes
PREPARED := run lab bench chaos faults soak inputs survive hung rehearsals pictures escapes programs musl arm64 core test \
    test-under-pyinit e2e dist installs check lint
$(PREPARED):
	@scripts/setup.sh $(packages) $(PYTHON)
	@$(MAKE) --no-print-directory do-$@

# In environments of their own: in one each Python traces itself, the other is copied and changed.
coverage mutants:
	@scripts/setup.sh $(packages) $(PYTHON)
	@$(MAKE) --no-print-directory do-$@ VENV=.venv/$$($(PYTHON) -c \
	    'import sys; print("%d.%d" % sys.version_info[:2])')-$@

# What is installed there stays: a second run only copies this tree.
elsewhere: export ARGS := $(ARGS)
elsewhere:
	@scripts/setup.sh elsewhere
	@python3 -m testkit.roots $(SUITE) make $(WHAT) PYTHON=$(PYTHON) "ARGS=$$ARGS"

do-run: $(VENV)/installed
	@examples/run.sh $(VENV)/bin/pyinit

do-lab: $(VENV)/installed
	@test -x 'docs/labs/$(LAB)/run' || { echo 'make lab LAB=NAME, with one of:'; \
	    ls docs/labs/*/run | cut -d/ -f3; exit $(if $(LAB),1,0); }
	@$(if $(LAB),PATH="$$PWD/$(VENV)/bin:$$PATH" 'docs/labs/$(LAB)/run',:)

# The system's own interpreter is measured beside, where that is another one.
do-bench: beside = $(shell scripts/beside.sh $(VENV)/bin/python)
do-bench: $(VENV)/installed
	@$(if $(beside),$(MAKE) --no-print-directory .venv/debian/installed \
	    PYTHON=$(beside) VENV=.venv/debian)
	$(VENV)/bin/python -m bench $(if $(beside),--beside .venv/debian) $(ARGS)

do-chaos do-faults do-soak do-inputs do-survive: do-%: $(VENV)/installed-test
	$(VENV)/bin/python -m trials.$* $(ARGS)

do-coverage do-mutants: do-%: $(VENV)/installed-%
	$(VENV)/bin/python -m trials.$* $(ARGS)

do-programs do-hung do-rehearsals do-pictures do-escapes: do-%: $(VENV)/installed-%
	$(VENV)/bin/python -m trials.$* $(ARGS)

do-musl do-arm64: do-%: $(VENV)/installed-test
	$(VENV)/bin/python -m trials.platforms.$* $(ARGS)

do-check: $(VENV)/installed-test do-lint
	$(PYTEST) -q -k '$(QUICK_ONES)' $(QUICK) $(ARGS)

do-core: $(VENV)/installed-test
	$(PYTEST) -q -k '$(CORE_ONES)' $(CORE) $(ARGS)

do-test: $(VENV)/installed-test
	$(PYTEST) $(ARGS)

do-test-under-pyinit: $(VENV)/installed-test
	$(UNSHARE) $(VENV)/bin/pyinit -- $(PYTEST) $(ARGS)

# In namespaces of its own, with pyinit as their init: nothing of it is left, however it ends.
do-e2e: $(VENV)/installed-e2e
	$(VENV)/bin/python tests/e2e/private.py $(CURDIR)/$(VENV)/bin/pyinit -- \
	    $(VENV)/bin/python tests/e2e/prepare.py $(PYTEST) tests/e2e $(ARGS)

do-dist: $(VENV)/installed-dist
	$(VENV)/bin/python scripts/dist.py $(ARGS)

do-installs: $(VENV)/installed-installs
	$(VENV)/bin/python scripts/dist.py
	$(PYTEST) --timeout 300 tests/installs $(ARGS) # the first one makes a root file system

do-lint: $(VENV)/installed-lint
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy pyinit launcher scripts examples/*.py examples/web examples/rehearsal testkit bench trials docs/labs/lab.py docs/labs/look.py
	$(VENV)/bin/zizmor --quiet --offline --strict-collection --persona pedantic .github
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec examples/web/compose.yaml

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

# The wheel and not the tree, as users get it. By force, since its version stays as it was.
$(VENV)/installed: $(SOURCES) | $(VENV)/bin/pip
	rm -rf $(VENV)/dist
	$(PIP) wheel --no-deps --wheel-dir $(VENV)/dist .
	$(PIP) install --force-reinstall --no-deps $(VENV)/dist/*.whl
	$(PIP) install $(VENV)/dist/*.whl
	@touch $@

# Debian 12's pip knows no groups yet.
$(VENV)/installed-%: $(VENV)/installed
	$(PIP) install 'pip>=25.1'
	$(PIP) install --group $*
	@touch $@

clean:
	rm -rf .venv dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help elsewhere coverage mutants clean do-coverage do-mutants $(PREPARED) $(PREPARED:%=do-%)
