# Every target is one line of `make help`. Go and gcc are all it takes; the
# targets that use a tool install the pinned version into .ci/out/bin.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MODULE   := github.com/tercet-chain/tercet
COMMIT   := $(shell git describe --always --dirty --abbrev=10 2>/dev/null || echo unknown)
TOOLS    := $(CURDIR)/.ci/out/bin
BIN      ?= bin/tercet

GOFUMPT_VERSION   := v0.12.0
GOLANGCI_VERSION  := v2.15.0
DEADCODE_VERSION  := v0.52.0
BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da

# Figures for bench and the checks; override on the command line.
BENCH     ?= .
BENCHTIME ?= 1s
COUNT     ?= 1
PKG       ?= ./...
FUZZTIME  ?= 5s
NODES     ?= 4
DIR       ?=

# The packages in which a data race could cost safety.
CORE := ./consensus/... ./ledger/... ./node/txpool/... ./node/pipeline/...

.PHONY: help
help: ## Show this list.
	@bold=; plain=; if [ -t 1 ]; then bold=$$(printf '\033[1m'); plain=$$(printf '\033[0m'); fi; \
	awk -F ':.*## ' -v b="$$bold" -v p="$$plain" '/^[a-z0-9-]+:.*## /{printf "  %s%-15s%s %s\n", b, $$1, p, $$2}' $(MAKEFILE_LIST)

## Build and run

.PHONY: build
build: ## Build bin/tercet.
	go build -ldflags "-X main.commit=$(COMMIT)" -o $(BIN) ./cmd/tercet

.PHONY: testnet
testnet: ## Run a network of NODES=4 validators until Ctrl-C; DIR=… elsewhere than ~/.tercet/testnet.
	go run ./cmd/tercet testnet up --nodes $(NODES) $(if $(DIR),--dir $(DIR))

.PHONY: dev
dev: ## Run one validator that is final at once, with its RPC on port 8545.
	go run ./cmd/tercet dev

.PHONY: contracts
contracts: ## Rebuild the example contracts, their digests and artifacts (Debian: clang-14 lld-14; npm).
	cd contracts/examples && npm ci --ignore-scripts && ./build . && sha256sum */contract.wasm > contracts.sum
	go test -count=1 -run 'TestExamples_artifacts' ./contracts -update

## Check

.PHONY: test
test: ## Run every test (at most 6 minutes on 2 cores).
	go test $(PKG)

.PHONY: race
race: ## Run the tests of the core packages under the race detector.
	go test -race $(CORE)

.PHONY: tidy-check
tidy-check: ## Check layers, homes, sizes, names and settings (internal/tidy).
	go test -count=1 -run 'TestModule' ./internal/tidy

.PHONY: fmt
fmt: $(TOOLS)/gofumpt-$(GOFUMPT_VERSION) ## Format all Go source.
	$< -l -w $$(git ls-files '*.go')

.PHONY: fmt-check
fmt-check: $(TOOLS)/gofumpt-$(GOFUMPT_VERSION) ## Fail if a file is not formatted.
	@unformatted=$$($< -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "run make fmt for:"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet: ## Run go vet.
	go vet ./...

.PHONY: lint
lint: $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION) fmt-check ## Run the linters of .golangci.yml.
	$< run ./...

.PHONY: deadcode
deadcode: $(TOOLS)/deadcode-$(DEADCODE_VERSION) ## Fail on functions that neither the binary nor a test reaches.
	@unreached=$$($< -test ./... | grep -v '^testframework/' || true); \
	if [ -n "$$unreached" ]; then echo "$$unreached"; exit 1; fi

# What WASI cannot compile is ledger/store, because LevelDB has no file lock and
# no rename there, and what imports it: testframework/simdisk, node/pipeline,
# node/rpc, node and the packages above node.
WASI := ./consensus/... ./contracts/... ./ledger ./ledger/exec ./ledger/state ./p2p/... ./node/config ./node/diagnosis ./node/metrics ./node/txpool ./internal/testlog

.PHONY: portable
portable: ## Compile the node without cgo, and what does not need LevelDB for WASI.
	CGO_ENABLED=0 go build -o /dev/null ./cmd/tercet
	GOOS=wasip1 GOARCH=wasm go build $(WASI)

.PHONY: fuzz-short
fuzz-short: ## Fuzz every target for FUZZTIME=5s.
	FUZZTIME=$(FUZZTIME) .ci/fuzz

PROGRAMS ?=
FIRST    ?=

.PHONY: contracts-same
contracts-same: machine ## PROGRAMS=1000000 random contracts from seed FIRST=0: the same in every way to run them.
	.ci/contracts-same $(or $(PROGRAMS),1000000) $(or $(FIRST),0)

