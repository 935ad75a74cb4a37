"""What a run tells people: progress bar, log.jsonl, warnings, loss curves, TensorBoard."""

import json
import math
import os
import sys
import time

from tqdm import tqdm

import pictures
from files import UserError, read_json_lines, reason, replacing

DOMINATES = 0.8   # share of a generator's loss above which a term is said to dominate
DEAD = 0.01       # a discriminator's loss below this teaches the generator nothing
SETTLED = 100     # steps of a stage before either is judged


class Diverged(UserError):
    """A loss or a gradient is NaN or infinite."""


def shares(losses, weights):
    """{term: share of the generators' weighted loss}; `losses` by name, `weights`: recipe.Loss."""
    parts = {
        "adversarial": losses["adversarial_AB"] + losses["adversarial_BA"],
        "cycle": weights.lambda_cycle * (losses["cycle_A"] + losses["cycle_B"]),
        "identity": weights.lambda_identity * (losses["identity_A"] + losses["identity_B"]),
        "consistency": weights.lambda_consistency * (losses["consistency_A"] + losses["consistency_B"]),
        "colour": weights.lambda_colour * (losses["colour_A"] + losses["colour_B"]),
        "label": weights.lambda_label * (losses["label_A"] + losses["label_B"]),
    }
    total = sum(parts.values()) or 1.0
    return {term: part / total for term, part in parts.items()}


def advice(share, losses, scales=1, keys=None):
    """(kind, plain sentence) for everything in `share` and `losses` that a practitioner would act on.

    scales: how many PatchGANs judge a face; their losses are added up, so each is judged by its part.
    keys: {term: key of its weight} where that is another than loss.lambda_<term>.
    """
    terms = ("cycle", "identity", "consistency", "colour", "label")
    keys = {term: f"loss.lambda_{term}" for term in terms} | (keys or {})
    found = []
    for term, key in keys.items():
        if share[term] > DOMINATES:
            found.append((term, f"the {term} term is {share[term]:.0%} of the generators' loss: faces will hardly "
                                f"change; lower {key}"))
    one = share["adversarial"] / scales
    if one > DOMINATES * (one + 1 - share["adversarial"]):
        found.append(("adversarial", f"the adversarial term is {share['adversarial']:.0%} of the generators' loss: "
                                     f"faces may become other people; raise {keys['cycle']}"))
    for name in ("d_A", "d_B"):
        one = losses[name] / scales
        if one < DEAD:
            found.append((name, f"the loss of {name} fell to {one:.4f}: it tells fake from real without fail "
                                "and teaches nothing; lower adversary.steps, or set adversary.augment=true"))
    return found


