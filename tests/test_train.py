"""Whole training runs on a tiny recipe: exact resuming, interruptions, export, bad input."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conftest import ROOT, TINY, checkpoint_values, python, write_recipe
from PIL import Image

import recipe as recipes
import runs
import train
from files import UserError

LAST = 10  # 2 warm + 4 steps at 16 px, 1 warm + 3 at 32 px


@pytest.fixture(scope="module")
def whole(tmp_path_factory, drawn):
    """The folder of an uninterrupted run."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (place / "faces").symlink_to(drawn)
        write_recipe(place / "tiny.yaml")
        assert train.main(["--config", "tiny.yaml"]) == 0
    return place / "runs/00001-tiny"


def start(place, *arguments):
    """Train in a process of its own."""
    command, settings = python(ROOT / "train.py", *arguments, cwd=place)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **settings)


def finish(process):
    out, _ = process.communicate(timeout=300)
    assert "Traceback" not in out, out
    return out


def wait_for(condition, process, seconds=200):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.005)


def assert_equal_state(run, other, step=LAST):
    mine, theirs = checkpoint_values(run, step), checkpoint_values(other, step)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        assert np.array_equal(value, theirs[name]), name


def test_run_leaves_grids_curves_log_and_checkpoints(whole):
    samples = whole.parent.parent / "samples" / whole.name
    made = {p.name for p in samples.iterdir()}
    assert {"step00000000.png", "step00000005.png", "step00000010.png", "losses.png"} <= made
    with Image.open(samples / "step00000010.png") as grid:
        assert grid.height == 8 * (96 + 2)  # eight rows, 32 px shown at 96
    lines = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["step"] in (2, 6, 7, 10)] == [2, 6, 7, 10]
    last = lines[-1]
    terms = ("adversarial", "cycle", "identity", "consistency", "colour", "label")
    assert sum(last[f"share_{term}"] for term in terms) == pytest.approx(1)
    assert {"d_A", "d_B", "adversarial_AB", "cycle_A", "identity_B", "faces_per_s", "data_s_per_step"} <= last.keys()
    assert runs.Run.open(whole).steps()[-1] == LAST
    assert recipes.load(whole / "recipe.yaml") == recipes.load(whole.parent.parent / "tiny.yaml")
    assert list((whole / "tensorboard").iterdir())


def test_another_seed_gives_other_weights(whole, workplace):
    """That the same seed gives the same ones is part of the test of a killed and resumed run."""
    assert train.main(["--config", "tiny.yaml", "seed=2", "stages.1.steps=0", "stages.1.warm_start_steps=0"]) == 0
    mine, theirs = (checkpoint_values(run, 6) for run in (whole, workplace / "runs/00001-tiny"))
    assert sum(not np.array_equal(mine[name], theirs[name]) for name in mine) > len(mine) / 2


@pytest.mark.slow
def test_killed_and_resumed_is_the_uninterrupted_run_to_the_bit(whole, workplace):
    write_recipe(workplace / "tiny.yaml", TINY | {"monitor": TINY["monitor"] | {"save_every": 1}})
    run, arguments = workplace / "runs/00001-tiny", ("--config", "tiny.yaml")
    for step in (3, 6):  # in the first stage; at its end, or later
        process = start(workplace, *arguments)
        wait_for((run / f"checkpoints/step{step:08}").is_dir, process)
        process.kill()
        process.communicate()
        assert step <= runs.Run.open(run).newest_step() < LAST
        arguments = ("--resume", run)
    assert train.main(["--resume", str(run)]) == 0
    mine, theirs = checkpoint_values(run, LAST), checkpoint_values(whole, LAST)
    for name, value in theirs.items():
        if not name.startswith("recipe"):  # save_every differs
            assert np.array_equal(value, mine[name]), name
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))


@pytest.mark.slow
def test_signals_save_and_exit_cleanly(whole, workplace):
    folder, arguments = workplace / "runs/00001-tiny", ("--config", "tiny.yaml")
    before = 0
    for which in (signal.SIGTERM, signal.SIGINT):
        process = start(workplace, *arguments)
        wait_for(lambda: trained_to(folder) > before, process)  # noqa: B023
        process.send_signal(which)
        out = finish(process)
        assert process.returncode == 128 + which, out
        run = runs.Run.open(folder)
        assert "train.py --resume " in out
        assert run.newest_step() > before
        before, arguments = run.newest_step(), ("--resume", folder)
    assert before < LAST
    assert_equal_state(folder, whole, before - before % 2)  # `whole` has a checkpoint of every second step


