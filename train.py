"""Train a CycleGAN that ages faces (A -> B) and rejuvenates them (B -> A).

    python train.py --config configs/smoke.yaml         three minutes on drawn faces, no data set needed
    python train.py                                     configs/utkface.yaml on data/utkface
    python train.py --config configs/cpu.yaml loss.lambda_colour=2 stages.0.steps=500
    python train.py start_from=runs/00001-utkface loss.lambda_colour=2   another recipe, from a run's first stage
    python train.py --resume runs/00001-utkface         continue at the exact step
    python train.py --resume runs/00001-utkface stages.2.epochs=40   the same, and train longer
    python train.py --minutes 15                        a whole run in 15 minutes: every part is shortened alike
    python train.py --dry-run                           what would happen, and without a GPU how long it takes
    python train.py --export runs/00001-utkface         generators of the newest checkpoint -> saved_models/<run>/
    python train.py --export runs/00001-utkface/export  the ONNX files of a run that was trained without TensorFlow

Watch samples/<run>/: a grid of the same validation faces every few hundred steps, and losses.png.
"""

import argparse
import importlib.util
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from ageing.errors import UserError, kind_of, run_script
from ageing.project import PROJECT
from ageing.training import runs


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change a value of the recipe")
    parser.add_argument("--config", metavar="FILE", help="the recipe (default: configs/utkface.yaml)")
    parser.add_argument("--resume", metavar="RUN", help="continue this run folder, with the recipe stored in it; "
                        f"{', '.join(runs.LENGTHS)} may change, where they are not trained yet")
    parser.add_argument("--minutes", type=float, metavar="N", help="end within N minutes: a few steps of each part of "
                        "the training are timed, then all parts are shortened in proportion")
    parser.add_argument("--dry-run", action="store_true", help="print recipe, networks, steps and (without a GPU) "
                        "hours, check the data")
    parser.add_argument("--export", metavar="RUN", help="export the generators of a checkpoint of this run, then stop")
    parser.add_argument("--checkpoint", type=int, metavar="STEP", help="with --export: which one (default: the newest)")
    parser.add_argument("-o", "--output", metavar="DIR", help="with --export: where to (default: saved_models/<run>)")
    parser.add_argument("--runs", metavar="DIR", help="where run folders are made (default: runs)")
    args = parser.parse_intermixed_args(argv)
    if args.export and (args.overrides or args.config):
        parser.error("--export uses the recipe stored in the run; it takes no --config and no key=value")
    if args.resume and args.config:
        parser.error("--resume uses the recipe stored in the run; it takes no --config")
    if args.resume and (refused := [override for override in args.overrides if not runs.is_length(override)]):
        parser.error(f"--resume continues with the recipe stored in the run; {refused[0]} cannot change, only "
                     f"{', '.join(runs.LENGTHS)}")
    if (args.resume and args.export) or (args.export and args.dry_run):
        parser.error("--export takes neither --resume nor --dry-run")
    if args.minutes is not None and (args.export or args.dry_run or not args.minutes > 0):
        parser.error("--minutes is a number above 0 and belongs to a training run")
    if args.runs and (args.resume or args.export):
        parser.error("--runs says where a new run is made; --resume and --export name a run")
    if not args.export and (args.output or args.checkpoint is not None):
        parser.error("--output and --checkpoint belong to --export")
    return args


def main(argv=None):
    started = time.monotonic()
    args = parse_arguments(argv)

    # Imported here: --help and wrong arguments answer at once.
    from ageing import drawn_faces
    from ageing.training import devices, recipe_file

    if args.export:
        export(Path(args.export), args.output, args.checkpoint)
        return 0

    run = runs.Run.open(args.resume) if args.resume else None
    config = run.folder / "recipe.yaml" if run else args.config or recipe_file.DEFAULT
    recipe = recipe_file.load(config, args.overrides)
    if args.dry_run:  # JAX would reserve three quarters of the GPU's memory
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    devices.load_backend()
    if args.dry_run:
        from ageing.training import loop
        for line in loop.describe(recipe):
            print(line, flush=True)
        return 0

    if recipe.data.source == "drawn":
        drawn_faces.fill(recipe.data.path, recipe.data.domain_A, recipe.data.domains_B)
    from ageing.training import loop, sample_grids, time_limit
    limit = time_limit.TimeLimit(args.minutes, started) if args.minutes else None
    run, gan, stopped = loop.train(recipe, run, lambda: runs.Run.create(args.runs or "runs", Path(config).stem, recipe),
                                   limit)
    if run and stopped:
        print(f"stopped by {signal.Signals(stopped).name} at step {gan.step}, saved. "
              f"Continue with: python train.py --resume {shlex.quote(str(run.folder))}")
    elif run:
        print(f"done: {gan.step} steps. Grids and loss curves: {run.samples}/", flush=True)
        if recipe.data.source == "drawn":
            print("\n".join(sample_grids.true_error(recipe, gan)), flush=True)
        if not (run.folder / "export/card.md").exists():
            export_in_own_process(run)
    return 128 + stopped if stopped else 0


def export(source, output, step=None):
    """Export a checkpoint of the run folder `source`, or the .keras files in the folder `source` as ONNX."""
    from ageing.training import devices

    exported = kind_of(source / "metadata.json") == "file"  # .keras files, of which ONNX files are wanted
    if exported and (output or step is not None):
        raise UserError(f"{source} holds .keras files; their ONNX files are written beside them, without --output and "
                        "--checkpoint")
    run = None if exported else runs.Run.open(source)
    devices.hide_gpus()  # a run may be using them
    devices.load_backend()
    from ageing.training import export

    paths = (export.export_onnx(source) if exported else
             export.export(run, Path(output or PROJECT / "saved_models" / run.name), step))
    print(f"exported {', '.join(p.name for p in paths)} to {paths[0].parent}/")
    if not export.writes_onnx():
        print(f"ONNX files are written where TensorFlow is installed: copy {paths[0].parent}/ there, then: "
              f"python train.py --export {shlex.quote(str(paths[0].parent))}")


def export_in_own_process(run):
    """Into the folder export/ of the run. On TensorFlow where it is installed."""
    settings = {"KERAS_BACKEND": "tensorflow"} if importlib.util.find_spec("tensorflow") else {}
    command = [sys.executable, __file__, "--export", run.folder, "--output", run.folder / "export"]
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COORDINATOR_ADDRESS"}
    if subprocess.run(list(map(str, command)), env=environment | settings, check=False).returncode:
        raise UserError(f"{run.folder} is trained and saved, but its export failed; see the line above, then: "
                        f"python train.py --export {shlex.quote(str(run.folder))}")


if __name__ == "__main__":
    run_script(main, "requirements.txt")
