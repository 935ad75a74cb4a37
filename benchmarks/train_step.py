"""How fast a training step is, and how much memory it takes.

    python benchmarks/train_step.py                          the tutorial's networks over size, batch and precision
    python benchmarks/train_step.py --loop                   the whole loop, data included, beside the bare step
    python benchmarks/train_step.py --config configs/cpu.yaml --sizes 64 --batches 4

Every line is measured in a process of its own, so that its peak memory is its own. Prints a table, asserts nothing.
"""

import argparse
import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ageing.training import recipe_file  # noqa: E402

# The tutorial's networks at the width that a CPU can carry.
OVERRIDES = ["generator.filters=32", "discriminator.filters=32"]


def stage_recipe(args, size, batch, precision, steps):
    """The recipe of --config with a last stage of `size` pixels and `batch` pairs, and what its networks grow from."""
    recipe = recipe_file.load(args.config, [*OVERRIDES, *args.overrides] if args.seed_width else args.overrides)
    before = tuple(s for s in recipe.stages[:-1] if s.size < size) if recipe.growing == "enhance" else ()
    stage = dataclasses.replace(recipe.stages[len(before)], size=size, batch_size=batch, epochs=None, steps=steps,
                                warm_start_steps=0)
    return dataclasses.replace(recipe, stages=(*before, stage), precision=precision)


def measure_step(args):
    """One line: pairs/s of the bare step on random images, the median of `--rounds` rounds, and peak memory."""
    import statistics

    import tensorflow as tf

    from ageing.training.cyclegan import CycleGAN
    from ageing.utkface import LABELS
    from data_loader import LabelledFaces

    recipe = stage_recipe(args, args.size, args.batch, args.precision, 1)
    stage = recipe.stages[-1]
    gan = CycleGAN(recipe, stage, args.precision)

    def noise(rounds, n):
        return tuple(LabelledFaces(tf.random.stateless_uniform([rounds, n, stage.size, stage.size, 3], [d, 1], -1, 1),
                                   tf.zeros([rounds, n, LABELS])) for d in (0, 1))

    batch = noise(1, stage.batch_size)
    own = noise(recipe.adversary.steps, stage.d_batch_size) if stage.d_batch_size else None
    seconds = []
    for k in range(args.rounds + 1):
        begin = time.perf_counter()
        for _ in range(args.steps):
            losses = gan.train_step(batch, own)
        float(losses["d_A"])  # wait for the device
        if k:  # the first round traces and warms up
            seconds.append((time.perf_counter() - begin) / args.steps)
    return stage.batch_size / statistics.median(seconds)


def measure_loop(args):
    """(pairs/s of the whole loop of train.py, of the bare step) on drawn faces, alternating in one process."""
    from ageing import drawn_faces
    from ageing.training import devices
    from ageing.training.cyclegan import CycleGAN
    from ageing.training.monitor import Monitor
    from ageing.training.plan import plan
    from ageing.training.runs import Run
    from data_loader import UnpairedFaces

    recipe = stage_recipe(args, args.size, args.batch, args.precision, 10**6)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        drawn_faces.fill("faces", train=400, validation=4, size=args.size)
        recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, path="faces", source="folder"))
        run = Run.create("runs", "benchmark", recipe)
        phase = next(p for p in reversed(plan(recipe, 400)) if p.kind == "train")
        gan = CycleGAN(recipe, phase.stage, args.precision)
        monitor = Monitor(run, recipe, phase.stop, 0)
        faces = UnpairedFaces("faces/train", phase.stage.size, recipe.data, recipe.seed, progress=False)
        batches = phase.batches(faces, devices.strategy("none"), 0)
        batch = next(iter(batches))
        monitor.begin(phase)
        loop = bare = 0.0
        step = 0
        for k in range(args.rounds + 1):
            begin = time.perf_counter()
            for arguments in batches:
                gan.set_learning_rate(phase.learning_rate(step))
                losses = gan.train_step(*arguments)
                step += 1
                monitor.add(step, losses, 0.0, 0.0)
                if step % args.steps == 0:
                    break
            float(losses["d_A"])
            middle = time.perf_counter()
            for _ in range(args.steps):
                losses = gan.train_step(*batch)
            float(losses["d_A"])
            if k:
                loop, bare = loop + middle - begin, bare + time.perf_counter() - middle
        monitor.close()
    pairs = args.rounds * args.steps * args.batch
    return pairs / loop, pairs / bare


def own_process(args, size, batch, precision):
    """Run this script for one line in a process of its own; its output."""
    command = [sys.executable, __file__, "--config", args.config, "--size", size, "--batch", batch, "--precision",
               precision, "--steps", args.steps, "--rounds", args.rounds, *args.overrides]
    command += ["--loop"] * args.loop
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                          env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return done.stdout.strip() if done.returncode == 0 else "failed: " + done.stderr.strip().splitlines()[-1][:80]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--config", default=str(ROOT / "configs/seed.yaml"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    parser.add_argument("--steps", type=int, default=4, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loop", action="store_true", help="the loop of train.py beside the bare step")
    for name in ("size", "batch", "precision"):
        parser.add_argument(f"--{name}", type=str if name == "precision" else int, help=argparse.SUPPRESS)
    args = parser.parse_intermixed_args()
    args.seed_width = Path(args.config).stem == "seed"
    if args.size:
        if args.loop:
            loop, bare = measure_loop(args)
            print(f"{loop:7.2f} pairs/s   bare step {bare:7.2f}   loop / step {loop / bare:6.1%}")
        else:
            rate = measure_step(args)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
            print(f"{rate:7.2f} pairs/s   {peak:7,.0f} MiB")
        return
    for size in args.sizes:
        for batch in args.batches:
            for precision in args.precisions:
                print(f"{size:4} px  batch {batch:2}  {precision:14} ", end="", flush=True)
                print(own_process(args, size, batch, precision), flush=True)


if __name__ == "__main__":
    main()
