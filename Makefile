# A front for Hatch: what each command does stands in pyproject.toml, [tool.hatch.envs.default].
# Python 3.11 or newer and a C compiler are enough; Hatch itself goes into .hatch, the
# development environment into .venv.
#
#   make test ARGS="-k confirms"      pass words on to a command
#   make demo ARGS=--rabbitmq         on the RabbitMQ that is installed; by default without any
#   make demo PYTHON=python3.13       choose the Python (make clean-env first to change it)

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)
HATCH_VERSION = 1.18.*
HATCH = .hatch/bin/hatch
RUN = HATCH_DATA_DIR=$(CURDIR)/.hatch/data $(HATCH) run

COMMANDS = demo test test-pure cov lint format types schemas docs bench bench-full bench-peers \
	bench-scaling bench-latency guard fuzz fuzz-broker sanitize drifts brokers check build

.DEFAULT_GOAL = help
.PHONY: help chaos bench-plot clean clean-env $(COMMANDS)

$(COMMANDS): .hatch/ready
	@$(RUN) $@ $(ARGS)

chaos: .hatch/ready
	@$(RUN) $@ $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench-plot: .hatch/ready
	@$(RUN) plots:draw $(ARGS)

# The stamp comes last, so that an interrupted set-up is begun anew.
.hatch/ready:
	@test -n "$(PYTHON)" || { echo "HopMQ needs Python 3.11 or newer: make PYTHON=..." >&2; exit 1; }
	@echo "setting up Hatch with $(PYTHON) in .hatch"
	@rm -rf .hatch .venv
	@"$(PYTHON)" -m venv .hatch
	@.hatch/bin/python -m pip install --quiet --disable-pip-version-check "hatch==$(HATCH_VERSION)"
	@touch $@

help:
	@echo "make demo      connect, publish and consume 20,000 messages, show rates and counts"
	@echo "make test      the whole test suite, on both codecs"
	@echo "make test-pure the same without the compiled codec"
	@echo "make lint      style of Python and Cython, spelling"
	@echo "make format    bring the code into that style"
	@echo "make types     mypy and pyright"
	@echo "make docs      build the documentation, warnings are errors"
	@echo "make schemas   pyproject.toml and the workflow against their schemas"
	@echo "make bench     benchmarks of the codecs, and of the clients that are installed"
	@echo "make bench-full  all clients, bodies, properties and kinds of queue; takes hours"
	@echo "make bench-peers  the other clients that HopMQ is measured against, installed and built"
	@echo "make bench-scaling  CPU per message with many channels, connections, confirms, processes"
	@echo "make bench-latency  confirms under load, without coordinated omission"
	@echo "make bench-plot  pictures of what was measured, into docs/images"
	@echo "make guard     instructions of hot paths, compared with what was committed (valgrind)"
	@echo "make fuzz      mutated frames through both codecs"
	@echo "make fuzz-broker  altered conversations with the embedded broker"
	@echo "make chaos MINUTES=5 SEED=1  break a cluster at random, lose nothing"
	@echo "make sanitize  the compiled codec under AddressSanitizer and UBSan"
	@echo "make drifts    planted mistakes that the tests must find"
	@echo "make cov       the test suite with its coverage"
	@echo "make brokers   RabbitMQ of other releases, for the tests (Debian, root)"
	@echo "make check     everything that a change has to pass"
	@echo "make clean     remove what was built;  make clean-env  the environments too"

clean:
	rm -rf build dist *.egg-info docs/_build .coverage .mypy_cache .pytest_cache .ruff_cache
	rm -f hopmq/_speedups/*.c hopmq/_speedups/*.so

clean-env: clean
	rm -rf .hatch .venv
