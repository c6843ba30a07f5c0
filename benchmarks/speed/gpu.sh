#!/bin/bash
# Ten minutes on one GPU: bash benchmarks/speed/gpu.sh OUT [arguments of benchmarks.speed.gpu]
# Results go to OUT, a file for each stage, what is made on the way to WORK (OUT_work); called again, it goes on with the first stage that has none.
#
# On a machine that can fetch nothing, SITE may name a tar.xz of packages for its Python and PyTorch that are unpacked
# first. Needed: kornia, kornia-rs, jsonargparse, docstring-parser, typeshed-client, rich, av, decord, dlib-bin.
# Optional: torchcodec (its rows of the table of decoders say that it is absent). TRUNK may name weights of
# tf_efficientnet_lite0 for the real training, which otherwise starts from random ones.
set -euo pipefail
cd "$(dirname "$0")/../.."
OUT=${1:?give a folder for the results}
shift
PYTHON=${PYTHON:-python3}
WORK=${WORK:-${OUT%/}_work}
if [ -n "${SITE:-}" ] && [ ! -e "$WORK/site/done" ]; then
    mkdir -p "$WORK/site"
    tar xJf "$SITE" -C "$WORK/site"
    touch "$WORK/site/done"
fi
export PYTHONPATH="$PWD:$WORK/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 WANDB_MODE=offline
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader || true
until "$PYTHON" -m benchmarks.speed.gpu --out "$OUT" --work "$WORK" ${TRUNK:+--trunk "$TRUNK"} "$@"; do
    size=$(stat -c %s "$OUT/gpu_stacks.txt" 2>/dev/null || echo 0)
    [ "$size" -gt "${before:-0}" ] || exit 1
    before=$size # a row hung and is left out
done
