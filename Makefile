# Everything goes through npm scripts, so that the pinned Node of node_modules/.bin runs it.
stamp := node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help install check test format build clean npm

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(stamp) ## Install the pinned dependencies, when they are missing or outdated

$(stamp): package-lock.json | npm
	npm ci --no-audit --no-fund
	@touch $@

npm:
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or later"; exit 1; }

check: $(stamp) ## Format, types, lint, boundaries and unit tests
	npm run check

test: $(stamp) ## All tests: unit, integration, and docker where an engine answers
	npm test

format: $(stamp) ## Format the sources in place
	npm run format

build: $(stamp) ## Compile to dist/
	npm run build

clean: ## Remove what builds and tests leave behind
	rm -rf dist coverage .quorate
