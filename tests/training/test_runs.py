import pytest
from conftest import TINY

from ageing.errors import UserError
from ageing.training import recipe_check
from ageing.training.runs import Run


def test_runs_are_numbered(tmp_path):
    recipe = recipe_check.parse(TINY, "tiny")
    names = [Run.create(tmp_path, "tiny", recipe).name for _ in range(2)]
    assert names == ["00001-tiny", "00002-tiny"]
    assert Run.open(tmp_path / "00001-tiny").recipe == recipe
    with pytest.raises(UserError, match=r"not a run folder.*00001-tiny"):
        Run.open(tmp_path / "00003-tiny")