def trained_to(folder):
    """The last step in the log of a run, 0 if there is none."""
    lines = (folder / "log.jsonl").read_text().splitlines() if (folder / "log.jsonl").exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def test_a_save_that_was_cut_off_does_not_count(whole, workplace):
    run = copy_run(whole, workplace)
    (run / "checkpoints/.writing-step00000011").mkdir()
    (run / "checkpoints/.writing-step00000011/state.index").write_bytes(b"half")
    assert runs.Run.open(run).newest_step() == LAST
    assert train.main(["--resume", str(run)]) == 0  # nothing left to do, and it says so


def copy_run(whole, workplace):
    return Path(shutil.copytree(whole, workplace / "runs" / whole.name))


@pytest.mark.parametrize("part", ["state.index", "state.data-00000-of-00001"])
@pytest.mark.parametrize("harm", ["cut", "zeros", "gone"])
def test_corrupt_checkpoint_is_named(whole, workplace, part, harm):
    run = copy_run(whole, workplace)
    path = run / "checkpoints/step00000010" / part
    data = path.read_bytes()
    path.unlink() if harm == "gone" else path.write_bytes(data[:len(data) // 3] + b"\0" * (harm == "zeros") * len(data))
    with pytest.raises(UserError, match=r"step00000010: the checkpoint is broken .*move it away"):
        train.main(["--resume", str(run)])
    assert path.parent.is_dir()


def test_checkpoint_of_another_recipe_is_named(whole, workplace):
    run = copy_run(whole, workplace)
    write_recipe(run / "recipe.yaml", TINY | {"loss": {"lambda_cycle": 3.0}})
    with pytest.raises(UserError, match="another recipe"):
        train.main(["--resume", str(run)])
    write_recipe(run / "recipe.yaml", TINY | {"generator": {"filters": 4, "blocks": 1}})
    with pytest.raises(UserError, match="broken or of other networks"):
        train.main(["--resume", str(run)])
    # Where it computes and how it reports may change.
    write_recipe(run / "recipe.yaml", TINY | {"strategy": "mirrored", "monitor": {"keep": 1}})
    assert train.main(["--resume", str(run)]) == 0


def test_exports_compute_what_the_averages_compute(whole, workplace, monkeypatch):
    import cyclegan

    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    folder = whole / "export"
    assert {p.name for p in folder.iterdir()} == {"g_AB.onnx", "g_BA.onnx", "g_AB.keras", "g_BA.keras", "card.md"}
    recipe = runs.Run.open(whole).recipe
    gan = cyclegan.CycleGAN(recipe, recipe.stages[-1])
    runs.Keeper(runs.Run.open(whole), gan, recipe, []).restore(LAST)
    photo = np.random.default_rng(1).uniform(-1, 1, (2, 48, 40, 3)).astype(np.float32)
    for name, network in (("g_AB", gan.ema_AB), ("g_BA", gan.ema_BA)):
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"))
        np.testing.assert_allclose(session.run(None, {"image": photo})[0], network(photo), atol=1e-4)
    card = (folder / "card.md").read_text()
    assert "step: 10, after 0.0" in card
    assert "H and W multiples of 8; trained at 32 px" in card
    assert "40 20s, 40 50s" in card
    # On demand, from an earlier checkpoint
    assert train.main(["--export", str(whole), "--checkpoint", "6", "-o", "early"]) == 0
    early = Path("early/card.md").read_text()
    assert "step: 6" in early
    assert "H and W multiples of 4; trained at 16 px" in early
    with pytest.raises(UserError, match="holds g_AB.onnx already"):
        train.main(["--export", str(whole), "-o", "early"])
    with pytest.raises(UserError, match="no checkpoint of step 99; there are: 2, 4, 6"):
        train.main(["--export", str(whole), "--checkpoint", "99", "-o", "other"])


def test_the_card_tells_how_long_the_steps_took(workplace):
    import export

    run = runs.Run.create(workplace / "runs", "tiny", recipes.parse(TINY, "tiny"))
    assert export._hours(run, 9) == "an unknown time"
    lines = [{"step": step, "data_s_per_step": 9.0, "compute_s_per_step": 351.0} for step in (2, 5, 9)]
    (run.folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 12, "d')
    assert export._hours(run, 9) == "0.90 hours"
    assert export._hours(run, 6) == "0.50 hours"


def test_divergence_stops_the_run_and_keeps_the_last_good_state(workplace):
    tree = {**TINY, "monitor": TINY["monitor"] | {"save_every": 1, "log_every": 1}, "discriminator": {"filters": 64}}
    tree["stages"] = [{**TINY["stages"][0], "steps": 100}]
    write_recipe(workplace / "tiny.yaml", tree)
    # Five layers whose weights all grow by one a step: the square of their product soon passes every float.
    with pytest.raises(UserError, match=r"step \d+: \w+ is (nan|inf); training stopped"):
        train.main(["--config", "tiny.yaml", "stages.0.learning_rate=1.0"])
    run = runs.Run.open("runs/00001-tiny")
    values = checkpoint_values(run.folder, run.newest_step())
    assert all(np.isfinite(v).all() for v in values.values() if v.dtype.kind == "f")


def test_dry_run_writes_no_run(workplace, capsys):
    assert train.main(["--config", "tiny.yaml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "g_AB: " in out
    assert "classifier: " in out
    assert "16px warm start: steps 0 to 2" in out
    assert "32px: steps 7 to 10, 2 pairs each" in out
    assert not Path("runs").exists()
    assert not Path("samples").exists()


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
def test_bad_data_folders_are_named(workplace, what, named):
    bad_faces(workplace, what)
    with pytest.raises(UserError, match=named):
        train.main(["--config", "tiny.yaml"])


def test_another_recipe_starts_from_the_networks_of_a_run(whole, workplace, capsys):
    arguments = ["--config", "tiny.yaml", f"start_from={whole}", "loss.lambda_cycle=9", "stages.0.steps=0",
                 "stages.0.warm_start_steps=1", "stages.1.steps=0", "stages.1.warm_start_steps=0"]
    assert train.main([*arguments, "--dry-run"]) == 0
    # Its newest step whose networks have not grown: a recipe's first stage has none that have
    assert f"starts from: {whole}, step 6" in capsys.readouterr().out
    assert train.main(arguments) == 0
    mine, theirs = checkpoint_values(workplace / "runs/00001-tiny", 1), checkpoint_values(whole, 6)
    for name in theirs:
        if name.startswith(("g_AB", "g_BA", "ema_AB", "ema_BA")):  # a warm start moves only the discriminators
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
    assert str(whole) in (workplace / "runs/00001-tiny/recipe.yaml").read_text()
    with pytest.raises(UserError, match="00002-none: not a run folder"):
        train.main(["--config", "tiny.yaml", "start_from=runs/00002-none"])
    with pytest.raises(UserError, match="broken or of other networks"):
        train.main([*arguments, "generator.filters=4"])
    run = Path(shutil.copytree(whole, workplace / "grown"))
    for step in (2, 4, 6):
        shutil.rmtree(runs.Run.open(run).prefix(step).parent)
    with pytest.raises(UserError, match="no checkpoint of its first stage"):
        train.main(["--config", "tiny.yaml", f"start_from={run}"])
    write_recipe(run / "recipe.yaml", TINY | {"stages": TINY["stages"][:1]})
    with pytest.raises(UserError, match="has no stage of 32 px, in which step 10 was made"):
        runs.growths_at(runs.Run.open(run), LAST)


def test_a_stage_begins_the_same_in_a_resumed_run(workplace, monkeypatch):
    begun = {}

    def instant(phase, gan, faces, held_out, strategy, monitor, keeper, stopped):
        begun.setdefault(phase.title, []).append([v.numpy() for v in gan.g_AB.variables])
        gan.step.assign(phase.stop)
        keeper.save(phase.stop)

    monkeypatch.setattr(train, "_run_phase", instant)
    stages = [{"size": size, "batch_size": 2, "d_batch_size": 2, "steps": 1} for size in (16, 32, 64)]
    write_recipe(workplace / "tiny.yaml", TINY | {"stages": stages, "generator": {"filters": 4, "blocks": 1}})
    assert train.main(["--config", "tiny.yaml"]) == 0
    run = runs.Run.open("runs/00001-tiny")
    shutil.rmtree(run.prefix(3).parent)
    assert train.main(["--resume", "runs/00001-tiny"]) == 0
    first, resumed = begun["64px"]
    for mine, theirs in zip(resumed, first, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_end_of_every_stage_is_kept_beside_the_newest(workplace):
    cheaper = ["loss.lambda_label=0", "loss.lambda_consistency=0"]
    assert train.main(["--config", "tiny.yaml", "monitor.keep=1", *cheaper]) == 0
    assert runs.Run.open("runs/00001-tiny").steps() == [6, LAST]


def test_finishing_goes_on_to_the_bit_after_the_last_stage(workplace):
    stages = "stages=[{size: 16, batch_size: 2, d_batch_size: 4, steps: 1}]"
    plain = ["loss.lambda_label=0", "loss.lambda_consistency=0", "finish.steps=3", "monitor.save_every=1"]
    assert train.main(["--config", "tiny.yaml", stages, *plain]) == 0
    run = workplace / "runs/00001-tiny"
    first, end = checkpoint_values(run, 2), checkpoint_values(run, 4)
    averages = "finish_optimizer/_trainable_variables"
    assert all(np.array_equal(end[name], first[name]) for name in end if name.startswith(("g_AB", "g_BA")))
    assert any(not np.array_equal(end[name], first[name]) for name in end if name.startswith(averages))
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert (last["step"], last["phase"], last["learning_rate"]) == (4, "finish", pytest.approx(1e-4 * 2 / 3))
    assert {"teacher_A", "teacher_B", "spot_A", "spot_B"} <= last.keys()
    for step in (3, 4):
        shutil.rmtree(runs.Run.open(run).prefix(step).parent)
    assert train.main(["--resume", str(run)]) == 0
    for name, value in checkpoint_values(run, 4).items():
        assert np.array_equal(value, end[name]), name


def test_labels_are_asked_of_file_names_that_have_none(workplace):
    (workplace / "faces").unlink()
    for domain in ("20s", "50s"):
        (workplace / "faces/train" / domain).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(workplace / "faces/train" / domain / "someone.png")
    with pytest.raises(UserError, match="faces/train: the file names tell no gender and group"):
        train.main(["--config", "tiny.yaml", "data.sampling=independent"])


def test_broken_images_among_good_ones_are_counted_never_fatal(workplace, drawn, capsys):
    (workplace / "faces").unlink()
    shutil.copytree(drawn, workplace / "faces")
    (workplace / "faces/train/20s/25_0_0_broken.png").write_text("no picture")
    (workplace / "faces/test/20s/25_0_0_broken.png").write_text("no picture")
    Image.new("RGB", (4, 4)).save(workplace / "faces/train/50s/55_0_0_tiny.png")
    only_warm = ["stages.0.steps=0", "stages.1.steps=0", "stages.1.warm_start_steps=0"]
    assert train.main(["--config", "tiny.yaml", *only_warm]) == 0
    out = capsys.readouterr().out
    assert "20s: 40 faces, skipped 1 unreadable" in out
    assert "50s: 40 faces, skipped 1 tiny" in out


@pytest.mark.parametrize(("arguments", "words"), [
    (["--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    (["--config", "tiny.yaml", "loss.lambda=1"], "unknown key loss.lambda"),
    (["--config", "tiny.yaml", "stages.0.size=20"], "multiple of 16"),
    (["--resume", "runs/00009-none"], "not a run folder"),
    (["--export", "faces"], "not a run folder"),
    (["--config", "tiny.yaml", "--runs", "tiny.yaml/runs"], "no run folder can be made"),
    (["--config", "tiny.yaml", "strategy=multi_worker"], "TF_CONFIG"),
])
def test_bad_commands_are_named(workplace, arguments, words):
    with pytest.raises(UserError, match=words):
        train.main(arguments)


def test_an_error_is_one_line_and_no_traceback(workplace):
    process = start(workplace, "--config", "tiny.yaml", "seed=no")
    out = finish(process)
    assert process.returncode == 1
    assert out.strip() == "error: tiny.yaml: seed must be a whole number, not False"


def test_full_disk_is_one_line_and_loses_nothing(whole, workplace, monkeypatch):
    import tensorflow as tf

    run = copy_run(whole, workplace)
    for step in (7, 8, 10):
        shutil.rmtree(run / f"checkpoints/step{step:08}", ignore_errors=True)

    def full(self, path, options=None):
        Path(path).with_name("state.data").write_bytes(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    write = tf.train.Checkpoint.write
    monkeypatch.setattr(tf.train.Checkpoint, "write", full)
    with pytest.raises(UserError, match=r"could not be written .*No space left.*free space and resume"):
        train.main(["--resume", str(run)])
    assert runs.Run.open(run).newest_step() == 6
    assert not list((run / "checkpoints").glob(".writing*"))
    monkeypatch.setattr(tf.train.Checkpoint, "write", write)
    assert train.main(["--resume", str(run)]) == 0
    assert_equal_state(run, whole)
