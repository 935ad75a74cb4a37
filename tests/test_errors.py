import subprocess

import pytest
from conftest import python

from ageing.errors import UserError, run_script


def stumble(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize(("main", "code", "said"), [
    (lambda: 3, 3, ""), (stumble(UserError("two\n  lines")), 1, "error: two lines\n"),
    (stumble(KeyboardInterrupt()), 130, "interrupted\n"),
    (stumble(ModuleNotFoundError(name="yaml")), 1,
     "error: the package yaml is missing; install it with: pip install -r requirements-x.txt\n")])
def test_a_script_ends_with_its_code_and_one_line(capfd, monkeypatch, main, code, said):
    for descriptor, name in ((1, "stdout"), (2, "stderr")):  # not pytest's own streams: these close what they wrap
        monkeypatch.setattr(f"sys.{name}", open(descriptor, "w", buffering=1, closefd=False))  # noqa: SIM115
    with pytest.raises(SystemExit) as stop:
        run_script(main, "requirements-x.txt")
    assert stop.value.code == code
    assert capfd.readouterr().err == said


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_a_script_without_a_console_does_its_work(tmp_path, closed):
    """What it prints is lost, and not written into the file that it opens next."""
    code = ("import sys; from ageing.errors import run_script\ndef main():\n    with open('made', 'w') as made:\n"
            "        print('lost', flush=True); print('lost', file=sys.stderr, flush=True); made.write('work')\n"
            "    return 3\nrun_script(main, 'x')")
    command, settings = python("-c", code, cwd=tmp_path)
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *command], check=False, capture_output=True, **settings)
    assert done.returncode == 3
    assert (tmp_path / "made").read_text() == "work"


def test_a_script_runs_in_a_notebook_whose_streams_are_no_files(monkeypatch):
    class Cell:
        def __init__(self):
            self.text = ""

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    monkeypatch.setattr("sys.stdout", Cell())
    monkeypatch.setattr("sys.stderr", cell := Cell())
    with pytest.raises(SystemExit) as stop:
        run_script(stumble(UserError("no")), "x")
    assert (stop.value.code, cell.text) == (1, "error: no\n")
