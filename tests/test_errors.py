import pytest

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
