# Three commands do everything on a fresh machine: `make mnist`, `make train` and `make test`.

.PHONY: mnist train gallery test test-long test-swiftshader golden-swiftshader mutants snapshot check bench-peers shader-stats portability driver

# Mesa's software driver spreads short kernels over all cores only with more threads than cores
# (benches/LOG.md); other drivers don't read this.
export LP_NUM_THREADS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

# Features that aren't built by default and are tested all the same.
FEATURES = --features cli

# Trains LeNet-5 on MNIST, on the CPU reference where no driver can be had. `make mnist ARGS="--epochs 8"`.
mnist: driver
	cargo run --release --example mnist -- $(ARGS)

# Trains a network on a folder of class folders (docs/GUIDE.md). `make train DATA=flowers ARGS="--epochs 30"`.
train: driver
	$(if $(DATA),,$(error DATA names a folder of class folders: make train DATA=flowers))
	cargo run --release $(FEATURES) -- train $(DATA) $(ARGS)

# Draws docs/GALLERY.md and its pictures. `make gallery ARGS="--section gan"` draws one section again.
gallery: driver
	cargo run --release $(FEATURES) --example gallery -- $(ARGS)

# Tests neither see nor touch what this machine was tuned to.
test test-long test-swiftshader golden-swiftshader mutants: export WGRAD_CACHE_DIR ?= $(CURDIR)/target/winners

# The whole suite; fails where there is no adapter to test on.
test:
	tools/install-driver.sh --require
	cargo test $(FEATURES)

# The whole suite with what a sample stands for otherwise, and what takes long; every optimizer learns MNIST.
test-long: export WGRAD_TEST_ALL = 1
test-long: test golden-swiftshader
	cargo run $(FEATURES) --example optimizers
	for task in capsules crnn detect dqn gan robust segment siamese transfer upscale vae video; do cargo run --release $(FEATURES) --example $$task || exit; done

# What a second driver is likely to break, on SwiftShader where it can be had: the golden cases, or one in SAMPLE of them, and a
# short training. `make golden-swiftshader REQUIRE=--require` fails where it can't.
SAMPLE ?= 1
golden-swiftshader:
	manifest=$$(tools/install-swiftshader.sh $(REQUIRE)) && { [ -z "$$manifest" ] || \
	    VK_DRIVER_FILES="$$manifest" VK_ICD_FILENAMES="$$manifest" WGRAD_TEST_SAMPLE=$(SAMPLE) \
	    cargo test $(FEATURES) --test training --test ops -- an_epoch_is_learned golden_values_on_the_adapter; }

# The whole suite there.
test-swiftshader:
	manifest=$$(tools/install-swiftshader.sh --require) && VK_DRIVER_FILES="$$manifest" VK_ICD_FILENAMES="$$manifest" cargo test $(FEATURES)

# Plants 200 bugs, one at a time, and says in tools/mutants/report.md which test finds each; goes on where it was ended.
# `make mutants ARGS="--seed 2"` plants others, `ARGS=--rest` runs all tests on those that survived.
mutants: driver
	python3 tools/mutants/run.py $(ARGS)

# What kernels compute, to the bit, and what the planner makes of networks: the same lines before and after a change that should
# change neither. `make -s snapshot > before.txt`, `make -s snapshot ARGS=launches`.
snapshot: driver
	cargo run $(FEATURES) --example snapshot -- $(ARGS)

# What CI runs besides the tests; kernels are looked at where there is Mesa's compiler for AMD GPUs.
check: driver
	cargo fmt --check
	cargo clippy --lib -- -D warnings
	cargo clippy $(FEATURES) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(FEATURES) --no-deps
	cargo run $(FEATURES) --example shader-stats

# What Mesa's compiler for AMD GPUs makes of the kernels, without such a GPU; `make shader-stats ARGS=matmul`.
shader-stats:
	tools/install-driver.sh --require
	cargo run $(FEATURES) --example shader-stats -- --require $(ARGS)

# What FXC, DXC, Tint and Vulkan's software drivers make of the kernels (tools/portability/README.md); downloads them.
portability:
	tools/portability/run.sh $(ARGS)

# The same work in wgrad, burn, meganeura and PyTorch, alternating (benches/peers/README.md). PYTHON is one that has torch
# (`pip install torch`): `make bench-peers PYTHON=/path/to/python ARGS="--filter matmul --peers burn,pytorch"`.
PYTHON ?= python3
bench-peers: driver
	$(PYTHON) benches/peers/compare.py $(ARGS)

driver:
	tools/install-driver.sh
