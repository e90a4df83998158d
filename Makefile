# One profile, release: whatever is built is built for all of the demo, the tests and the image.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help prerequisites control-plane build crds demo up down lint advisories test soak bench

help: ## says what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## runs the operator on a control plane of its own, tells a story, and stops everything; STORE=postgres DIRECTORY=scim,ldap
	@scripts/demo

up: ## leaves the demo's organization running, and prints how to point kubectl at it
	@scripts/up

down: ## stops what make up left running
	@scripts/down

# The tests bring features into the dependencies that the product doesn't have, so `cargo build` would
# compile half of them a second time: the demo runs the binary that the tests ran. What is about the
# cluster is tried on PostgreSQL too.
test: prerequisites lint ## runs every check and every test
	scripts/control-plane >/dev/null
	scripts/control-plane controller-manager >/dev/null
	KUBEBUILDER_ASSETS="$$(scripts/control-plane)" cargo test --release --locked
	KUBEBUILDER_ASSETS="$$(scripts/control-plane)" ROSTER_TEST_STORE=postgres \
		cargo test --release --locked --test cluster --test lifecycle --test namespaces
	ROSTER_BINARY="$${CARGO_TARGET_DIR:-target}/release/roster" scripts/check-demo
	ROSTER_BINARY="$${CARGO_TARGET_DIR:-target}/release/roster" STORE=postgres DIRECTORY=scim,ldap scripts/check-demo

# Its faults are drawn anew each time, so it's no part of make test.
soak: prerequisites ## every kind of fault at once on a real API server; ROSTER_SOAK=3600 for an hour, ROSTER_SEED to repeat
	scripts/control-plane >/dev/null
	scripts/control-plane controller-manager >/dev/null
	KUBEBUILDER_ASSETS="$$(scripts/control-plane)" cargo test --release --locked --test soak -- --nocapture

# The release profile, which the tests have built already, is also what is measured.
bench: prerequisites ## measures, and prints tables; target/bench/ has them as JSON
	cargo bench --profile release --locked --bench '*'

lint: prerequisites ## checks format, lints, and the dependencies' licences and sources
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	cargo clippy --release --locked --test soak -- -D warnings
	"$$(scripts/cargo-deny | tail -1)" --locked check bans licenses sources

# Apart from lint, because it downloads the advisory database: a check that needs the network, and
# that may fail tomorrow though nothing here has changed, is no part of a test.
advisories: prerequisites ## checks the dependencies for known vulnerabilities; downloads the RustSec database
	"$$(scripts/cargo-deny | tail -1)" --locked check advisories

build: prerequisites ## builds target/release/roster
	cargo build --release --locked

crds: build ## writes crds/ anew from src/api
	"$${CARGO_TARGET_DIR:-target}/release/roster" crds crds

control-plane: prerequisites ## prints the folder with kube-apiserver, etcd and kubectl, building them once
	@scripts/control-plane

prerequisites:
	@scripts/prerequisites
