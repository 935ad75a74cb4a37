"""The card of exported generators: what they are, what they were trained on, with which recipe."""

import datetime

from ageing.storage import read_json_lines
from ageing.training import recipe_file

CHECKS = "| file | difference |\n|---|---|\n"


def text(run, step, size, multiple, errors):
    """Markdown. size: pixels of the stage. H and W must be multiples of `multiple`. errors: {file: difference}."""
    recipe = run.recipe
    data = recipe.data
    origin = ("drawn faces (ageing/drawn_faces.py), no photo of anyone" if data.source == "drawn" else
              f"{data.path}. UTKFace allows non-commercial research only; weights trained on it inherit that")
    return f"""# {run.name}

`g_AB` ages (A = {data.domain_A} -> B = {data.domain_B}), `g_BA` rejuvenates. Input and output: RGB, float32 in [-1, 1],
(N, H, W, 3), H and W multiples of {multiple}; trained at {size} px.

- date: {datetime.date.today().isoformat()}
- step: {step}, after {hours(run, step)} of training; moving average of the generators ({recipe.optimizer.ema_decay})
- training images: {_counts(run)}
- data: {origin}

Largest difference to the network after writing and reading back, on a scale of -1 to 1:

{CHECKS}{_rows(errors)}

## Use

The .onnx files need nothing of this project. The .keras files need its layers: put the project's folder on the Python
path, and import `models` before you load one.

```python
import keras, models
g_AB = keras.models.load_model("g_AB.keras", compile=False)
```

## Recipe

```yaml
{recipe_file.dump(recipe)}```
"""


def with_checks(card, errors):
    """The text of a card with more files in its table. errors: {file: difference}."""
    return card.replace(CHECKS, f"{CHECKS}{_rows(errors)}\n")


def _rows(errors):
    return "\n".join(f"| {name} | {error:.1e} |" for name, error in errors.items())


def hours(run, step):
    """How long the steps up to `step` took, according to the run's log."""
    seconds, before = 0.0, 0
    if not run.log.exists():
        return "an unknown time"
    for line in read_json_lines(run.log):
        if line["step"] <= step:
            seconds += (line["step"] - before) * (line["data_s_per_step"] + line["compute_s_per_step"])
            before = line["step"]
    return f"{seconds / 3600:.2f} hours"


def _counts(run):
    """Of the images that it was trained on: the folder may hold others by now."""
    data, images = run.recipe.data, run.images()
    if images is None:
        return "unknown"
    less = "; less those with a mark on the forehead" if data.forehead_marks == "skip" else ""
    return ", ".join(f"{images[domain][0]} {domain}" for domain in (data.domain_A, data.domain_B)) + less
