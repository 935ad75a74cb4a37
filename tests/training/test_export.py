import json
import re
import subprocess

from conftest import TINY, python

import models
from ageing.training import export, recipe_file
from ageing.training.runs import Run


def test_the_card_tells_how_long_the_steps_took(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", recipe_file.parse(TINY, "tiny"))
    assert export.hours(run, 9) == "an unknown time"
    lines = [{"step": step, "data_s_per_step": 9.0, "compute_s_per_step": 351.0} for step in (2, 5, 9)]
    run.log.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 12, "d')
    assert export.hours(run, 9) == "0.90 hours"
    assert export.hours(run, 6) == "0.50 hours"


def test_the_card_counts_what_was_trained_on(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", recipe_file.parse(TINY, "tiny"))
    assert "training images: unknown" in export.card(run, 9, 32, 8, {})
    run.store_images({"20s": [3, "abc"], "50s": [4, "def"]})
    assert "training images: 3 20s, 4 50s\n" in export.card(run, 9, 32, 8, {})


def test_the_card_says_how_to_load_a_keras_file(tmp_path):
    """Its two lines work where nothing else of the project is imported."""
    run = Run.create(tmp_path / "runs", "tiny", recipe_file.parse(TINY, "tiny"))
    text = export.card(run, 9, 32, 8, {"g_AB.keras": 0.0})
    lines = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    network = models.build_generator(2, 1, upsampling="resize", output="residual", enhancers=1, name="g_AB")
    network.save(tmp_path / "g_AB.keras")
    command, settings = python("-c", lines + "print(g_AB.count_params())", cwd=tmp_path)
    done = subprocess.run(command, capture_output=True, **settings)
    assert done.stdout.strip() == str(network.count_params()), done.stderr
