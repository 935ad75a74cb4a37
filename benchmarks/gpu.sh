#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in one command: our step beside PyTorch's, the default recipe's step over
# batch sizes, and a whole training of the default recipe on data/utkface within so many minutes.
#   benchmarks/gpu.sh 6 OUT        6 minutes of training, after at most 6 of measuring; results go to the folder OUT
# Needs JAX, Keras and PyTorch. Ends with 1 if any part failed.
set -uo pipefail
minutes=${1:?minutes of training}; out=$(realpath -m "${2:?folder for the results}")
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export KERAS_BACKEND=jax PYTHONUNBUFFERED=1
mkdir -p "$out"
failed=$(mktemp); runs=$(mktemp -d)  # checkpoints stay there

measure() {  # at most 60 seconds
    timeout 60 "$python" "$@" || echo "cut after 60 s or failed: $*" | tee -a "$failed"
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

"$python" train.py --minutes "$minutes" --runs "$runs/runs" 2>&1 | tee "$out/train.txt" &&
    cp "$runs"/runs/*/export/* "$runs"/runs/*/log.jsonl "$out"/ || echo "failed: training" | tee -a "$failed"
ls -l "$out"
[ ! -s "$failed" ]  # the exit code
