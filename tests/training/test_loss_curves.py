import json
import subprocess

import numpy as np
import pytest
from conftest import python
from PIL import Image

from ageing.training.loss_curves import COLOURS, STYLES, save_curves


def test_curves_are_drawn_from_a_log_that_is_being_written(tmp_path):
    lines = [{"step": s, "phase": "train", "size": 64 if s < 5 else 128, "d_A": 0.2, "cycle_AB": 0.1, "label_AB": 0.0}
             for s in range(9)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 9, "pha')
    save_curves(tmp_path / "log.jsonl", tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as picture:
        assert np.asarray(picture).std() > 1


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "widget"])
def test_curves_are_drawn_whatever_a_notebook_has_set(tmp_path, backend):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "phase": "train", "size": 64, "d_A": 0.2}\n')
    command, settings = python("-c", "from ageing.training.loss_curves import save_curves\n"
                               "save_curves('log.jsonl', 'losses.png')", cwd=tmp_path, env={"MPLBACKEND": backend})
    done = subprocess.run(command, check=False, capture_output=True, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "losses.png").is_file()


def test_a_small_term_is_seen_beside_a_large_one(tmp_path, monkeypatch):
    """Ten terms on one linear axis: all but the adversarial ones lay on zero."""
    import matplotlib.figure

    drawn = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda figure, *a, **k: drawn.append(figure))
    lines = [{"step": s, "phase": "train", "size": 64, "adversarial_AB": 0.9, "cycle_AB": 0.01, "cycle_BA": 0.01,
              "share_adversarial": 0.98, "share_cycle": 0.02} for s in range(9)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    save_curves(tmp_path / "log.jsonl", tmp_path / "losses.png")
    terms, shares, _ = drawn[0].axes
    assert terms.get_yscale() == "log"
    curves = {line.get_label(): line for line in terms.get_lines() if line.get_label()[0] != "_"}
    low, high = terms.transAxes.inverted().transform(
        [terms.transData.transform((4, curves[name].get_ydata()[4])) for name in ("cycle_AB", "adversarial_AB")])[:, 1]
    assert 0.2 < low < high - 0.2
    assert curves["cycle_AB"].get_color() == curves["cycle_BA"].get_color() == COLOURS["cycle"]
    assert (curves["cycle_AB"].get_linestyle(), curves["cycle_BA"].get_linestyle()) == (STYLES["AB"], STYLES["BA"])
    assert {line.get_label() for line in shares.get_lines()} >= {"adversarial", "cycle"}
