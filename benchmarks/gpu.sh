#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in one command: our step beside PyTorch's, the default recipe's step over
# batch sizes, and a whole training of the default recipe on data/utkface within so many minutes.
#   benchmarks/gpu.sh 8 OUT        8 minutes of training; tables and generators go to the folder OUT
# Needs: JAX, Keras and, for the comparison, PyTorch. KERAS_BACKEND=jax is set here.
set -uo pipefail
minutes=${1:?minutes of training}; out=${2:?folder for the results}
cd "$(dirname "$0")/.."
export KERAS_BACKEND=jax PYTHONUNBUFFERED=1
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-/tmp/jax-cache}  # a step is compiled once a machine
mkdir -p "$out"
{
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  timeout 100 python benchmarks/train_step.py --sizes 64 128 256 --batches 16 --precisions mixed_bfloat16 --steps 20
  timeout 100 python benchmarks/pytorch_step.py --sizes 64 128 256 --batches 16 --steps 20 --compile
  timeout 100 python benchmarks/train_step.py --config configs/utkface.yaml --sizes 64 --batches 16 64 \
    --precisions mixed_bfloat16 --steps 20
} 2>&1 | tee "$out/speed.txt"
python train.py --minutes "$minutes" --runs "$out/runs" 2>&1 | tee "$out/train.txt"
cp "$out"/runs/*/export/* "$out"/runs/*/log.jsonl "$out"/ 2>/dev/null  # generators at the top, where they are found
ls -l "$out"