.PHONY: contracts-same-arm64
contracts-same-arm64: machine ## PROGRAMS=10000 of them, the same on arm64 (Debian: qemu-user-static).
	.ci/contracts-same arm64 $(or $(PROGRAMS),10000) $(or $(FIRST),0)

.PHONY: incidents
incidents: ## Show that each incident's tests fail when the incident is seeded.
	.ci/incidents

.PHONY: clients
clients: ## Run the README's transactions, and every flow of real clients against four processes and dev (npm).
	.ci/clients

.PHONY: tutorial
tutorial: ## Run the tutorial of docs/contracts.md as it stands there, in C and AssemblyScript (npm).
	.ci/contracts

.PHONY: check
check: vet lint deadcode test ## What to run before a commit.

.PHONY: ci
ci: ## Everything that has to pass (.ci/run), on a fresh clone too.
	.ci/run

## Simulation, in virtual time (docs/testing.md); SIM overrides the binary

SIM ?= .ci/out/tercet

$(SIM): FORCE
	@go build -ldflags "-X main.commit=$(COMMIT)" -o $@ ./cmd/tercet
.PHONY: FORCE
FORCE:

.PHONY: sim
sim: machine $(SIM) ## The gate of every change: 2,000 seeds of 2 minutes, no violation.
	$(SIM) sim run --seeds 1..2000 --nodes 4,7 --duration 120s

.PHONY: sim-twins
sim-twins: machine $(SIM) ## Twins scenarios: samples of four protocols, 60,000 in all.
	$(SIM) sim twins --count 15000
	$(SIM) sim twins --count 15000 --term 2 --window 1 --views 5 --parts 3
	$(SIM) sim twins --count 15000 --term 16 --window 4 --views 5 --parts 3
	$(SIM) sim twins --count 15000 --validators 7 --twins 2 --term 3 --window 1

.PHONY: sim-crashpoints
sim-crashpoints: machine $(SIM) ## The power fails at each operation of a journal, in every way: all recover.
	$(SIM) sim crashpoints

.PHONY: sim-figures
sim-figures: machine $(SIM) ## Blocks and finality in message delays, gaps, speed of the simulator.
	$(SIM) sim figures

.PHONY: determinism
determinism: ## 1,000 seeds give the same events on 1 and 2 threads and in another build.
	.ci/determinism 1000

.PHONY: mutants
mutants: ## Every seeded bug is found by the generic suite.
	.ci/mutants

.PHONY: sim-long
sim-long: machine $(SIM) ## 30,000 seeds (1,000 simulated hours) and 1,000,000 Twins scenarios.
	$(SIM) sim run --seeds 10001..40000 --nodes 4,7 --duration 120s
	$(SIM) sim twins --count 400000 --term 2 --window 1 --views 5 --parts 3 --seed 7
	$(SIM) sim twins --count 300000 --term 16 --window 4 --views 5 --parts 3 --seed 7
	$(SIM) sim twins --count 300000 --validators 7 --twins 2 --term 3 --window 1 --seed 7

.PHONY: sim-short
sim-short: machine $(SIM) ## The short forms of all of the above.
	$(SIM) sim run --seeds 1..150 --nodes 4,7 --duration 120s
	$(SIM) sim twins --count 4000
	$(SIM) sim twins --count 4000 --term 16 --window 4 --views 5 --parts 3
	$(SIM) sim crashpoints --every 12
	$(SIM) sim figures --repeats 1
	DURATION=30s .ci/determinism 100

## Promises, each against four real processes at full length. Nothing else should
## run on the machine: the limits are times. TERCET_SCHEDULE=1,0 gives the networks
## the published protocol; without it they are as new ones are.

LONG := TERCET_LONG=1 go test -count=1 -v -timeout 60m ./testframework/chaos -run

.PHONY: accept
accept: machine clients ## All promises at full length (about 30 minutes).
	$(LONG) .

.PHONY: accept-load
accept-load: machine ## 20,000 transfers at 500/s: each exactly once, balances conserved.
	$(LONG) 'TestNetwork_load$$'

.PHONY: accept-hash
accept-hash: machine ## go-ethereum's ethclient computes the same block hashes.
	$(LONG) 'TestNetwork_ethclient$$'

.PHONY: accept-leader
accept-leader: machine ## kill -9 of the leader under load: commits within 2 s; it comes back.
	$(LONG) 'TestNetwork_leaderKilled$$'