class Monitor:
    """Collects the losses of each step, and writes and judges them every `log_every` steps.

    Reading a loss waits for the device, so losses stay tensors until they are flushed.
    """

    def __init__(self, run, recipe, total, step):
        """run: runs.Run, or None in a worker that is not the chief and tells nothing; step: where training begins."""
        self.recipe, self.chief = recipe, run is not None
        self.pending, self.said, self.started = [], set(), 0
        self.waiting = self.computing = 0.0
        # A line a minute where nobody watches: in a log file of nohup or a job queue.
        self.bar = tqdm(total=total, initial=step, unit="step", dynamic_ncols=True, disable=not self.chief,
                        mininterval=0.5 if sys.stderr.isatty() else 60, maxinterval=60)
        self.board = None
        if self.chief:
            self.log_path, self.samples = run.folder / "log.jsonl", run.samples
            self.board = _tensorboard(run.folder / "tensorboard")
            self._forget_after(step)

    def begin(self, phase):
        """A stage or a warm start begins or goes on; warnings come once for each."""
        self.phase, self.said, self.started = phase, set(), None
        self.bar.set_description(phase.title)

    def add(self, step, losses, waiting, computing):
        self.started = step if self.started is None else self.started
        self.pending.append((step, losses))
        self.waiting += waiting
        self.computing += computing
        self.bar.update()
        if len(self.pending) >= self.recipe.monitor.log_every:
            self.flush()

    def flush(self):
        """Read, check, log and show what has come since the last time. Raises Diverged."""
        if not self.pending:
            return
        begin = time.perf_counter()
        every = [(step, {name: float(value) for name, value in losses.items()}) for step, losses in self.pending]
        self.computing += time.perf_counter() - begin  # a GPU is still at work on the last steps
        for step, losses in every:
            for name, value in losses.items():
                if not math.isfinite(value):
                    raise Diverged(f"step {step}: {name} is {value}; training stopped, the last good checkpoint is "
                                   "kept. Start a new run with a lower learning rate, or with precision=float32")
        step, n = every[-1][0], len(every)
        losses = {name: sum(line[name] for _, line in every) / n for name in every[-1][1]}
        seconds = max(self.waiting + self.computing, 1e-9)
        line = {"step": step, "phase": self.phase.kind, "size": self.phase.stage.size,
                "learning_rate": self.phase.learning_rate(step - 1), **losses,
                "faces_per_s": 2 * self.phase.batch_size * n / seconds,
                "data_s_per_step": self.waiting / n, "compute_s_per_step": self.computing / n}
        self._judge(step, line)
        self._write(line)
        self.pending, self.waiting, self.computing = [], 0.0, 0.0

    def _judge(self, step, line):
        shown = {"faces/s": f"{line['faces_per_s']:.1f}",
                 "data wait": f"{line['data_s_per_step'] / (line['data_s_per_step'] + line['compute_s_per_step']):.0%}"}
        if self.phase.kind == "finish":
            shown |= {name: f"{line[name + '_A'] + line[name + '_B']:.4f}" for name in ("teacher", "spot")}
        else:
            shown["D"] = f"{(line['d_A'] + line['d_B']) / 2:.3f}"
        if self.phase.kind == "train":
            stage = self.phase.stage
            share = shares(line, self.recipe.loss_of(stage))
            line.update({f"share_{term}": value for term, value in share.items()})
            shown |= {term[:3]: f"{line[a] + line[b]:.3f}" for term, a, b in (
                ("adversarial", "adversarial_AB", "adversarial_BA"), ("cycle", "cycle_A", "cycle_B"),
                ("identity", "identity_A", "identity_B"))}
            if step - self.started >= SETTLED:
                keys = {} if stage.lambda_cycle is None else {
                    "cycle": f"stages.{self.recipe.stages.index(stage)}.lambda_cycle"}
                for kind, sentence in advice(share, line, self.recipe.growths(stage.size) + 1, keys):
                    if kind not in self.said:
                        self.said.add(kind)
                        self.say(f"warning, step {step}: {sentence}")
                        line.setdefault("warnings", []).append(sentence)
        self.bar.set_postfix(shown, refresh=False)

    def _write(self, line):
        if not self.chief:
            return
        try:
            with open(self.log_path, "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise UserError(f"{self.log_path} could not be written: {reason(error)}; free space and resume") from error
        if self.board:
            self.board.scalars(line)

    def _forget_after(self, step):
        """On resuming: lines of steps that are about to be computed again go."""
        if not self.log_path.exists():
            return
        kept = [line for line in read_json_lines(self.log_path) if line["step"] <= step]
        with replacing(self.log_path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def picture(self, step, rows):
        """Write the grid of `step` and redraw the curves."""
        sheet = pictures.grid(rows)
        pictures.save(self.samples / f"step{step:08}.png", sheet)
        if self.log_path.exists():
            pictures.save_curves(self.log_path, self.samples / "losses.png")
        if self.board:
            self.board.image(step, sheet)

    def say(self, text):
        if self.chief:
            self.bar.write(text)

    def close(self):
        self.bar.close()


class _Board:
    def __init__(self, folder):
        import tensorflow as tf
        self.summary, self.writer = tf.summary, tf.summary.create_file_writer(os.fspath(folder))

    def scalars(self, line):
        with self.writer.as_default():
            for name, value in line.items():
                if isinstance(value, float):
                    self.summary.scalar(name, value, step=line["step"])

    def image(self, step, picture):
        with self.writer.as_default():
            self.summary.image("faces", picture[None], step=step)


def _tensorboard(folder):
    """Writes for TensorBoard if it is installed: tf.summary.image needs it."""
    import importlib.util
    return _Board(folder) if importlib.util.find_spec("tensorboard") else None
