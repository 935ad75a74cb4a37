"""benchmarks/gpu.sh, where nothing that it starts can run."""

import os
import subprocess

from conftest import ROOT


def test_it_fails_when_every_part_fails(tmp_path):
    done = subprocess.run([ROOT / "benchmarks/gpu.sh", "1", tmp_path], check=False, capture_output=True, text=True,
                          env={**os.environ, "PYTHON": "false"})
    assert done.returncode == 1
    assert "failed: benchmarks/train_step.py" in (tmp_path / "speed.txt").read_text()
    assert "failed: training" in done.stdout
