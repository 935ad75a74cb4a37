#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in one command: our step beside PyTorch's, the default recipe's step over
# batch sizes, and a whole training of the default recipe on data/utkface within so many minutes.
#   benchmarks/gpu.sh 6 OUT        6 minutes of training, after at most 6 of measuring; results go to the folder OUT
# Needs JAX, Keras and, for the comparison, PyTorch.
set -uo pipefail
minutes=${1:?minutes of training}; out=$(realpath -m "${2:?folder for the results}")
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export KERAS_BACKEND=jax PYTHONUNBUFFERED=1
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-/tmp/jax-cache}  # a step is compiled once a machine
mkdir -p "$out"

measure() {  # at most 60 seconds
    timeout 60 "$python" "$@" || echo "cut after 60 s or failed: $*"
}

{
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
    for size in 64 128 256; do
        measure benchmarks/train_step.py --sizes $size --batches 16 --precisions mixed_bfloat16 --steps 20
        measure benchmarks/pytorch_step.py --sizes $size --batches 16 --steps 20 --compile
    done
    for batch in 16 64; do
        measure benchmarks/train_step.py --config configs/utkface.yaml --sizes 64 --batches $batch \
            --precisions mixed_bfloat16 --steps 20
    done
} 2>&1 | tee "$out/speed.txt"

runs=$(mktemp -d)  # checkpoints stay there
"$python" train.py --minutes "$minutes" --runs "$runs/runs" 2>&1 | tee "$out/train.txt"
cp "$runs"/runs/*/export/* "$runs"/runs/*/log.jsonl "$out"/
ls -l "$out"
