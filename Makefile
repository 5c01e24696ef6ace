# `make run` and `make test` need only make: scripts/setup.sh installs what is missing.

PYTHON ?= python3
ARGS =
LAB =
SUITE = trixie
WHAT = test

# Empty if there is no Python yet, which is why each target calls make again after the set-up.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := .venv/$(VERSION)
# The default of newer versions of pip; without it, pip of Debian 12 prints a warning.
PIP := PIP_USE_PEP517=1 $(VENV)/bin/pip --quiet --disable-pip-version-check
# Half of the time the tests wait, so two processors are busy with three of them at once.
JOBS = 3
PYTEST = $(VENV)/bin/pytest -n $(JOBS)
USER_NAMESPACE := $(if $(filter-out 0,$(shell id -u)),--user --map-root-user)
UNSHARE := unshare $(USER_NAMESPACE) --pid --fork --mount-proc
UNDER_PYINIT = $(UNSHARE) $(VENV)/bin/pyinit --
# Fast tests that need no more Debian packages than `make run`.
QUICK := $(patsubst %,tests/test_%.py,command_line descendants exit_codes forwarding kill_after \
    lifecycle package reaping rewrite shell_above signals_page loop)
QUICK_ONES := not twenty_thousand and not storm
# Tests that depend on Python and the C library, and only need small programs.
CORE := $(filter-out %_command_line.py %_lifecycle.py,$(QUICK)) $(patsubst %,tests/test_%.py,child death_report docs drain exec_failures imports \
    inspect launcher logs parent_death security stacks subreaper terminal traps unheard verdicts) \
    tests/test_shutdown_races.py::test_asked_before_the_child_is_the_program
CORE_ONES := $(QUICK_ONES) and not every_prediction and not docs/inspect and not docs/labs \
    and not docs/maintainers/reliability and not docs/frameworks
# With directories, whose time changes when a file in them is removed.
SOURCES := pyproject.toml README.md LICENSE $(shell find pyinit launcher ! -path '*__pycache__*')

help:
	@echo 'make run                run a small workload under pyinit, stop it, and show what happens'
	@echo 'make lab LAB=zombies    run one of docs/labs; without LAB: list them'
	@echo 'make check              lint and the quick tests, in less than 20 s, for while you edit'
	@echo 'make test               run all tests; ARGS="-k reaping" is for pytest'
	@echo 'make test-under-pyinit  the same, with pyinit as the init of the test run itself'
	@echo 'make core               only the tests that depend on the version of Python and on the C library'
	@echo 'make core-under-pyinit  the same, with pyinit as the init of the test run itself'
	@echo 'make elsewhere          run the tests in another Debian, as root: SUITE=sid PYTHON=python3.15;'
	@echo '                        WHAT=core, run or check runs that target there instead'
	@echo 'make e2e                run the tests with real containers: Docker, podman, runc, crun; as root'
	@echo 'make dist               make all files of a release, into dist/: wheels, source, hashes, SBOM'
	@echo 'make installs           make dist, then install from it in many ways; as root'
	@echo 'make bench              compare pyinit with other inits, and write docs/performance.md;'
	@echo '                        not on a busy machine; ARGS=--quick takes a minute, and only prints'
	@echo 'make chaos              try random process trees, signals and options; ARGS="--seconds 600 --seed 7"'
	@echo 'make soak               send orphans and signals for an hour; ARGS="--seconds 60"'
	@echo 'make faults             make each system call of pyinit fail, one at a time; ARGS="--sample 500"'
	@echo 'make inputs             try random command lines and environments; ARGS="--cases 10000"'
	@echo 'make survive            try pyinit and other inits in hostile surroundings; prints a table'
	@echo 'make hung               check what pyinit says about programs that do not stop, write docs/slow-stops.md;'
	@echo '                        as root; ARGS="--only asyncio" tries some, and only prints'
	@echo 'make rehearsals         rehearse stops with and without a fault, and write docs/rehearsal.md;'
	@echo '                        as root; ARGS="--only celery" tries some, and only prints'
	@echo 'make pictures           draw the pictures of docs/ from real stops and runs; as root;'
	@echo '                        ARGS="--only run budget" draws these two'
	@echo 'make frameworks         stop the programs of docs/frameworks, and write the table there;'
	@echo '                        ARGS="--only celery" tries some, and only prints'
	@echo 'make escapes            try which processes outlive a time limit, and write docs/escapes.md;'
	@echo '                        as root; ARGS="--runs 5 --only relay" tries some, and only prints'
	@echo 'make programs           stop real programs that are working, and print what happens to the work;'
	@echo '                        as root; ARGS="apache2 squid" tries some'
	@echo 'make musl               run the tests with the C library of Alpine, and check pyinit in Alpine;'
	@echo '                        as root; ARGS=--only-alpine takes a minute, "-k reaping" is for pytest'
	@echo 'make arm64              check pyinit on arm64, in an emulator; as root'
	@echo 'make coverage           print which lines and branches no test runs; fails below 100 %'
	@echo 'make mutants            change the code that kills, and check that a test fails; ARGS="lifecycle processes"'
	@echo 'make lint               run the linters, of code, workflows and prose'
	@echo 'make site               build the pages as a web site, into site/; fails on a broken link'
	@echo 'make clean              remove everything that the other targets made'
	@echo 'With PYTHON=python3.12, each of them uses that interpreter (default: python3).'
	@echo 'As root, they install missing Debian packages; everything else goes into .venv.'

