import dataclasses
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, write_recipe

from ageing.errors import UserError
from ageing.training import recipe_file


@pytest.mark.parametrize("path", sorted(Path(ROOT, "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_recipes_are_valid_and_survive_writing(path):
    recipe = recipe_file.load(path)
    assert recipe_file.parse(yaml.safe_load(recipe_file.dump(recipe)), "again") == recipe


def test_seed_recipe_is_the_tutorials():
    recipe = recipe_file.load(ROOT / "configs/seed.yaml")
    assert dataclasses.astuple(recipe.loss) == (0.1, 0.01, 0.0, 0.0, 0.0)
    g = recipe.generator
    assert (g.norm, g.padding, g.upsampling, g.output) == ("contrib", "zero", "transpose", "image")
    assert (recipe.discriminator.norm, recipe.discriminator.order) == ("contrib", "activation_first")
    assert (recipe.adversary.pool_size, recipe.optimizer.decay_from) == (0, 1.0)


def test_reference_recipe_is_the_papers():
    recipe = recipe_file.load(ROOT / "configs/reference.yaml")
    assert dataclasses.astuple(recipe.loss) == (10.0, 5.0, 0.0, 0.0, 0.0)
    assert (recipe.generator.padding, recipe.generator.init) == ("reflect", "normal")
    assert recipe.discriminator.init == "normal"
    assert (recipe.adversary.pool_size, recipe.discriminator.last_stride, recipe.optimizer.decay_from) == (50, 1, 0.5)


def test_default_grows_from_64_to_256():
    recipe = recipe_file.load(ROOT / "configs/utkface.yaml")
    assert [(stage.size, recipe.growths(stage.size)) for stage in recipe.stages] == [(64, 0), (128, 1), (256, 2)]


def test_overrides_reach_nested_values_and_lists(tmp_path, tiny):
    write_recipe(tmp_path / "r.yaml", tiny)
    recipe = recipe_file.load(tmp_path / "r.yaml", [
        "loss.lambda_cycle=5", "stages.1.steps=9", "precision=mixed_bfloat16", "seed=7", "stages.0.learning_rate=1e-3",
        "stages.1.lambda_cycle=2", "stages.0.lambda_consistency=3"])
    weights = [recipe.weights(stage) for stage in recipe.stages]
    assert [one["cycle"] for one in weights] == [5.0, 2.0]
    assert [one["consistency"] for one in weights] == [3.0, recipe.loss.lambda_consistency]
    keys = [recipe.weight_keys(stage)["cycle"] for stage in recipe.stages]
    assert keys == ["loss.lambda_cycle", "stages.1.lambda_cycle"]
    assert recipe.stages[1].steps == 9
    assert recipe.stages[0].learning_rate == 0.001
    assert (recipe.precision, recipe.seed) == ("mixed_bfloat16", 7)


@pytest.mark.parametrize(("override", "words"), [
    ("loss.lambda_cycel=5", "unknown key loss.lambda_cycel"),
    ("loss.lambda_cycle=many", "loss.lambda_cycle must be a number"),
    ("loss.lambda_cycle=.nan", "loss.lambda_cycle must be between"),
    ("loss.lambda_cycle=-1", "loss.lambda_cycle must be between"),
    ("stages.0.lambda_cycle=-1", "stages.0.lambda_cycle must be between"),
    ("loss=5", "loss must be a mapping"),
    ("seed=1.5", "seed must be a whole number"),
    ("adversary.augment=1", "adversary.augment must be true or false"),
    ("generator.output=photo", "generator.output must be one of image, residual, muted"),
    ("precision=float16", "precision must be one of auto, float32, mixed_bfloat16"),
    ("stages.0.size=60", "stages.0.size must be a multiple of 16"),
    ("discriminator.scales=2", "unknown key discriminator.scales"),
    ("stages.5.size=64", "'5' is not an index"),
    ("stages=[]", "stages must be a list"),
    ("stages.0.epochs=2", "stages.0 has both epochs and steps; set one of them to null"),
    ("stages.0.steps=null", "stages.0 needs epochs or steps"),
    ("stages.0.d_batch_size=null", "stages.0.d_batch_size is needed"),
    ("adversary.pool_size=0", "adversary.pool_size=0 is smaller than stages.0.batch_size=2"),
    ("stages.1.size=48", "stages.1.size must be 32"),
    ("generator.filters=3", "generator.filters=3 cannot be halved 1 times"),
    ("data.domain_B=[20s, 50s]", "data.domain_A and data.domain_B are both 20s"),
    ("data.domain_B=[50s]", "a list of decades from young to old, as [40s, 50s, 60s], not [50s]"),
    ("data.domain_B=[60s, 50s]", "a list of decades from young to old"),
    ("data.domain_B=[50s, old]", "a list of decades from young to old"),
    ("data.domain_B=[50s, 60]", "data.domain_B.1 must be a string, not 60"),
    ("data.domain_B=50", "data.domain_B must be a string, not 50"),
    ("growing=up", "growing must be one of rescale, enhance"),
    ("loss.lambda_cycle", "is not key=value"),
    ("=5", "is not key=value"),
    ("stages.0=5", "stages.0 must be a mapping"),
])
def test_bad_values_are_named(tmp_path, tiny, override, words):
    write_recipe(tmp_path / "r.yaml", tiny)
    with pytest.raises(UserError) as error:
        recipe_file.load(tmp_path / "r.yaml", [override])
    assert words in str(error.value)
    assert "r.yaml" in str(error.value) or "command line" in str(error.value)


@pytest.mark.parametrize(("text", "words"), [
    ("", "a recipe is a mapping"), ("[1, 2]", "a recipe is a mapping"), ("a: [", "not valid YAML"),
    ("seed: 1", "stages is missing"), ("stages: [{size: 64}]", "stages.0.batch_size is missing")])
def test_bad_files_are_named(tmp_path, text, words):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        recipe_file.load(tmp_path / "r.yaml")
    assert words in str(error.value)
    assert "r.yaml" in str(error.value)


@pytest.mark.parametrize(("text", "words"), [
    ("loss: {lambda_cycle: 3}\nseed: 2\nloss: {lambda_label: 1}", "line 3: loss is there twice"),
    ("stages:\n- size: 16\n  size: 32", "line 3: size is there twice"),
    ("stages: [&first {ONE}, *first]", "two of the stages are the same"),
    ("stages: [{ONE}, {ONE}]", "two of the stages are the same"),
    ("stages: [{size: 0100, batch_size: 1, steps: 1}]", "stages.0.size must be a whole number, not '0100'"),
    ("stages: [{size: 16, batch_size: 010, steps: 1}]", "batch_size must be a whole number, not '010'"),
    ("stages: [{size: 16, batch_size: 1, steps: 1:30}]", "steps must be a whole number, not '1:30'"),
    ("stages: [{ONE, learning_rate: 1:30.5}]", "learning_rate must be a number, not '1:30.5'"),
    ("stages: [{size: 16, batch_size: 1, steps: 2024-05-01}]", "steps must be a whole number, not '2024-05-01'"),
    ("seed: 2024-13-45\nstages: [{ONE}]", "seed must be a whole number, not '2024-13-45'"),
    ("seed: 0b_", "r.yaml: not valid YAML"),
    ("stages: [{size: 16, batch_size: 1, steps: 0}, {size: 32, batch_size: 1, epochs: 0}]", "all lengths are 0"),
])
def test_what_yaml_would_read_as_another_recipe_is_refused(tmp_path, text, words):
    (tmp_path / "r.yaml").write_text(text.replace("ONE", "size: 16, batch_size: 1, steps: 1"))
    with pytest.raises(UserError) as error:
        recipe_file.load(tmp_path / "r.yaml")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_date_is_the_name_of_a_folder(tmp_path, tiny):
    tiny["data"]["domain_A"] = "DATE"
    write_recipe(tmp_path / "r.yaml", tiny)
    (tmp_path / "r.yaml").write_text((tmp_path / "r.yaml").read_text().replace("DATE", "2024-05-01"))
    recipe = recipe_file.load(tmp_path / "r.yaml", ["data.path=2024-13-45", "loss.lambda_cycle=0.5", "seed=0"])
    assert (recipe.data.domain_A, recipe.data.path) == ("2024-05-01", "2024-13-45")
    assert (recipe.loss.lambda_cycle, recipe.seed) == (0.5, 0)
    (tmp_path / "again.yaml").write_text(recipe_file.dump(recipe))
    assert recipe_file.load(tmp_path / "again.yaml") == recipe


def test_several_old_domains_are_told_apart_by_their_ages(tmp_path, tiny):
    write_recipe(tmp_path / "r.yaml", tiny)
    one, several = (recipe_file.load(tmp_path / "r.yaml", [f"data.domain_B={name}"]) for name in ("old", "[50s, 80s]"))
    assert (one.data.domains, one.data.ages) == (("20s", "old"), ())
    assert (several.data.domains, several.data.ages) == (("20s", "50s", "80s"), (55, 85))
    (tmp_path / "again.yaml").write_text(recipe_file.dump(several))
    assert recipe_file.load(tmp_path / "again.yaml") == several
    with pytest.raises(UserError, match="generator.norm must be channel where data.domain_B is a list"):
        recipe_file.load(tmp_path / "again.yaml", ["generator.norm=contrib"])


def test_an_override_changes_one_of_two_places_that_share_a_value(tmp_path):
    (tmp_path / "r.yaml").write_text("generator: &both {filters: 8}\ndiscriminator: *both\n"
                                     "stages: [{size: 16, batch_size: 1, steps: 1}]")
    recipe = recipe_file.load(tmp_path / "r.yaml", ["generator.filters=4"])
    assert (recipe.generator.filters, recipe.discriminator.filters) == (4, 8)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml: cannot be read"):
        recipe_file.load(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match=r"binary\.yaml: not valid YAML"):
        recipe_file.load(tmp_path / "binary.yaml")


def test_a_recipe_inherits_and_says_only_what_differs(tmp_path, tiny):
    write_recipe(tmp_path / "base.yaml", tiny)
    (tmp_path / "child.yaml").write_text("base: base.yaml\nloss: {lambda_cycle: 7.0}\n"
                                         "stages: [{size: 16, batch_size: 3, d_batch_size: 4, steps: 1}]\n")
    (tmp_path / "grandchild.yaml").write_text("base: child.yaml\nseed: 9\n")
    base, recipe = (recipe_file.load(tmp_path / name) for name in ("base.yaml", "grandchild.yaml"))
    assert (recipe.loss.lambda_cycle, recipe.loss.lambda_label, recipe.seed) == (7.0, base.loss.lambda_label, 9)
    assert [stage.batch_size for stage in recipe.stages] == [3]  # a list is replaced whole
    assert (recipe.generator, recipe.adversary) == (base.generator, base.adversary)
    assert recipe_file.load(tmp_path / "grandchild.yaml", ["loss.lambda_label=3"]).loss.lambda_label == 3


@pytest.mark.parametrize(("base", "child", "words"), [
    (None, "base: base.yaml", "child.yaml: base: base.yaml: no such file"),
    ("base: child.yaml", "base: base.yaml", "base.yaml: base: child.yaml inherits from this file itself"),
    ("seed: 1", "base: base.yaml", "base.yaml: stages is missing"),
    ("seed: 1", "base: 5", "child.yaml: base must be the name of a recipe file"),
    ("stages: [{size: 16, batch_size: 1, steps: 1, stop: 2}]", "base: base.yaml", "base.yaml: unknown key stages.0"),
    ("stages: [{size: 16, batch_size: 1, steps: 1}]", "base: base.yaml\nsead: 2", "child.yaml: unknown key sead"),
])
def test_faults_of_inheritance_are_named(tmp_path, base, child, words):
    if base:
        (tmp_path / "base.yaml").write_text(base)
    (tmp_path / "child.yaml").write_text(child)
    with pytest.raises(UserError) as error:
        recipe_file.load(tmp_path / "child.yaml")
    assert words in str(error.value)


def test_the_shipped_weights_recipe_keeps_what_it_says():
    """cpu.yaml inherits: a change of utkface.yaml must not change it unseen."""
    recipe = recipe_file.load(ROOT / "configs/cpu.yaml")
    assert [(s.size, s.batch_size, s.steps, s.warm_start_steps) for s in recipe.stages] == [
        (64, 4, 4000, 1000), (128, 4, 450, 300)]
    assert [(s.lambda_cycle, s.lambda_consistency) for s in recipe.stages] == [(None, 10.0), (0.5, 10.0)]
    assert dataclasses.astuple(recipe.loss) == (2.25, 0.5, 20.0, 5.0, 2.0)
    assert (recipe.growing, recipe.generator.filters, recipe.generator.blocks) == ("enhance", 32, 6)
    assert recipe.discriminator.filters == 48
    assert dataclasses.astuple(recipe.adversary) == (2, 128, 0.5, True, 0.03125)
    assert (recipe.optimizer.ema_decay, recipe.finish.steps, recipe.finish.batch_size) == (0.998, 200, 4)
