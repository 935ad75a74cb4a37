"""Train a CycleGAN that ages faces (A -> B) and rejuvenates them (B -> A).

    python train.py --config configs/smoke.yaml         two minutes on drawn faces, no data set needed
    python train.py                                     configs/utkface.yaml on data/utkface
    python train.py --config configs/cpu.yaml loss.lambda_colour=2 stages.0.steps=500
    python train.py start_from=runs/00001-utkface loss.lambda_colour=2   another recipe, on a run's first-stage networks
    python train.py --resume runs/00001-utkface         go on at the exact step
    python train.py --dry-run                           what would happen
    python train.py --export runs/00001-utkface         generators of the newest checkpoint -> saved_models/

Watch samples/<run>/: a grid of the same held-out faces every few hundred steps, and losses.png.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import recipe as recipes
import runs
from files import run_script


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change a value of the recipe")
    parser.add_argument("--config", metavar="FILE", help="the recipe (default: configs/utkface.yaml)")
    parser.add_argument("--resume", metavar="RUN", help="go on with this run folder, with the recipe stored in it")
    parser.add_argument("--dry-run", action="store_true", help="print recipe, networks and steps, check the data")
    parser.add_argument("--export", metavar="RUN", help="export the generators of a checkpoint of this run, stop")
    parser.add_argument("--checkpoint", type=int, metavar="STEP", help="with --export: which one (default: the newest)")
    parser.add_argument("-o", "--output", metavar="DIR", help="with --export: where to (default: saved_models/<run>)")
    parser.add_argument("--runs", default="runs", metavar="DIR", help="where run folders are made")
    args = parser.parse_args(argv)
    if args.resume and (args.overrides or args.config):
        parser.error("--resume goes on with the recipe stored in the run; it takes no --config and no key=value")
    return args


def main(argv=None):
    args = parse_arguments(argv)
    if args.export:
        run = runs.Run.open(args.export)
        import_tensorflow()
        export_run(run, Path(args.output or Path("saved_models") / run.name), args.checkpoint)
        return 0
    run = runs.Run.open(args.resume) if args.resume else None
    config = args.config or "configs/utkface.yaml"
    recipe = run.recipe if run else recipes.load(config, args.overrides)
    if recipe.data.source == "drawn":
        import drawn_faces
        drawn_faces.fill(recipe.data.path, recipe.data.domain_A, recipe.data.domain_B)
    import_tensorflow()
    if args.dry_run:
        dry_run(recipe)
        return 0
    return train(recipe, run, lambda: runs.Run.create(args.runs, Path(config).stem, recipe))


def import_tensorflow():
    """TensorFlow takes seconds to import and talks a lot: after the command line is known to be right, and quietly."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silenced():
        import tensorflow as tf
        tf.config.list_physical_devices()
    tf.get_logger().setLevel("ERROR")
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # the devices are in use already
            tf.config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def _silenced():
    """Nothing reaches stderr: TensorFlow's libraries write to it while they load, before they read any setting."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def train(recipe, run, make_run):
    """Train `recipe` to its end, or on from the newest checkpoint of `run`. Returns the exit code."""
    import keras

    import cyclegan
    import devices
    from monitor import Monitor

    # Parameters: where and how long
    strategy = devices.strategy(recipe.strategy)
    devices.check_batches(strategy, recipe)
    precision, jit = devices.precision(recipe.precision), devices.jit_compile(recipe.xla)
    counts = runs.count_images(recipe)
    phases = runs.plan(recipe, max(counts))
    start, total = run.newest_step() if run else 0, phases[-1].stop
    origin = runs.origin(recipe) if not start else None
    chief = devices.is_chief(strategy)
    run = (run or make_run()) if chief else None
    if chief:
        print(f"{run.folder}: {counts[0]} + {counts[1]} images, {total} steps, "
              f"{devices.describe(strategy, precision, jit)}")

    stopped = _Interruption(strategy)
    monitor = Monitor(run, recipe, total, start)
    gan = None
    try:
        for phase in phases:
            if phase.stop < start:
                continue
            if gan is None or gan.stage != phase.stage:
                # Here, not once: a stage begins the same whether the run was resumed or not.
                keras.utils.set_random_seed(recipe.seed)
                with strategy.scope():
                    gan, previous = cyclegan.CycleGAN(recipe, phase.stage, precision, jit), gan
                    if previous is not None:
                        gan.continue_from(previous)
                    elif origin:
                        runs.start_from(gan, *origin)
                keeper = runs.Keeper(run, gan, recipe, [p.stop for p in phases if p.kind == "train"])
                faces, held_out, notes = runs.load_faces(recipe, phase.stage)
                monitor.say("\n".join(notes))
            if phase.start < start <= phase.stop:
                keeper.restore(start)
            monitor.begin(phase)
            _run_phase(phase, gan, faces, held_out, strategy, monitor, keeper, stopped)
            if stopped.signal:
                break
    finally:
        monitor.close()
    if stopped.signal:
        if chief:
            print(f"stopped by {stopped.name} at step {int(gan.step.numpy())}, saved. "
                  f"Go on with: python train.py --resume {run.folder}")
        return 128 + stopped.signal
    if chief:
        print(f"done: {total} steps. Grids and loss curves: {run.samples}/")
        if not (run.folder / "export/card.md").exists():
            export_run(run, run.folder / "export")
        if recipe.data.source == "drawn":
            report_true_error(recipe, gan)
    return 0


def _run_phase(phase, gan, faces, held_out, strategy, monitor, keeper, stopped):
    """Steps gan.step .. phase.stop: the loop. Saves, draws and logs as the recipe says; ends early when stopped."""
    settings = gan.recipe.monitor
    step = int(gan.step.numpy())
    if step >= phase.stop:
        return
    if phase.kind == "finish" and step == phase.start:
        gan.begin_finish()
    compute = {"warm": gan.warm_step, "train": gan.train_step, "finish": gan.finish_step}[phase.kind]
    batches = iter(phase.batches(faces, strategy, step))
    if step == 0 and monitor.chief:
        monitor.picture(0, runs.sample_rows(gan, held_out))
    while step < phase.stop and not stopped.signal:
        begin = time.perf_counter()
        batch = next(batches)
        arrived = time.perf_counter()
        gan.set_learning_rate(phase.learning_rate(step))
        losses = compute(*batch)
        step += 1
        monitor.add(step, losses, arrived - begin, time.perf_counter() - arrived)
        last = stopped.after(step) or step == phase.stop
        if last or step % settings.save_every == 0:
            monitor.flush()  # never save what has diverged
            keeper.save(step)
        if monitor.chief and (last or step % settings.sample_every == 0):
            monitor.picture(step, runs.sample_rows(gan, held_out))


class _Interruption:
    """Ctrl-C and SIGTERM let the step under way end, then the run saves and stops; a second Ctrl-C stops at once.

    Several workers stop at the same step, so they ask each other now and then.
    """

    every = 10  # steps between two questions: each costs a round over the network

    def __init__(self, strategy):
        self.strategy, self.signal, self.name, self.noted = strategy, 0, "", 0
        for which in (signal.SIGINT, signal.SIGTERM):
            signal.signal(which, self._note)

    def _note(self, number, _frame):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.noted = number

    def after(self, step):
        """True if the run is to stop after `step` steps; the same answer in every worker."""
        import tensorflow as tf

        number = self.noted
        if isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            if step % self.every:
                return False
            mine = self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant(number))
            noted = int(self.strategy.reduce("SUM", mine, axis=None))
            number = number or (signal.SIGTERM if noted else 0)
        if number:
            self.signal, self.name = int(number), signal.Signals(number).name
        return bool(number)


def export_run(run, folder, step=None):
    """Export the moving-average generators of a checkpoint, with a card."""
    import export

    paths = export.export(run, folder, step)
    print(f"exported {', '.join(p.name for p in paths)} to {folder}/")


def report_true_error(recipe, gan):
    """Drawn faces only: how far the generators are from the truth, beside doing nothing."""
    import drawn_faces

    young, old = drawn_faces.true_pairs(recipe.data.path, recipe.data.domain_A, recipe.data.domain_B, gan.stage.size)
    print("mean absolute error against the truth, of 255:")
    for title, network, source, target in (("young -> old", gan.ema_AB, young, old),
                                           ("old -> young", gan.ema_BA, old, young)):
        error, nothing = (abs(x.astype(float) - target).mean() for x in (runs.translate(network, source), source))
        print(f"  {title}: {error:.2f}   doing nothing: {nothing:.2f}   ratio {error / nothing:.2f}")


def dry_run(recipe):
    """Print what a run would do; check the data folders."""
    import cyclegan
    import devices

    strategy = devices.strategy(recipe.strategy)
    devices.check_batches(strategy, recipe)
    counts = runs.count_images(recipe)
    print(recipes.dump(recipe))
    with strategy.scope():
        gan = cyclegan.CycleGAN(recipe, recipe.stages[-1])
    print(f"networks at {recipe.stages[-1].size} px:")
    for name in ("g_AB", "g_BA", "d_A", "d_B", "classifier"):
        if network := getattr(gan, name):
            print(f"{name}: {network.count_params():,} parameters")
    data = recipe.data
    print(f"data: {data.path}/train: {data.domain_A} {counts[0]} images, {data.domain_B} {counts[1]}")
    print(f"device: {devices.describe(strategy, devices.precision(recipe.precision), devices.jit_compile(recipe.xla))}")
    if origin := runs.origin(recipe):
        print(f"starts from: {origin[0].folder}, step {origin[1]}")
    for phase in runs.plan(recipe, max(counts)):
        print(f"{phase.title}: steps {phase.start} to {phase.stop}, {phase.batch_size} pairs each")


if __name__ == "__main__":
    run_script(main)
