"""A recipe: everything that decides what a training run computes, as one typed value.

Recipes are YAML files in configs/. A comment here says what a key means; a comment in a YAML file says why it has its
value there. recipe_file.py reads them and checks every key against the dataclasses below.

Some numbers are constants and not keys, because no recipe ever needed another value. They are defined where they are
used: CELL_CAP in utkface.py, ADAM_BETA_1 and the weights of finishing in cyclegan.py, FINISH_LEARNING_RATE in plan.py,
KEEP in checkpoints.py, FACES in sample_grids.py. The cycle and identity terms are always L1 (losses.py).
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from ageing.utkface import DECADES


def between(low, high, default=dataclasses.MISSING):
    """A key whose value, unless null, must lie between `low` and `high`, both included. No default: it is required."""
    return field(default=default, metadata={"range": (low, high)})


LAMBDA = (0, 1e6)   # the weight of a loss term
STEPS = (0, 1e9)
BATCH = (1, 4096)


@dataclass(frozen=True)
class Data:
    path: str = "data/utkface"            # holds {train,validation}/{domain_A,domain_B}
    domain_A: str = "20s"
    domain_B: str | tuple[str, ...] = "50s"  # several decades, [40s, 50s, ...]: the generator that ages is told the age
    source: Literal["folder", "drawn"] = "folder"  # drawn: fill `path`, which holds nothing else, with drawn faces
    sampling: Literal["matched", "independent"] = "matched"  # matched: both domains from one gender x race distribution
    forehead_marks: Literal["keep", "skip"] = "keep"  # skip: leave out faces that wear a bindi or a tilak
    flip: bool = True                     # mirror half of the images
    shift: float = between(0, 0.25, 0.03)      # affine jitter: share of the side, each way
    scale: float = between(0, 0.5, 0.05)       # affine jitter: +- around 1
    rotation: float = between(0, 45, 5.0)      # affine jitter: degrees, each way

    @property
    def domains_B(self):
        return (self.domain_B,) if isinstance(self.domain_B, str) else self.domain_B

    @property
    def domains(self):
        """The names of all domains, domain_A first."""
        return self.domain_A, *self.domains_B

    @property
    def ages(self):
        """Middles of several old domains in years: the generator that ages is told an age between them. Else ()."""
        return tuple(DECADES[name] for name in self.domains_B) if len(self.domains_B) > 1 else ()


@dataclass(frozen=True)
class Generator:
    filters: int = between(1, 1024, 64)
    blocks: int = between(0, 64, 9)       # residual blocks
    norm: Literal["channel", "contrib"] = "channel"        # instance norm as published, or as in keras-contrib
    padding: Literal["zero", "reflect"] = "zero"
    upsampling: Literal["transpose", "resize"] = "resize"  # transposed convolutions leave a checkerboard
    output: Literal["image", "residual", "muted"] = "residual"  # the image itself; a bounded change; of little colour
    init: Literal["glorot", "normal"] = "glorot"           # normal: N(0, 0.02), the paper's


@dataclass(frozen=True)
class Discriminator:
    filters: int = between(1, 1024, 64)
    norm: Literal["none", "channel", "contrib"] = "none"   # instance norm hides brightness, a cue to age
    order: Literal["norm_first", "activation_first"] = "norm_first"
    last_stride: Literal[1, 2] = 2        # 1: the paper's PatchGAN with a receptive field of 70 pixels
    init: Literal["glorot", "normal", "he"] = "he"         # he: keeps the signal's scale without norm
    labels: Literal["none", "projection"] = "none"         # projection: conditioned on gender and race of every face
    features: bool = False                # heads judge the image by an ImageNet network, too, and all of the generators
                                          # trains when they have grown


@dataclass(frozen=True)
class Loss:
    lambda_cycle: float = between(*LAMBDA, 2.0)
    lambda_identity: float = between(*LAMBDA, 0.5)
    lambda_consistency: float = between(*LAMBDA, 0.0)  # translating a degraded face = degrading the translated face
    lambda_colour: float = between(*LAMBDA, 0.0)       # change of a face's mean colour
    lambda_label: float = between(*LAMBDA, 0.0)        # change of a classifier's prediction of gender and race


TERMS = tuple(f.name.removeprefix("lambda_") for f in dataclasses.fields(Loss))  # beside the adversarial one


@dataclass(frozen=True)
class Adversary:
    """How the discriminators are trained, and the classifier beside them if lambda_label is above 0."""

    steps: int = between(1, 64, 1)        # discriminator steps per generator step
    pool_size: int = between(0, 10_000, 50)    # images in the pool of translated faces; 0: no pool
    real_negatives: float = between(0, 0.9, 0.0)   # share of the negatives that are real images of the other domain
    augment: bool = False                 # differentiable augmentation of all that the discriminators see
    augment_shift: float = between(0, 0.5, 0.125)  # its translation: share of the side, each way


@dataclass(frozen=True)
class Optimizer:
    decay_from: float = between(0, 1, 0.5)     # share of a stage after which the rate falls linearly to 0; 1: never
    ema_decay: float = between(0, 0.99999, 0.999)  # exponential moving average of the generators


@dataclass(frozen=True)
class Stage:
    size: int = between(16, 4096)         # pixels per side
    batch_size: int = between(*BATCH)     # pairs per generator step, over all devices
    learning_rate: float = between(1e-9, 1, 2e-4)  # Adam's, the paper's
    epochs: float | None = between(0, 1e6, None)   # an epoch shows as many pairs as the larger domain has images
    steps: int | None = between(*STEPS, None)      # generator steps, instead of epochs
    d_batch_size: int | None = between(*BATCH, None)   # pairs per discriminator step; null: those of the generator step
    warm_start_steps: int = between(*STEPS, 0)     # discriminator steps on the two real domains before the stage
    warm_start_batch: int = between(*BATCH, 32)
    lambda_cycle: float | None = between(*LAMBDA, None)  # for this stage; null: loss.lambda_cycle
    lambda_consistency: float | None = between(*LAMBDA, None)  # the same


@dataclass(frozen=True)
class Finish:
    """Self-distillation after the last stage, which removes spots that the generators draw on foreheads."""

    steps: int = between(*STEPS, 0)
    batch_size: int = between(*BATCH, 4)  # pairs per step, over all devices


@dataclass(frozen=True)
class Monitor:
    log_every: int = between(1, 1e9, 20)      # steps between lines of log.jsonl
    sample_every: int = between(1, 1e9, 500)  # steps between sample grids
    save_every: int = between(1, 1e9, 500)    # steps between checkpoints


@dataclass(frozen=True)
class Recipe:
    stages: tuple[Stage, ...]
    seed: int = between(0, 2**31 - 1, 1)
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"  # auto: bfloat16 where the hardware computes it
    growing: Literal["rescale", "enhance"] = "rescale"  # how the networks reach the next size, see `growths`
    start_from: str | None = None         # a run folder whose networks this run starts with
    data: Data = field(default_factory=Data)
    generator: Generator = field(default_factory=Generator)
    discriminator: Discriminator = field(default_factory=Discriminator)
    loss: Loss = field(default_factory=Loss)
    adversary: Adversary = field(default_factory=Adversary)
    optimizer: Optimizer = field(default_factory=Optimizer)
    finish: Finish = field(default_factory=Finish)
    monitor: Monitor = field(default_factory=Monitor)

    def weights(self, stage):
        """{term: weight} in the generators' loss of `stage`."""
        return {"adversarial": 1.0} | {term: getattr(self._weighing(stage, term), f"lambda_{term}") for term in TERMS}

    def weight_keys(self, stage):
        """{term: the key that holds its weight in `stage`}."""
        place = f"stages.{self.stages.index(stage)}"
        return {term: f"{place if self._weighing(stage, term) is stage else 'loss'}.lambda_{term}" for term in TERMS}

    def _weighing(self, stage, term):
        """The part of the recipe that decides the weight of a term: `stage`, where it has one of its own, or loss."""
        return stage if getattr(stage, f"lambda_{term}", None) is not None else self.loss

    def growths(self, size):
        """How many times the networks have grown when they train at `size` pixels.

        growing=rescale: never. The same networks continue at the new size, as the tutorial's do.
        growing=enhance: once per stage. The generators are frozen inside a local enhancer, which learns detail of the
        new size. Each discriminator gets one more PatchGAN, for the new band (pix2pixHD, Wang et al. 2018; LAPGAN,
        Denton et al. 2015).
        """
        return [stage.size for stage in self.stages].index(size) if self.growing == "enhance" else 0

    def scales(self, size):
        """How many PatchGANs each discriminator has at `size` pixels."""
        return 1 + self.growths(size)

    def scores(self, size):
        """How many scores each discriminator gives at `size` pixels: those of its PatchGANs and of its three heads."""
        return self.scales(size) + 3 * self.discriminator.features
