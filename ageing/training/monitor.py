"""Progress and logging of a run: progress bar, log.jsonl, warnings, pictures."""

import itertools
import json
import math
import sys
import time

import numpy as np
from tqdm import tqdm

from ageing import pictures
from ageing.errors import UserError, reason
from ageing.storage import read_json_lines, replacing
from ageing.training.recipe import TERMS

SETTLED = 100     # steps of a phase before advice is given
DOMINATES = 0.8   # share of the generators' loss above which a term is said to dominate
DEAD = 0.01       # below this a discriminator's gradient is uninformative
FINISHING = ("teacher", "spot")
STYLES = {"AB": "-", "BA": "--", "A": "-", "B": "--", "": "-"}  # by the end of a loss' name: its way or its domain
COLOURS = {term: f"C{i}" for i, term in enumerate(("adversarial", *TERMS, *FINISHING, "d"))}  # in all panels
LOWEST = 1e-4  # of the log axis: a smaller term weighs nothing


class Monitor:
    """Collects the losses of each step, and checks and logs them every `log_every` steps.

    Reading a loss waits for the device, so losses stay tensors until then.
    """

    def __init__(self, run, recipe, total, step):
        """run: runs.Run, or None in a process that is not the first and stays silent. step: where training starts."""
        self.run, self.recipe = run, recipe
        self.pending, self.said, self.started = [], set(), None
        self.waiting = self.computing = 0.0
        # In a log file, as of nohup or a job queue, one line per minute is enough.
        self.bar = tqdm(total=total, initial=step, unit="step", dynamic_ncols=True, disable=not self.first,
                        mininterval=0.5 if sys.stderr.isatty() else 60, maxinterval=60)
        if self.first:
            self._drop_lines_after(step)

    @property
    def first(self):
        return self.run is not None

    def change_plan(self, recipe, total):
        """The run goes on with a `recipe` of other lengths, `total` steps together."""
        self.recipe, self.bar.total = recipe, total
        self.bar.refresh()

    def begin(self, phase):
        """A phase begins or continues. Each warning is given once per phase."""
        self.phase, self.said, self.started = phase, set(), None
        self.bar.set_description(phase.title)

    def add(self, step, losses, waiting, computing):
        """losses: {name: scalar tensor} of `step`. waiting, computing: seconds for its data and for itself."""
        self.started = step if self.started is None else self.started
        self.pending.append((step, losses))
        self.waiting += waiting
        self.computing += computing
        self.bar.update()
        if len(self.pending) >= self.recipe.monitor.log_every:
            self.flush()

    def flush(self):
        """Read, check, log and show the losses since the last time. Raises UserError if one is NaN or infinite."""
        if not self.pending:
            return
        begin = time.perf_counter()
        every = [(step, {name: float(value) for name, value in losses.items()}) for step, losses in self.pending]
        self.computing += time.perf_counter() - begin  # a GPU was still computing the last steps
        for step, losses in every:
            for name, value in losses.items():
                if not math.isfinite(value):
                    raise UserError(f"step {step}: {name} is {value}; training stopped, the last good checkpoint is "
                                    "kept. Start a new run with a lower learning rate, or with precision=float32")
        step, n = every[-1][0], len(every)
        losses = {name: sum(line[name] for _, line in every) / n for name in every[-1][1]}
        seconds = max(self.waiting + self.computing, 1e-9)
        line = {"step": step, "phase": self.phase.kind, "size": self.phase.stage.size,
                "learning_rate": self.phase.learning_rate(step - 1), **losses,
                "faces_per_s": 2 * self.phase.batch_size * n / seconds,
                "data_s_per_step": self.waiting / n, "compute_s_per_step": self.computing / n}
        if self.phase.kind == "train":
            self._advise(step, line)
        self.bar.set_postfix(self._shown(line), refresh=False)
        self._write(line)
        self.pending, self.waiting, self.computing = [], 0.0, 0.0

    def _advise(self, step, line):
        """Put the shares of the terms into `line`, and warn of imbalanced losses."""
        stage = self.phase.stage
        share = shares(line, self.recipe.weights(stage))
        line.update({f"share_{term}": value for term, value in share.items()})
        if step - self.started < SETTLED:
            return
        for kind, sentence in advice(share, line, self.recipe.weight_keys(stage), self.recipe.scores(stage.size)):
            if kind not in self.said:
                self.said.add(kind)
                self.say(f"warning, step {step}: {sentence}")
                line.setdefault("warnings", []).append(sentence)

    def _shown(self, line):
        """{name: text} for the progress bar."""
        waiting = line["data_s_per_step"] / max(line["data_s_per_step"] + line["compute_s_per_step"], 1e-9)
        shown = {"faces/s": f"{line['faces_per_s']:.1f}", "data wait": f"{waiting:.0%}"}
        if "d_A" in line:
            shown["D"] = f"{(line['d_A'] + line['d_B']) / 2:.3f}"
        # The sum of both ways of each term that the phase has and the bar has room for.
        return shown | {term[:3]: f"{line[term + '_AB'] + line[term + '_BA']:.3f}"
                        for term in ("adversarial", "cycle", "identity", "teacher", "spot") if f"{term}_AB" in line}

    def _write(self, line):
        if not self.first:
            return
        try:
            with open(self.run.log, "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise UserError(f"{self.run.log} could not be written: {reason(error)}; free space and resume") from error

    def _drop_lines_after(self, step):
        """When a run is resumed: drop the lines of steps that will be computed again."""
        if not self.run.log.exists():
            return
        kept = [line for line in read_json_lines(self.run.log) if line["step"] <= step]
        with replacing(self.run.log) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def grid(self, step, pixels):
        """Write the sample grid of `step`, uint8 RGB, and redraw the loss curves."""
        self.picture(f"step{step:08}", pixels)
        if self.run.log.exists():
            save_curves(self.run.log, self.run.samples / "losses.png")

    def picture(self, name, pixels):
        """Write `pixels`, uint8 RGB, as samples/<run>/<name>.png."""
        pictures.save(self.run.samples / f"{name}.png", pixels)

    def say(self, text):
        if self.first:
            self.bar.write(text)

    def close(self):
        self.bar.close()


def shares(losses, weights):
    """{term: share of the generators' weighted loss}. losses: {name: value}; weights: of Recipe.weights."""
    parts = {term: weight * (losses.get(f"{term}_AB", 0.0) + losses.get(f"{term}_BA", 0.0))
             for term, weight in weights.items()}
    total = sum(parts.values()) or 1.0
    return {term: part / total for term, part in parts.items()}


def advice(share, losses, keys, scores=1):
    """[(kind, sentence)] for everything in `share` and `losses` that a practitioner would act on.

    keys: {term: key of its weight}. scores: how many each discriminator gives. Their losses are added up, so each is
    judged by its part.
    """
    found = []
    for term, key in keys.items():
        if share[term] > DOMINATES:
            found.append((term, f"the {term} term is {share[term]:.0%} of the generators' loss: faces will hardly "
                                f"change; lower {key}"))
    one = share["adversarial"] / scores
    if one > DOMINATES * (one + 1 - share["adversarial"]):
        found.append(("adversarial", f"the adversarial term is {share['adversarial']:.0%} of the generators' loss: "
                                     f"faces may become other people; raise {keys['cycle']}"))
    for name in ("d_A", "d_B"):
        one = losses[name] / scores
        if one < DEAD:
            found.append((name, f"the loss of {name} fell to {one:.4f}: it tells real from translated faces "
                                "perfectly, so its gradient is uninformative; lower adversary.steps, or set "
                                "adversary.augment=true"))
    return found


def save_curves(log_path, path):
    """Draw the losses in the log at `log_path` over steps into the picture `path`. Stages are marked."""
    lines = read_json_lines(log_path)
    if not lines:
        return
    figure, (terms, shares, discriminators) = pictures.panels(3, 16, 5)
    # The terms differ by factors of a hundred: on a linear axis all but the adversarial ones would lie on zero.
    _draw(terms, lines, [f"{term}_{way}" for term in ("adversarial", *TERMS, *FINISHING) for way in ("AB", "BA")])
    terms.set(title="generators: terms, unweighted (log axis)", yscale="log", ylim=(LOWEST, None))
    _draw(shares, lines, [f"share_{term}" for term in ("adversarial", *TERMS)])
    shares.set(title="generators: share of the weighted loss", ylim=(0, 1))
    _draw(discriminators, lines, ["d_A", "d_B"])
    discriminators.set(title="discriminators", ylim=(0, None))
    for panel in (terms, shares, discriminators):
        _mark_stages(panel, lines)
        panel.set_xlabel("step")
        if panel.get_legend_handles_labels()[1]:  # a warm start draws no generator term
            panel.legend(fontsize=8, ncols=2)
    pictures.save_figure(path, figure)


def _draw(panel, lines, names):
    """One smoothed curve for each of `names` that the log holds and that is not zero throughout."""
    for name in names:
        points = [(line["step"], line[name]) for line in lines if name in line]
        if not any(value for _, value in points):
            continue
        steps, values = np.array(points).T
        term, _, end = name.removeprefix("share_").partition("_")
        panel.plot(steps, values, alpha=0.15, color=COLOURS[term])
        panel.plot(steps, _smooth(values), label=name.removeprefix("share_"), color=COLOURS[term],
                   linestyle=STYLES[end])


def _mark_stages(panel, lines):
    for before, after in itertools.pairwise(lines):
        if before["size"] != after["size"]:
            panel.axvline(after["step"], color="grey", linestyle=":")
            panel.text(after["step"], 0.98, f" {after['size']} px", transform=panel.get_xaxis_transform(), va="top")


def _smooth(values, weight=0.9):
    """Exponential moving average, with the bias of its start corrected."""
    out, total, mass = [], 0.0, 0.0
    for value in values:
        total, mass = weight * total + (1 - weight) * value, weight * mass + 1 - weight
        out.append(total / mass)
    return out
