# One target per intent; what they do lives in scripts/ and CMakePresets.json.
.DEFAULT_GOAL := help
.PHONY: help run cluster cluster-down test bench check fuzz docs bundle build setup configured clean

export SPLITFT_PREFIX ?= $(HOME)/.cache/splitft
JOBS ?= $(shell nproc)

help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: build ## Fine-tune the quickstart's model: three clients, one aggregator
	@build/bin/splitft run examples/quickstart/job.yaml

cluster: build ## Start a Kubernetes cluster on this machine, with splitft's images
	@scripts/setup.sh kube cluster
	@scripts/cluster.sh up

cluster-down: ## End that cluster and remove all of it
	@scripts/cluster.sh down

test: configured ## Run all tests but the slow checks
	@scripts/setup.sh build test kube cluster
	@ninja -C build --quiet
	@ctest --test-dir build --output-on-failure --parallel $(JOBS)

bench: build ## Measure, and print the table of docs/benchmarks.md
	@scripts/setup.sh test kube bench-kube
	@ninja -C build --quiet bench
	@tests/bench/run build

check: ## Format, linter, sanitizers, CUDA build, fuzz smoke, links
	@scripts/check.sh

fuzz: ## Fuzz every parser; FUZZ_SECONDS=60 each
	@scripts/setup.sh build check
	@scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)

docs: ## Check that links in the documentation lead somewhere
	@scripts/check_links.py

bundle: build ## Make a relocatable tarball of the programs
	@scripts/bundle.sh

build: configured ## Build the programs into build/bin
	@ninja -C build --quiet programs

setup: ## Install what splitft is built with
	@scripts/setup.sh build

clean: ## Remove every build folder; the private prefix stays
	rm -rf build build-*

configured: setup CMakePresets.json
	@test build/build.ninja -nt CMakePresets.json || cmake --preset release
