import json

from conftest import TINY

from ageing.training import card, recipe_check
from ageing.training.runs import Run


def test_the_card_tells_how_long_the_steps_took(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", recipe_check.parse(TINY, "tiny"))
    assert card.hours(run, 9) == "an unknown time"
    lines = [{"step": step, "data_s_per_step": 9.0, "compute_s_per_step": 351.0} for step in (2, 5, 9)]
    run.log.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 12, "d')
    assert card.hours(run, 9) == "0.90 hours"
    assert card.hours(run, 6) == "0.50 hours"
