.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help prerequisites control-plane build crds demo up down lint advisories test test-image soak bench image docs test-gitops test-versions

help: ## says what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## runs the operator on a control plane of its own, tells a story, and stops everything; STORE=postgres DIRECTORY=scim,ldap
	@scripts/demo

up: ## leaves the demo's organization running, and prints how to point kubectl at it
	@scripts/up

down: ## stops what make up left running
	@scripts/down

# The demo runs the binary that the tests ran. What depends on the store runs on PostgreSQL too.
test: prerequisites lint ## runs every check and every test, and says how long each took; ROSTER_TEST_JOBS=N at once
	scripts/control-plane >/dev/null
	scripts/control-plane controller-manager >/dev/null
	scripts/test

# Each API server is built once, which takes about 6 minutes, so they are no part of make test.
test-versions: prerequisites ## runs the operator on Kubernetes 1.30, 1.33, 1.35 and 1.37; VERSIONS="1.30" for one of them
	@set -e; unset KUBEBUILDER_ASSETS; for version in $${VERSIONS:-$$(scripts/control-plane versions)}; do \
		echo "Kubernetes $$version"; \
		export ROSTER_KUBERNETES=$$version; \
		KUBEBUILDER_ASSETS="$$(scripts/control-plane)" cargo test --locked --test versions; \
		ROSTER_BINARY="$${CARGO_TARGET_DIR:-target}/debug/roster" scripts/check-demo; \
	done

# Downloads Debian packages, so it is no part of make test.
test-image: build ## builds the image twice, and runs the operator in it with a read-only root and without privileges
	scripts/check-image

# Apart from make test, because it downloads the CRDs of Flux and Argo CD.
test-gitops: prerequisites ## tries deploy/gitops with the libraries and CRDs of Flux and Argo CD
	scripts/control-plane >/dev/null
	KUBEBUILDER_ASSETS="$$(scripts/control-plane)" scripts/check-gitops

# Its faults are drawn anew each time, so it's no part of make test.
soak: prerequisites ## every kind of fault at once on a real API server; ROSTER_SOAK=3600 for an hour, ROSTER_SEED to repeat
	scripts/control-plane >/dev/null
	scripts/control-plane controller-manager >/dev/null
	KUBEBUILDER_ASSETS="$$(scripts/control-plane)" cargo test --release --locked --test soak -- --nocapture

bench: prerequisites ## measures, and prints tables; target/bench/ has them as JSON
	cargo bench --profile release --locked --bench '*'

lint: prerequisites ## checks format, lints, and the dependencies' licences and sources
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --test soak --test versions -- -D warnings
	"$$(scripts/cargo-deny | tail -1)" --locked check bans licenses sources

# Apart from lint, because it downloads the advisory database: a check that needs the network, and
# that may fail tomorrow though nothing here has changed, is no part of a test.
advisories: prerequisites ## checks the dependencies for known vulnerabilities; downloads the RustSec database
	"$$(scripts/cargo-deny | tail -1)" --locked check advisories

docs: ## builds the book of docs/ into target/book/
	"$$(scripts/mdbook | tail -1)" build docs

build: prerequisites ## builds target/release/roster
	cargo build --release --locked

image: build ## builds a container image without an engine, in target/image
	@scripts/image

crds: build ## writes crds/ anew from src/api
	"$${CARGO_TARGET_DIR:-target}/release/roster" crds crds

control-plane: prerequisites ## prints the folder with kube-apiserver, etcd and kubectl, building them once
	@scripts/control-plane

prerequisites:
	@scripts/prerequisites
