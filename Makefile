# The two commands of the README; each sets up what it needs.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# one more than there are cores, up to 4: some tests wait for processes that begin
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n + 1 : 4)))

.PHONY: test test-all demo detector clean

$(VENV)/ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# test-all also runs the few second proofs that take longest
test test-all: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q $(if $(filter test-all,$@),,-m 'not slow') --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

# about ten minutes on 2 cores; interrupted, it resumes
demo: $(VENV)/ready
	$(BIN)/python -m suite studio --out data/studio --size small --difficulty 0.1
	$(BIN)/python -m suite prepare --config configs/prepare/studio.yaml
	$(BIN)/python -m suite fit --config configs/studio/demo.yaml --ckpt_path last
	$(BIN)/python -m suite test --config configs/studio/demo.yaml --ckpt_path runs/demo/checkpoints/best.ckpt
	$(BIN)/python -m suite report runs/demo --min_validation_auroc 0

# the detector that 'detect' takes without a checkpoint, anew; PEOPLE is a folder of photographs of real people, NAME.jpg
RECIPE := --config configs/prepare/detector.yaml
detector: $(VENV)/ready
	@test -d "$(PEOPLE)" || { echo "detector: give PEOPLE=FOLDER, photographs of real people" >&2; exit 2; }
	$(BIN)/python -m benchmarks.studies.cast --out data/detector/videos --crops false
	$(BIN)/python -m suite prepare $(RECIPE) --data.root datamodules/studio/london --data.prepared data/detector/london
	$(BIN)/python -m suite prepare $(RECIPE) --data.root "$(PEOPLE)" --data.prepared data/detector/people
	$(BIN)/python -m suite prepare $(RECIPE) --data configs/data/studio.yaml --data.root data/detector/videos --data.prepared data/detector/studio
	$(BIN)/python -m suite fit --config configs/detector.yaml --ckpt_path last
	$(BIN)/python -m suite export --checkpoint runs/detector --half_precision true --out suite/detect/default_detector

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
