# Three commands do everything on a fresh machine: `make mnist`, `make train` and `make test`.

.PHONY: mnist train gallery test test-long test-swiftshader golden-swiftshader mutants snapshot check bench-peers shader-stats portability driver

# Mesa's software driver spreads short kernels over all cores only with more threads than cores
# (benches/LOG.md); other drivers don't read this.
export LP_NUM_THREADS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

# Features that aren't built by default and are tested all the same.
FEATURES = --features cli

# Trains LeNet-5 on MNIST, on the CPU reference if no driver is available. `make mnist ARGS="--epochs 8"`.
mnist: driver
	cargo run --release --example mnist -- $(ARGS)

# Trains a network on a folder of class folders (docs/GUIDE.md). `make train DATA=flowers ARGS="--epochs 30"`.
train: driver
	$(if $(DATA),,$(error DATA names a folder of class folders: make train DATA=flowers))
	cargo run --release $(FEATURES) -- train $(DATA) $(ARGS)

# Draws docs/GALLERY.md and its pictures. `make gallery ARGS="--section gan"` draws one section again.
gallery: driver
	cargo run --release $(FEATURES) --example gallery -- $(ARGS)

# Keeps this machine's tuned winners out of the tests' reach.
test test-long test-swiftshader golden-swiftshader mutants: export WGRAD_CACHE_DIR ?= $(CURDIR)/target/winners

# The whole suite; fails if there is no adapter to test on. `cargo test` runs the same tests and takes longer to compile: it
# optimises the library a second time, for its unit tests, and builds all examples, of which the tests start two.
test:
	tools/install-driver.sh --require
	cargo test $(FEATURES) --config profile.dev.package.wgrad.opt-level=0 --lib
	cargo build $(FEATURES) --example mnist --example custom_op
	cargo test $(FEATURES) --bins --test '*'
	cargo test $(FEATURES) --doc

# The whole suite without sampling, and the long tests; every optimizer learns MNIST.
test-long: export WGRAD_TEST_ALL = 1
test-long: test golden-swiftshader
	cargo run $(FEATURES) --example optimizers
	for task in capsules crnn detect dqn gan robust segment siamese transfer upscale vae video; do cargo run --release $(FEATURES) --example $$task || exit; done

# The tests that a second driver is likely to break, on SwiftShader if it is available: the golden cases, or one in SAMPLE of
# them, and a short training. `make golden-swiftshader REQUIRE=--require` fails if it is not.
SAMPLE ?= 1
golden-swiftshader:
	manifest=$$(tools/install-swiftshader.sh $(REQUIRE)) && { [ -z "$$manifest" ] || \
	    VK_DRIVER_FILES="$$manifest" VK_ICD_FILENAMES="$$manifest" WGRAD_TEST_SAMPLE=$(SAMPLE) \
	    cargo test $(FEATURES) --test training --test ops -- an_epoch_is_learned golden_values_on_the_adapter; }

# The whole suite on SwiftShader.
test-swiftshader:
	manifest=$$(tools/install-swiftshader.sh --require) && VK_DRIVER_FILES="$$manifest" VK_ICD_FILENAMES="$$manifest" cargo test $(FEATURES)

# Plants 200 bugs, one at a time, and reports in tools/mutants/report.md the test that finds each; resumes an interrupted run.
# `make mutants ARGS="--seed 2"` plants others, `ARGS=--rest` runs all tests on those that survived.
mutants: driver
	python3 tools/mutants/run.py $(ARGS)

# Hashes of the kernels' results, and launches and memory of the plans of networks: the same lines before and after a change that
# should change neither. `make -s snapshot > before.txt`, `make -s snapshot ARGS=launches`.
snapshot: driver
	cargo run $(FEATURES) --example snapshot -- $(ARGS)

# The checks of CI besides the tests; kernels are examined if Mesa's compiler for AMD GPUs is installed. Documentation takes an
# example along, so that dependencies have the features that tests ask of them and are not checked once more.
check: driver
	cargo fmt --check
	cargo clippy --lib -- -D warnings
	cargo clippy $(FEATURES) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(FEATURES) --no-deps --lib --example custom_op
	cargo run $(FEATURES) --example shader-stats

# Compiles the kernels by Mesa's compiler for AMD GPUs, without such a GPU; `make shader-stats ARGS=matmul`.
shader-stats:
	tools/install-driver.sh --require
	cargo run $(FEATURES) --example shader-stats -- --require $(ARGS)

# Compiles the kernels by FXC, DXC, Tint and Vulkan's software drivers (tools/portability/README.md); downloads these.
portability:
	tools/portability/run.sh $(ARGS)

# The same work in wgrad, burn, meganeura and PyTorch, alternating (benches/peers/README.md). PYTHON needs torch
# (`pip install torch`): `make bench-peers PYTHON=/path/to/python ARGS="--filter matmul --peers burn,pytorch"`.
PYTHON ?= python3
bench-peers: driver
	$(PYTHON) benches/peers/compare.py $(ARGS)

driver:
	tools/install-driver.sh
