"""What a run would do, as text."""

from ageing import drawn_faces
from ageing.training import checkpoints, devices, loop, recipe_file
from ageing.training.cyclegan import CycleGAN
from ageing.training.engine import engine
from ageing.training.plan import plan


def describe(recipe):
    """Lines of text: recipe, networks, data, device, phases. Nothing is written. Raises UserError as training would."""
    devices.share_batches(recipe, engine())
    data = recipe.data
    counts = (drawn_faces.count(data.path, data.domain_A, data.domain_B) if data.source == "drawn"
              else [count for count, _ in loop.training_images(recipe).values()])
    lines = [recipe_file.dump(recipe)]
    gan = CycleGAN(recipe, recipe.stages[-1])
    lines.append(f"networks at {recipe.stages[-1].size} px:")
    for name in ("g_AB", "g_BA", "d_A", "d_B", "classifier"):
        if network := getattr(gan, name):
            lines.append(f"{name}: {network.count_params():,} parameters")
    lines.append(f"data: {data.path}/train: {data.domain_A} {counts[0]} images, {data.domain_B} {counts[1]}")
    lines.append(f"device: {engine().describe(engine().precision(recipe.precision))}")
    if origin := checkpoints.starting_point(recipe):
        lines.append(f"starts from: {origin[0].folder}, step {origin[1]}")
    for phase in plan(recipe, max(counts)):
        lines.append(f"{phase.title}: steps {phase.start} to {phase.stop}, {phase.batch_size} pairs each")
    return lines
