"""How fast a training step is, and how much memory it takes.

    python benchmarks/train_step.py                          the tutorial's networks over size, batch and precision
    python benchmarks/train_step.py --loop                   the whole loop, data included, beside the bare step
    python benchmarks/train_step.py --config configs/cpu.yaml --sizes 64 --batches 4
    KERAS_BACKEND=jax python benchmarks/train_step.py --sizes 64 128 256 --batches 4 16 64

Every line is measured in a process of its own, so that its peak memory is its own. Prints a table, asserts nothing.
"""

import argparse
import dataclasses
import os
import resource
import statistics
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


def measure(args):
    """(pairs/s of the bare step, of the whole loop of train.py or None, bytes of GPU memory or None); speeds are
    medians of `--rounds` rounds.

    On drawn faces. The two alternate in one process. The bare step gets one batch again and again.
    """
    from ageing import drawn_faces
    from ageing.training import devices

    devices.load_backend()
    from ageing.training.cyclegan import CycleGAN
    from ageing.training.engine import engine
    from ageing.training.monitor import Monitor
    from ageing.training.plan import ahead, batch, plan
    from ageing.training.runs import Run
    from data_loader import UnpairedFaces

    recipe = stage_recipe(args, args.size, args.batch, args.precision, 10**6)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        drawn_faces.fill("faces", train=100, validation=4, size=args.size)
        recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, path="faces", source="folder",
                                                                      sampling="independent"))
        phase = next(p for p in reversed(plan(recipe, 100)) if p.kind == "train")
        gan = CycleGAN(recipe, phase.stage, engine().precision(args.precision))
        faces = UnpairedFaces("faces/train", phase.stage.size, recipe.data, recipe.seed, progress=False)
        monitor = Monitor(Run.create("runs", "benchmark", recipe), recipe, phase.stop, 0)
        monitor.begin(phase)
        arrived = ahead(lambda step: engine().place(batch(phase, gan, faces, step)), range(phase.stop))
        one = next(arrived)

        def bare():
            return gan.compute("train", one)

        def loop():
            losses = gan.compute("train", next(arrived))
            monitor.add(gan.step, losses, 0.0, 0.0)
            return losses

        forms = [bare, loop] if args.loop else [bare]
        seconds = {form: [] for form in forms}
        for k in range(args.rounds + 1):
            for form in forms:
                begin = time.perf_counter()
                for _ in range(args.steps):
                    losses = form()
                float(losses["d_A"])  # wait for the device
                if k:  # the first round compiles and warms up
                    seconds[form].append((time.perf_counter() - begin) / args.steps)
        arrived.close()
        monitor.close()
    speeds = [phase.batch_size / statistics.median(seconds[form]) for form in forms]
    return (*speeds, *[None] * (not args.loop), engine().gpu_peak())


def own_process(args, size, batch, precision):
    """Run this script for one line in a process of its own; (whether it ended well, its output)."""
    command = [sys.executable, __file__, "--config", args.config, "--size", size, "--batch", batch, "--precision",
               precision, "--steps", args.steps, "--rounds", args.rounds, *args.overrides]
    command += ["--loop"] * args.loop
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                          env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_TRACEBACK_FILTERING": "off"})
    lines = done.stderr.strip().splitlines() or ["killed"]
    return done.returncode == 0, done.stdout.strip() if done.returncode == 0 else f"failed: {lines[-1][:80]}"


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
        bare, loop, gpu = measure(args)
        peak = gpu / 2**20 if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
        print(f"{bare:8.2f} pairs/s   {peak:7,.0f} MiB of {'GPU ' if gpu else ''}memory"
              + (f"   whole loop {loop:8.2f} pairs/s, {loop / bare:.1%} of the step" if loop else ""))
        return
    failed = False
    for size in args.sizes:
        for batch in args.batches:
            for precision in args.precisions:
                print(f"{size:4} px  batch {batch:2}  {precision:14} ", end="", flush=True)
                succeeded, line = own_process(args, size, batch, precision)
                print(line, flush=True)
                failed = failed or not succeeded
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