.PHONY: accept-crash
accept-crash: machine ## kill -9 of all four under load, 20 rounds: no receipt is lost.
	$(LONG) 'TestNetwork_allKilled$$'

.PHONY: accept-rebuild
accept-rebuild: machine ## State and index deleted: rebuilt with the same roots.
	$(LONG) 'TestNetwork_stateDeleted$$'

.PHONY: accept-outage
accept-outage: machine ## Two of four away for 2 minutes: a block within 5 s of their return.
	$(LONG) 'TestNetwork_half'

.PHONY: accept-idle
accept-idle: machine ## Idle for 2 minutes: at most 3 % of a core; then final within 1 s.
	$(LONG) 'TestNetwork_idle$$'

.PHONY: accept-calm
accept-calm: machine ## A transfer now and then: p50 of 10 ms, p99 of 50 ms; also with one of four down.
	$(LONG) 'TestNetwork_lowLoad$$'

.PHONY: accept-damage
accept-damage: machine ## Damaged and contested homes: one clear line, nothing lost.
	$(LONG) 'TestHome_'

.PHONY: accept-wipe
accept-wipe: machine ## Nodes without blocks or journal, or killed while they rebuild, come back.
	$(LONG) 'TestNetwork_(wiped|wipedIdle|killedInRebuild)$$'

.PHONY: accept-contracts
accept-contracts: machine ## Contracts of all kinds under a mixed load and kill -9: the same everywhere.
	$(LONG) 'TestNetwork_contracts$$'

.PHONY: accept-doctor
accept-doctor: machine ## tercet doctor names each injected cause, and nothing on a healthy network.
	$(LONG) 'TestNetwork_doctor$$'

.PHONY: accept-events
accept-events: machine ## A stream of events cut off 100 times under load: every event once, in order.
	$(LONG) 'TestNetwork_eventStream$$'

.PHONY: accept-abuse
accept-abuse: machine ## Bad clients of all kinds at one node: regular blocks, bounded memory.
	$(LONG) 'TestNetwork_abuse$$'

.PHONY: rpc-figures
rpc-figures: machine ## What a node answers per second, what that costs it, and commits beside floods of reads.
	$(LONG) 'TestNetwork_(rpcFigures|reads)$$'

.PHONY: accept-soak
accept-soak: machine ## 40 steps of crashes, pauses and deletions under load, by seed.
	$(LONG) 'TestNetwork_soak$$'

.PHONY: check-short
check-short: ## The short forms of the promises, with their figures.
	go test -count=1 -v ./testframework/chaos

## Measure

.PHONY: machine
machine: ## Say what the figures below it were measured on.
	@.ci/machine

.PHONY: bench
bench: machine ## Run the benchmarks BENCH=. of PKG=./... for BENCHTIME=1s, COUNT=1 times.
	@go test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) -timeout 60m $(PKG) \
		| grep -Ev '^(\?|ok|PASS|goos|goarch|cpu)|testlog\.go|^--- BENCH|output truncated' || true

REPEATS ?= 5

.PHONY: contracts-figures
contracts-figures: machine ## What contracts cost: calls, gas, metering, beside go-ethereum's; medians of REPEATS=5.
	@.ci/contracts-figures $(REPEATS)

.PHONY: benchstat
benchstat: $(TOOLS)/benchstat-$(BENCHSTAT_VERSION) ## Compare two files of bench output: make benchstat OLD=a NEW=b.
	$< $(OLD) $(NEW)

## Tools, each in a file named with its version

.PHONY: tools
tools: $(TOOLS)/gofumpt-$(GOFUMPT_VERSION) $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION) $(TOOLS)/deadcode-$(DEADCODE_VERSION) ## Install the pinned tools.

$(TOOLS)/gofumpt-%:
	@.ci/install mvdan.cc/gofumpt $* $@
$(TOOLS)/golangci-lint-%:
	@.ci/install github.com/golangci/golangci-lint/v2/cmd/golangci-lint $* $@
$(TOOLS)/deadcode-%:
	@.ci/install golang.org/x/tools/cmd/deadcode $* $@
$(TOOLS)/benchstat-%:
	@.ci/install golang.org/x/perf/cmd/benchstat $* $@

.PHONY: clean
clean: ## Remove what make built. Networks and node homes stay.
	rm -rf bin .ci/out

## Real clients

.PHONY: clients-suite
clients-suite: ## Only the flows of real clients (needs npm).
	TERCET_CLIENTS=1 go test -count=1 -v ./testframework/clients

.PHONY: clients-table
clients-table: ## Run them and write docs/clients.md.
	TERCET_CLIENTS=write go test -count=1 -v ./testframework/clients
