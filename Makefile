# Everything goes through npm scripts, so that the pinned Node of node_modules/.bin runs it.
stamp := node_modules/.package-lock.json
# The plugin of today, or the program that it replaces.
compose = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
compose += --project-name quorate
# Where `make run` keeps its data, and the first of its ports, should others be wanted.
DIR ?= .quorate
CLIENT_PORT ?= 4001
PEER_PORT ?= 5001

# Called by another make, it would announce its directory in the middle of the output.
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help install run start kill-leader add-node remove-node up down grow shrink check test format build clean sim chaos power fuzz model mutants bench npm docker

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(stamp) ## Install the pinned dependencies, when they are missing or outdated

$(stamp): package-lock.json | npm
	@echo "installing the pinned dependencies…"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

npm:
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or later"; exit 1; }

run: $(stamp) ## Run three nodes on ports 4001 to 4003, until Ctrl-C; their data stays
	@node_modules/.bin/node dev/run.ts $(DIR) $(CLIENT_PORT) $(PEER_PORT)

kill-leader: $(stamp) ## Kill the leader of `make run` with kill -9
	@node_modules/.bin/node dev/tell.ts $(DIR) kill-leader

start: $(stamp) ## Start a killed node of `make run` again: make start NODE=n1
	@node_modules/.bin/node dev/tell.ts $(DIR) start "$$NODE"

add-node: $(stamp) ## Have one node more join the cluster of `make run`
	@node_modules/.bin/node dev/tell.ts $(DIR) add-node

remove-node: $(stamp) ## Take a node out of the cluster of `make run`: make remove-node NODE=n3
	@node_modules/.bin/node dev/tell.ts $(DIR) remove-node "$$NODE"

up: docker ## Run three nodes in containers on ports 4001 to 4003
	$(compose) up --build --detach
	@for _ in $$(seq 120); do curl -fs http://127.0.0.1:4001/readyz && exit; sleep 0.5; done; \
	echo "not ready within a minute: see docker ps, and docker logs"; exit 1

down: docker ## End the containers of `make up`; their data stays in volumes
	$(compose) down

grow: docker ## Have two containers more join those of `make up`, on ports 4004 and 4005
	$(compose) --file docker-compose.yml --file docker-compose.grow.yml up --build --detach n4 n5
	@for _ in $$(seq 120); do curl -fs http://127.0.0.1:4005/readyz && exit; sleep 0.5; done; \
	echo "not ready within a minute: see docker ps, and docker logs"; exit 1

shrink: docker ## Take the two of `make grow` out of the cluster, and end them with their data
	@for node in n4 n5; do \
	said=$$(curl -sS --fail-with-body -X DELETE \
	http://127.0.0.1:4001/v1/cluster/members/$$node 2>&1) && continue; \
	case "$$said" in *MEMBER_NOT_FOUND*) ;; *) echo "$$said"; exit 1;; esac; done
	$(compose) --file docker-compose.yml --file docker-compose.grow.yml rm --stop --force -v n4 n5
	@docker volume rm --force quorate_n4 quorate_n5 >/dev/null

docker:
	@docker info >/dev/null 2>&1 || { echo "no Docker engine answers: install or start one"; exit 1; }

check: $(stamp) ## Format, types, lint, boundaries and unit tests
	npm run check

test: $(stamp) ## All tests: unit, integration, and docker where an engine answers
	npm test

# Each commit has seeds of its own, so that every run of a new one looks elsewhere.
sim: $(stamp) ## Simulate clusters in trouble: make sim SECONDS=600 JOBS=2
	@node_modules/.bin/node test/sim/main.ts --seconds $(or $(SECONDS),60) --jobs $(or $(JOBS),1) \
		--base "$(shell git rev-parse --short HEAD 2>/dev/null)-"

fuzz: $(stamp) ## Feed all decoders with damaged bytes: make fuzz SECONDS=60
	@node_modules/.bin/node test/fuzz/main.ts --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

model: $(stamp) ## Go through all behaviours of small clusters: make model SECONDS=300
	@node_modules/.bin/node test/model/main.ts --seconds $(or $(SECONDS),300)

mutants: $(stamp) ## Plant bugs and see that the tests find them: make mutants ONLY=E1 JOBS=2
	@node_modules/.bin/node test/mutants/main.ts --only "$(ONLY)" --jobs $(or $(JOBS),1) \
		$(if $(LAYER),--layer $(LAYER)) $(if $(RECORD),--record) $(if $(SECONDS),--seconds $(SECONDS))

chaos: $(stamp) ## Break a cluster of real processes: make chaos SECONDS=600 NODES=5
	@node_modules/.bin/node test/chaos/main.ts --seconds $(or $(SECONDS),60) \
		--nodes $(or $(NODES),3) $(if $(SEED),--seed $(SEED))

power: $(stamp) ## Cut the power of real file systems: make power CYCLES=500
	@node_modules/.bin/node test/chaos/power-main.ts --cycles $(or $(CYCLES),500) \
		$(if $(SEED),--seed $(SEED))

bench: $(stamp) ## Measure three nodes beside a bare Fastify
	@node_modules/.bin/node bench/main.ts

format: $(stamp) ## Format the sources in place
	npm run format

build: $(stamp) ## Compile to dist/
	npm run build

clean: ## Remove what builds and tests leave behind
	rm -rf dist coverage .quorate