run check lint dist site: packages = run
lab: packages = lab
bench: packages = bench
chaos faults soak inputs survive: packages = test
core core-under-pyinit: packages = core
test test-under-pyinit coverage mutants: packages = test
e2e: packages = e2e
installs: packages = installs
musl: packages = musl
arm64: packages = arm64
programs: packages = programs
hung: packages = hung
rehearsals pictures: packages = rehearsals
frameworks: packages = frameworks
escapes: packages = escapes
PREPARED := run lab bench chaos faults soak inputs survive hung rehearsals pictures frameworks escapes programs musl arm64 core core-under-pyinit test \
    test-under-pyinit e2e dist installs check lint site
$(PREPARED):
	@scripts/setup.sh $(packages) $(PYTHON)
	@$(MAKE) --no-print-directory do-$@

# Each in an environment of its own: in one, each Python traces itself; the other is copied and changed.
coverage mutants:
	@scripts/setup.sh $(packages) $(PYTHON)
	@$(MAKE) --no-print-directory do-$@ VENV=.venv/$$($(PYTHON) -c \
	    'import sys; print("%d.%d" % sys.version_info[:2])')-$@

# Everything installed there stays, so that a second run only copies this tree.
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

# Also measures the interpreter of the system, if that is another one.
do-bench: beside = $(shell scripts/beside.sh $(VENV)/bin/python)
do-bench: $(VENV)/installed
	@$(if $(beside),$(MAKE) --no-print-directory .venv/debian/installed \
	    PYTHON=$(beside) VENV=.venv/debian)
	$(VENV)/bin/python -m bench $(if $(beside),--beside .venv/debian) $(ARGS)

do-chaos do-faults do-soak do-inputs do-survive: do-%: $(VENV)/installed-test
	$(VENV)/bin/python -m trials.$* $(ARGS)

do-coverage do-mutants: do-%: $(VENV)/installed-%
	$(VENV)/bin/python -m trials.$* $(ARGS)

do-programs do-hung do-rehearsals do-pictures do-frameworks do-escapes: do-%: $(VENV)/installed-%
	$(VENV)/bin/python -m trials.$* $(ARGS)

do-musl do-arm64: do-%: $(VENV)/installed-test
	$(VENV)/bin/python -m trials.platforms.$* $(ARGS)

do-check: $(VENV)/installed-test do-lint
	$(PYTEST) -q -k '$(QUICK_ONES)' $(QUICK) $(ARGS)

do-core do-core-under-pyinit: $(VENV)/installed-test
	$(if $(filter %-under-pyinit,$@),$(UNDER_PYINIT)) $(PYTEST) -q -k '$(CORE_ONES)' $(CORE) $(ARGS)

do-test: $(VENV)/installed-test
	$(PYTEST) $(ARGS)

do-test-under-pyinit: $(VENV)/installed-test
	$(UNDER_PYINIT) $(PYTEST) $(ARGS)

# In namespaces of its own, with pyinit as their init, so that no process is left at the end.
do-e2e: $(VENV)/installed-e2e
	$(VENV)/bin/python tests/e2e/private.py $(CURDIR)/$(VENV)/bin/pyinit -- \
	    $(VENV)/bin/python tests/e2e/prepare.py $(PYTEST) tests/e2e $(ARGS)

do-dist: $(VENV)/installed-dist
	$(VENV)/bin/python scripts/dist.py $(ARGS)

do-installs: $(VENV)/installed-installs
	$(VENV)/bin/python scripts/dist.py
	$(PYTEST) --timeout 300 tests/installs $(ARGS) # the first test makes a root file system

do-site: $(VENV)/installed-site
	$(VENV)/bin/python scripts/website/make_site.py

do-lint: $(VENV)/installed-lint
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy pyinit launcher scripts examples/*.py examples/web examples/rehearsal testkit bench trials docs/labs/lab.py docs/labs/look.py
	$(VENV)/bin/zizmor --quiet --offline --strict-collection --persona pedantic .github
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec examples/web/compose.yaml
	$(VENV)/bin/codespell
	$(VENV)/bin/python scripts/prose.py

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

# Installs the wheel, as users do. --force-reinstall, because its version does not change.
$(VENV)/installed: $(SOURCES) | $(VENV)/bin/pip
	rm -rf $(VENV)/dist
	$(PIP) wheel --no-deps --wheel-dir $(VENV)/dist .
	$(PIP) install --force-reinstall --no-deps $(VENV)/dist/*.whl
	$(PIP) install $(VENV)/dist/*.whl
	@touch $@

# pip of Debian 12 does not know --group.
$(VENV)/installed-%: $(VENV)/installed
	$(PIP) install 'pip>=25.1'
	$(PIP) install --group $*
	@touch $@

clean:
	rm -rf .venv dist site .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help elsewhere coverage mutants clean do-coverage do-mutants $(PREPARED) $(PREPARED:%=do-%)
