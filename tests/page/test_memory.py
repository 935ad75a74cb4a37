"""The memory that the server takes does not grow with the number of visitors, photos and hostile files. Slow."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ROOT
from page_server import Visitor, sentence, started
from PIL import Image
from test_server import broken_files

VISITORS = 6
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")]


def peak(pid):
    """Most memory that a process ever had, in MiB."""
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) / 1024


def test_memory_is_bounded(tmp_path):
    Image.open(ROOT / "samples/grace-hopper.jpg").resize((4096, 4800)).save(tmp_path / "large.jpg", quality=90)
    data = (tmp_path / "large.jpg").read_bytes()    # 20 megapixels

    def visit(visitor):
        assert visitor.open("large.jpg", data).status == 200
        for name, broken in broken_files().items():
            assert sentence(visitor.open(name, broken))
        assert visitor.open("large.jpg", data).status == 200
        assert visitor.edited(0.5, [0]).status == 200

    with started() as (server, port, _), ThreadPoolExecutor(VISITORS) as crowd:
        visit(Visitor(port))
        alone = peak(server.pid)
        list(crowd.map(visit, [Visitor(port) for _ in range(VISITORS)]))
        together = peak(server.pid)
    print(f"peak with one visitor {alone:.0f} MiB, with {VISITORS} at once {together:.0f} MiB")
    assert together < 1.4 * alone
