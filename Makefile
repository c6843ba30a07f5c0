# The two commands of the README; each sets up what it needs.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: test demo clean

$(VENV)/ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

test: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# about ten minutes on 2 cores; interrupted, it goes on where it was
demo: $(VENV)/ready
	$(BIN)/python -m suite studio --out data/studio --size small --difficulty 0.1
	$(BIN)/python -m suite prepare --config configs/prepare_studio.yaml
	$(BIN)/python -m suite fit --config configs/demo.yaml --ckpt_path last
	$(BIN)/python -m suite test --config configs/demo.yaml --ckpt_path runs/demo/checkpoints/best.ckpt
	$(BIN)/python -m suite report runs/demo --learned 0

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
