"""Whole training runs on a tiny recipe: exact resuming, interruptions, export, bad input."""

import functools
import json
import os
import shutil
import signal
import subprocess
import time
import types
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conftest import EAGER, ROOT, TINY, checkpoint_values, furnish, python, write_recipe
from PIL import Image

import models
import train
from ageing.errors import UserError
from ageing.faces.translator import Translator
from ageing.training import checkpoints, cyclegan, devices, export, loop, recipe_file
from ageing.training.engine import TensorFlow
from ageing.training.recipe import Data
from ageing.training.runs import Run

FIRST, SECOND, LAST = 4, 7, 9  # last steps of 16 px (1 warm + 3), of 32 px (1 warm + 2), of finishing (2)


# The real ones, which fixtures replace.
EXPORT, COMPILE, ENHANCER_BLOCKS = train.export_in_own_process, TensorFlow.compile, models.ENHANCER_BLOCKS
WHOLE = ["monitor.sample_every=3", "monitor.save_every=2"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, drawn, eager):
    """The folder of an uninterrupted run."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        furnish(place, patch, drawn)
        assert train.main(["--config", "tiny.yaml", *WHOLE]) == 0
    return place / "runs/00001-tiny"


def copy_run(whole, workplace, newest):
    """A copy of the run, as it was when `newest` was its newest checkpoint."""
    run = Path(shutil.copytree(whole, workplace / "runs" / whole.name))
    for step in Run.open(run).steps():
        if step > newest:
            Run.open(run).checkpoint(step).unlink()
    return run


def assert_equal_state(run, other, step=LAST):
    mine, theirs = checkpoint_values(run, step), checkpoint_values(other, step)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        assert np.array_equal(value, theirs[name]), name
    assert mine["pool_A/000"].dtype == np.uint8  # 8-bit pixels, and not empty
    assert mine["pool_A/000"].any()


def test_run_leaves_grids_curves_log_and_checkpoints(whole):
    samples = whole.parent.parent / "samples" / whole.name
    made = {p.name for p in samples.iterdir()}
    assert {"step00000000.png", "step00000003.png", "step00000009.png", "losses.png"} <= made
    assert {"batch_16px.png", "batch_32px.png"} <= made
    with Image.open(samples / "step00000009.png") as grid:
        assert grid.height == 8 * (96 + 2)  # eight rows, 32 px shown at 96
    lines = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, LAST + 1))
    trained = lines[SECOND - 1]
    terms = ("adversarial", "cycle", "identity", "consistency", "colour", "label")
    assert sum(trained[f"share_{term}"] for term in terms) == pytest.approx(1)
    assert {"d_A", "d_B", "adversarial_AB", "cycle_AB", "identity_BA", "faces_per_s"} <= trained.keys()
    assert trained["data_s_per_step"] >= 0
    assert (lines[-1]["phase"], lines[-1]["learning_rate"]) == ("finish", pytest.approx(1e-4))
    assert {"teacher_AB", "teacher_BA", "spot_AB", "spot_BA"} <= lines[-1].keys()
    assert Run.open(whole).newest_step() == LAST
    again = recipe_file.load(whole.parent.parent / "tiny.yaml", [*WHOLE])
    assert recipe_file.load(whole / "recipe.yaml") == again


def test_finishing_trains_the_averages_only(whole):
    before, after = checkpoint_values(whole, SECOND), checkpoint_values(whole, LAST)
    moved = {name.split("/")[0] for name in after  # optimizer/001: the learning rate, which every step sets
             if not name.endswith("optimizer/001") and not np.array_equal(before.get(name), after[name])}
    assert {"finish_optimizer", "ema_AB", "ema_BA"} <= moved
    assert not moved & {"d_A", "d_B", "classifier", "d_optimizer", "pool_A", "pool_B"}


@pytest.mark.slow
def test_another_seed_gives_other_weights(whole, workplace):
    """That one seed gives one result is part of the next test."""
    short = ["stages.0.steps=0", "stages.1.steps=0", "stages.1.warm_start_steps=0", "finish.steps=0"]
    assert train.main(["--config", "tiny.yaml", "seed=2", *short]) == 0
    mine, theirs = (checkpoint_values(run, 1) for run in (workplace / "runs/00001-tiny", whole))
    assert sum(not np.array_equal(mine[name], theirs[name]) for name in mine) > len(mine) / 4


@pytest.mark.slow
def test_killed_resumed_and_lengthened_is_the_uninterrupted_run_to_the_bit(whole, workplace, monkeypatch, capsys):
    """Killed while it writes a checkpoint, then stopped by Ctrl-C while it computes a step within a stage and the last
    step of a stage, then run to its end and lengthened."""
    class Killed(BaseException):
        pass

    def killed(run, gan, *arguments):
        if gan.step == FIRST:
            (run.checkpoints / ".writing-abc.npz").write_bytes(b"half")
            raise Killed
        save(run, gan, *arguments)

    save, compute = checkpoints.save, cyclegan.CycleGAN.compute
    monkeypatch.setattr(checkpoints, "save", killed)
    with pytest.raises(Killed):
        train.main(["--config", "tiny.yaml", "stages.1.steps=1", "finish.steps=0"])
    monkeypatch.setattr(checkpoints, "save", save)
    run = workplace / "runs/00001-tiny"
    assert Run.open(run).newest_step() == 1  # what was cut off does not count

    def interrupted(self, kind, batch):
        if self.step + 1 == last:
            os.kill(os.getpid(), signal.SIGINT)
        return compute(self, kind, batch)

    monkeypatch.setattr(cyclegan.CycleGAN, "compute", interrupted)
    for last in (3, FIRST):
        assert train.main(["--resume", str(run)]) == 128 + signal.SIGINT
        assert Run.open(run).newest_step() == last
    monkeypatch.setattr(cyclegan.CycleGAN, "compute", compute)
    assert train.main(["--resume", str(run)]) == 0
    assert Run.open(run).newest_step() == SECOND - 1
    (run / "export").mkdir()  # as the export makes it at the end
    assert train.main(["--resume", str(run), "stages.1.steps=2", "finish.steps=2"]) == 0
    assert "32px now takes 2 steps instead of 1; its learning rate follows the new length" in capsys.readouterr().out
    assert_equal_state(run, whole)
    assert recipe_file.load(run / "recipe-before-6.yaml").finish.steps == 0
    assert (run / "export-before-6").is_dir()
    assert not (run / "export").exists()  # a new one is made
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))


def test_resuming_within_finishing_is_exact_and_a_finished_run_has_nothing_to_do(whole, workplace):
    run = copy_run(whole, workplace, LAST - 1)
    assert train.main(["--resume", str(run)]) == 0
    assert_equal_state(run, whole)
    before = {p: p.stat().st_mtime_ns for p in (run / "checkpoints").iterdir()}
    assert train.main(["--resume", str(run)]) == 0
    assert {p: p.stat().st_mtime_ns for p in (run / "checkpoints").iterdir()} == before


def test_sigterm_saves_and_exits_cleanly(workplace):
    arguments = ["--config", "tiny.yaml", "stages.0.warm_start_steps=1000", "monitor.save_every=1"]
    command, settings = python("-c", EAGER + "sys.exit(train.main(sys.argv[1:]))", *arguments, cwd=workplace)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **settings)
    end = time.monotonic() + 200
    while not (workplace / "runs/00001-tiny/checkpoints/step00000002.npz").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 128 + signal.SIGTERM, out
    assert "stopped by SIGTERM at step" in out
    assert "train.py --resume runs/00001-tiny" in out
    assert "Traceback" not in out
    assert Run.open(workplace / "runs/00001-tiny").newest_step() >= 2


def test_exports_compute_what_the_averages_compute(whole, tmp_path):
    folder = tmp_path / "export"
    export.export(Run.open(whole), folder)
    assert {p.name for p in folder.iterdir()} == {"g_AB.onnx", "g_BA.onnx", "g_AB.keras", "g_BA.keras", "card.md"}
    run = Run.open(whole)
    gan = cyclegan.CycleGAN(run.recipe, run.recipe.stages[-1])
    checkpoints.restore(run, gan, LAST)
    photo = np.random.default_rng(1).uniform(-1, 1, (2, 48, 40, 3)).astype(np.float32)
    for name, network in (("g_AB", gan.ema_AB), ("g_BA", gan.ema_BA)):
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"))
        np.testing.assert_allclose(session.run(None, {"image": photo})[0], network(photo), atol=1e-4)
    card = (folder / "card.md").read_text()
    assert f"step: {LAST}, after 0.0" in card
    assert "H and W multiples of 8; trained at 32 px" in card
    with pytest.raises(UserError, match=r"holds g_AB\.onnx already"):
        export.export(run, folder)


def test_any_checkpoint_is_exported_on_demand(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(whole.parent.parent)
    written = {}
    for ending in ("onnx", "keras"):  # the test above writes real files
        monkeypatch.setattr(export, f"_write_{ending}", lambda network, path, told: (
            path.write_text(""), written.setdefault(path.name, told)))
        monkeypatch.setattr(export, f"_read_{ending}", lambda path: lambda images: np.clip(images, -0.98, 0.98))
    early = tmp_path / "early"
    assert train.main(["--export", str(whole), "--checkpoint", "1", "-o", str(early)]) == 0
    card = (early / "card.md").read_text()
    assert "step: 1" in card
    assert "H and W multiples of 4; trained at 16 px" in card
    assert "40 20s, 40 50s" in card
    assert written["g_AB.onnx"] == {"size": "16", "multiple": "4", "makes": "50s", "run": whole.name, "step": "1"}
    with pytest.raises(UserError, match=r"no checkpoint of step 99; there are: 1, 2"):
        train.main(["--export", str(whole), "--checkpoint", "99", "-o", "other"])


@pytest.mark.parametrize(("domain_B", "made"), [
    ("40s", "40s"), (("40s", "60s"), "50s"), (("60s", "70s"), "60s"), (("30s", "40s"), "40s")])
def test_an_export_is_called_by_the_domain_that_it_makes_if_no_age_is_asked(domain_B, made):
    assert export.usual(Data(domain_B=domain_B)) == made


@pytest.mark.parametrize(("fault", "words"), [
    (OSError(28, "No space left on device"), "could not be written: No space"),
    (RuntimeError("unknown"), "exporting failed .RuntimeError: unknown")], ids=repr)
def test_an_export_that_fails_leaves_nothing(whole, tmp_path, monkeypatch, fault, words):
    def write(network, path, told):
        path.write_bytes(b"onnx")
        raise fault

    monkeypatch.setattr(export, "_write_onnx", write)
    with pytest.raises(UserError, match=words):
        train.main(["--export", str(whole), "-o", str(tmp_path / "export")])
    assert list((tmp_path / "export").iterdir()) == []


@pytest.mark.slow
def test_onnx_files_of_a_run_without_tensorflow_are_made_from_its_keras_files(whole, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(export, "writes_onnx", lambda: False)
        assert train.main(["--export", str(whole), "-o", str(tmp_path)]) == 0
        assert f"copy {tmp_path}/ there, then: python train.py --export {tmp_path}\n" in capsys.readouterr().out
        assert {path.name for path in tmp_path.iterdir()} == {"g_AB.keras", "g_BA.keras", "metadata.json", "card.md"}
        with pytest.raises(UserError, match="holds .keras files; ONNX files are written where TensorFlow is installed"):
            train.main(["--export", str(tmp_path)])
    assert train.main(["--export", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"g_AB.keras", "g_BA.keras", "card.md", "g_AB.onnx",
                                                          "g_BA.onnx"}
    card = (tmp_path / "card.md").read_text()
    assert all(f"| {name}.{kind} |" in card for name in ("g_AB", "g_BA") for kind in ("keras", "onnx"))
    for name, makes in (("g_AB", "50s"), ("g_BA", "20s")):
        translator = Translator(tmp_path / f"{name}.onnx")
        assert (translator.size, translator.multiple, translator.title) == (32, 8, makes)
    with pytest.raises(UserError, match="not a run folder"):  # nothing is left to do
        train.main(["--export", str(tmp_path)])


def test_damaged_keras_files_are_one_line(tmp_path):
    for name in ("metadata.json", "card.md"):
        (tmp_path / name).write_text('{"g_AB": {}}')
    (tmp_path / "g_AB.keras").write_bytes(b"half")
    with pytest.raises(UserError, match=r".keras files cannot be read .*export the run again where it was trained"):
        train.main(["--export", str(tmp_path)])


def test_a_finished_run_is_exported_by_tensorflow_on_the_cpu_in_a_process_of_its_own(whole, monkeypatch):
    asked, code = [], 0
    monkeypatch.setattr(train.subprocess, "run", lambda command, env, check: (
        asked.append((command, env)), types.SimpleNamespace(returncode=code))[1])
    for name, value in (("JAX_COORDINATOR_ADDRESS", "a:1"), ("KERAS_BACKEND", "jax"), ("CUDA_VISIBLE_DEVICES", "0")):
        monkeypatch.setenv(name, value)
    EXPORT(Run.open(whole))
    (command, environment), = asked
    assert command[1:] == [str(ROOT / "train.py"), "--export", str(whole), "--output", str(whole / "export")]
    assert train.parse_arguments(command[2:])
    assert "JAX_COORDINATOR_ADDRESS" not in environment
    assert environment["KERAS_BACKEND"] == "tensorflow"
    code = 1
    with pytest.raises(UserError, match=rf"is trained and saved, but its export failed; .*train.py --export {whole}$"):
        EXPORT(Run.open(whole))


def test_divergence_stops_the_run_and_keeps_the_last_good_state(workplace, monkeypatch):
    sound = cyclegan.least_squares
    calls = []

    def overflowing(scores, target):
        calls.append(target)
        return sound(scores, target) * (1.0 if len(calls) <= 8 else float("inf"))  # 4 calls a step

    monkeypatch.setattr(cyclegan, "least_squares", overflowing)
    with pytest.raises(UserError, match=r"step 3: \w+ is (nan|inf); training stopped, the last good"):
        train.main(["--config", "tiny.yaml", "stages.0.warm_start_steps=9", "monitor.save_every=1"])
    run = Run.open("runs/00001-tiny")
    assert run.newest_step() == 2
    values = checkpoint_values(run.folder, 2)
    assert all(np.isfinite(v).all() for v in values.values() if v.dtype.kind == "f")


def test_dry_run_writes_nothing(workplace, capsys, monkeypatch):
    """And JAX reserves no memory of a GPU for it."""
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    before = sorted(workplace.rglob("*"))
    assert train.main(["--config", "tiny.yaml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert "g_AB: " in out
    assert "classifier: " in out
    assert "device: TensorFlow on CPU (" in out
    assert "16px warm start: steps 0 to 1" in out
    assert "32px: steps 5 to 7, 2 pairs each" in out
    assert train.main(["--config", str(ROOT / "configs/smoke.yaml"), "--dry-run", "generator.filters=2",
                       "discriminator.filters=2"]) == 0
    out = capsys.readouterr().out
    assert "20s 400, 50s 400, 70s 400 images" in out
    assert "g_AB is told the age: 55 to 75 years" in out
    assert sorted(workplace.rglob("*")) == before


@pytest.mark.slow
def test_another_recipe_starts_from_the_networks_of_a_run(whole, workplace, capsys):
    arguments = ["--config", "tiny.yaml", f"start_from={whole}", "loss.lambda_cycle=9", "stages.0.steps=0",
                 "stages.1.steps=0", "stages.1.warm_start_steps=0", "finish.steps=0"]
    assert train.main([*arguments, "--dry-run"]) == 0
    # Its newest step whose networks have not grown, because a recipe's first stage has none that have
    assert f"starts from: {whole}, step {FIRST}" in capsys.readouterr().out
    assert train.main(arguments) == 0
    mine, theirs = checkpoint_values(workplace / "runs/00001-tiny", 1), checkpoint_values(whole, FIRST)
    for name in theirs:
        if name.startswith(("g_AB", "g_BA", "ema_AB", "ema_BA")):  # a warm start moves only the discriminators
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
    assert str(whole) in (workplace / "runs/00001-tiny/recipe.yaml").read_text()
    with pytest.raises(UserError, match="00002-none: not a run folder"):
        train.main(["--config", "tiny.yaml", "start_from=runs/00002-none"])
    with pytest.raises(UserError, match=rf"networks are not those of {whole}.*take over .* from {whole}/recipe.yaml"):
        train.main([*arguments, "generator.filters=4"])


def test_a_run_of_another_folder_writes_its_grids_beside_itself(whole, workplace, monkeypatch):
    """Nothing depends on the working folder but the data path, which the recipe names."""
    monkeypatch.chdir(workplace)
    assert Run.open(whole).samples == whole.parent.parent / "samples" / whole.name
    assert recipe_file.load("configs/cpu.yaml") == recipe_file.load(ROOT / "configs/cpu.yaml")


def bad_faces(place, what):
    (place / "faces").unlink()
    folders = [place / "faces/train" / d for d in ("20s", "50s")]
    if what == "missing":
        return
    for folder in folders[:1] if what == "one domain" else folders:
        folder.mkdir(parents=True)
    if what != "empty":
        for folder in folders[:1]:
            Image.new("RGB", (32, 32)).save(folder / "25_0_0_x.png")
    if what == "broken":
        (folders[1] / "55_0_0_x.png").write_text("no picture")


@pytest.mark.parametrize(("what", "named"), [("missing", "faces/train/20s: no such folder"),
                                             ("empty", "faces/train/20s: no images"),
                                             ("one domain", "faces/train/50s: no such folder"),
                                             ("broken", "none of its 1 images could be read")])
def test_bad_data_folders_are_named(workplace, monkeypatch, what, named):
    monkeypatch.setattr(loop, "CycleGAN", lambda recipe, stage, precision: types.SimpleNamespace(stage=stage))
    bad_faces(workplace, what)
    with pytest.raises(UserError, match=named):
        train.main(["--config", "tiny.yaml"])


def test_resuming_says_what_changed_since(whole, workplace, capsys):
    """Images added or removed, a recipe.yaml that was shortened, or is another one, or empty."""
    run = copy_run(whole, workplace, LAST)
    (workplace / "faces").unlink()
    shutil.copytree(Path(whole.parent.parent / "faces"), workplace / "faces")
    added = workplace / "faces/train/20s/25_0_0_more.png"
    added.write_bytes(b"")
    with pytest.raises(UserError, match=r"images in faces/train changed .*\(20s: 40 before, 41 now\); restore them"):
        train.main(["--resume", str(run)])
    added.unlink()
    for path in sorted((workplace / "faces/train/50s").iterdir())[:39]:
        path.unlink()
    with pytest.raises(UserError, match=r"50s: 40 before, 1 now"):
        train.main(["--resume", str(run)])
    recipe = run / "recipe.yaml"
    for tree, words in ((TINY | {"stages": TINY["stages"][:1]}, r"another recipe .*stages.1.size: missing, was 32"),
                        (TINY | {"seed": 5}, "another recipe .*seed: 5, was 1"),
                        ({}, r"recipe.yaml: stages is missing"),
                        (None, r"recipe.yaml: a recipe is a mapping")):
        write_recipe(recipe, tree)
        with pytest.raises(UserError, match=words):
            train.main(["--resume", str(run)])
    assert "done" not in capsys.readouterr().out


def test_a_run_that_is_being_trained_is_not_resumed(whole, workplace):
    run = copy_run(whole, workplace, LAST)
    with Run.open(run).locked(), pytest.raises(UserError, match="another process is training this run"):
        train.main(["--resume", str(run), "finish.steps=9"])
    assert not list(run.glob("recipe-before*"))


def test_a_photo_that_is_added_while_a_run_trains_stops_it_before_the_next_stage(workplace, drawn, monkeypatch):
    (workplace / "faces").unlink()
    shutil.copytree(drawn, workplace / "faces")
    added, compute = workplace / "faces/train/20s/25_0_0_added.png", cyclegan.CycleGAN.compute

    def adding(self, kind, batch):
        shutil.copy(next((workplace / "faces/train/20s").glob("25_*")), added)
        return compute(self, kind, batch)

    short = ["stages.0.steps=0", "stages.1.steps=0", "finish.steps=0"]
    monkeypatch.setattr(cyclegan.CycleGAN, "compute", adding)
    with pytest.raises(UserError, match="faces/train changed .*20s: 40 before, 41 now.*restore them to resume"):
        train.main(["--config", "tiny.yaml", *short])
    assert Run.open("runs/00001-tiny").newest_step() == 1  # nothing is lost


class Listener:
    """In place of a Monitor."""

    first = False

    def say(self, text):
        self.text = text


def test_broken_images_among_good_ones_are_counted_never_fatal(workplace, drawn):
    (workplace / "faces").unlink()
    shutil.copytree(drawn, workplace / "faces")
    (workplace / "faces/train/20s/25_0_0_broken.png").write_text("no picture")
    (workplace / "faces/validation/20s/25_0_0_broken.png").write_text("no picture")
    Image.new("RGB", (4, 4)).save(workplace / "faces/train/50s/55_0_0_tiny.png")
    recipe, listener = recipe_file.load("tiny.yaml"), Listener()
    loop.load_faces(recipe, types.SimpleNamespace(stage=recipe.stages[0]), listener)
    assert "20s: 40 faces, skipped 1 unreadable" in listener.text
    assert "50s: 40 faces, skipped 1 tiny" in listener.text


def test_labels_are_asked_of_file_names_that_have_none(workplace):
    (workplace / "faces").unlink()
    for domain in ("20s", "50s"):
        (workplace / "faces/train" / domain).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(workplace / "faces/train" / domain / "someone.png")
    recipe = recipe_file.load("tiny.yaml", ["data.sampling=independent"])
    with pytest.raises(UserError, match="faces/train: the file names contain no gender and race"):
        loop.load_faces(recipe, types.SimpleNamespace(stage=recipe.stages[0]), Listener())


@pytest.mark.parametrize(("arguments", "words"), [
    (["--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    (["--config", "tiny.yaml", "loss.lambda=1"], "unknown key loss.lambda"),
    (["--config", "tiny.yaml", "stages.0.size=20"], "multiple of 16"),
    (["--resume", "runs/00009-none"], "not a run folder"),
    (["--export", "faces"], "not a run folder"),
    (["--config", "tiny.yaml", "--runs", "tiny.yaml/runs"], "no run folder can be made"),
])
def test_bad_commands_are_named(workplace, arguments, words):
    with pytest.raises(UserError, match=words):
        train.main(arguments)


@pytest.mark.parametrize("arguments", [
    ["--resume", "run", "--config", "x.yaml"], ["--resume", "run", "seed=2"], ["--export", "run", "--config", "x.yaml"],
    ["--export", "run", "seed=2"], ["--export", "run", "--resume", "run"], ["--export", "run", "--dry-run"],
    ["-o", "folder"], ["--checkpoint", "5"], ["--runs", "x", "--resume", "run"]], ids=" ".join)
def test_options_that_would_be_ignored_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        train.parse_arguments(arguments)
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert "error:" in err
    if "--resume" in arguments and "seed=2" in arguments:
        assert "seed=2 cannot change, only stages.N.epochs, stages.N.steps, finish.steps" in err


def test_an_error_is_one_line_and_no_traceback(workplace):
    command, settings = python(ROOT / "train.py", "--config", "tiny.yaml", "seed=no", cwd=workplace)
    done = subprocess.run(command, capture_output=True, **settings)
    assert done.returncode == 1
    assert done.stderr.strip() == "error: command line: seed must be a whole number, not False"


def test_an_unused_gpu_is_said_in_the_first_line(workplace, monkeypatch, capfd):
    monkeypatch.setattr(devices, "has_nvidia_card", lambda: True)
    with pytest.raises(UserError, match="no such folder"):
        train.main(["--config", "tiny.yaml", "data.path=nowhere"])
    first = next(line for line in capfd.readouterr().err.splitlines() if line.startswith("WARNING"))
    assert "NVIDIA card, but tensorflow sees no GPU" in first
    assert "pip install -r requirements-gpu.txt" in first


@pytest.mark.slow
def test_training_learns(tmp_path, monkeypatch):
    """The smoke recipe, with one step of its second size: nearer to the true faces of both ages than the identity."""
    from ageing import drawn_faces
    from ageing.training import sample_grids

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(TensorFlow, "compile", COMPILE)  # as it is without the fixture `eager`, which stays for good
    monkeypatch.setattr(models, "ENHANCER_BLOCKS", ENHANCER_BLOCKS)
    kept = []
    monkeypatch.setattr(sample_grids, "true_error", lambda recipe, gan: kept.append(gan) or [])
    assert train.main(["--config", str(ROOT / "configs/smoke.yaml"), "stages.1.steps=1", "stages.1.warm_start_steps=0",
                       "stages.0.steps=200"]) == 0
    assert {path.name for path in (tmp_path / "runs/00001-smoke/export").iterdir()} >= {"g_AB.onnx", "card.md"}
    made = {}
    for domain in ("50s", "70s"):
        made[domain], old = drawn_faces.true_pairs("data/drawn", "20s", domain, kept[0].stage.size)
        for title, ratio, _, _ in sample_grids.true_errors(kept[0], made[domain], old, "20s", domain):
            assert ratio < 0.9, title
    # The exported file is told an age, and makes what the network makes.
    told = Translator(tmp_path / "runs/00001-smoke/export/g_AB.onnx", mirror=False)
    assert (told.title, told.ages, told.age) == ("50s", (55, 75), 55)
    found = {age: told.told(age)(made["50s"]) for age in (55, 65, 75)}
    for age, faces in found.items():
        expected = sample_grids.translate(functools.partial(kept[0].age, age=age), made["50s"])
        assert np.abs(expected - 1.0 * faces).max() <= 5   # the network may compute in bfloat16
    assert np.abs(found[55] - 1.0 * found[75]).mean() > 1


def test_tiny_recipe_is_as_the_tests_think(tiny):
    assert tiny == TINY
    steps = [stage["steps"] + stage["warm_start_steps"] for stage in tiny["stages"]]
    assert (steps[0], sum(steps), sum(steps) + tiny["finish"]["steps"]) == (FIRST, SECOND, LAST)
