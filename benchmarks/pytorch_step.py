"""The same training step in PyTorch, for comparison: pip install torch, then

    python benchmarks/pytorch_step.py                                                 on a CPU, 64 px
    python benchmarks/pytorch_step.py --sizes 64 128 256 --batches 4 16 64 --compile  on a GPU

The networks that benchmarks/train_step.py measures (the tutorial's at 32 filters, its weights of the terms): one
generator step with cycle and identity terms, one discriminator step. First with the generator's padding by reflection
and in batches of one, as the paper's authors' code has it, then in faster forms; the last computes what ours does, with
zero padding and one call a generator for translation and identity. Prints a table, asserts nothing.
"""

import argparse
import statistics
import time

import torch
from torch import nn

FILTERS, BLOCKS = 32, 9
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

# (what, bfloat16, channels last, reflection padding, one call for translation and identity)
AS_PUBLISHED = ("as published", False, False, True, False)
FORMS = [
    AS_PUBLISHED,
    ("bfloat16, channels last", True, True, True, False),
    ("the same, zero padding, one call", True, True, False, True),
]


def normalised(conv):
    return [conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU(inplace=True)]


class ResidualBlock(nn.Module):
    def __init__(self, filters, mode):
        super().__init__()
        first, second = (nn.Conv2d(filters, filters, 3, padding=1, padding_mode=mode) for _ in range(2))
        self.layers = nn.Sequential(*normalised(first), second, nn.InstanceNorm2d(filters))

    def forward(self, x):
        return x + self.layers(x)


def generator(mode):
    f = FILTERS
    layers = normalised(nn.Conv2d(3, f, 7, padding=3, padding_mode=mode))
    for width in (f, 2 * f):
        layers += normalised(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1))
    layers += [ResidualBlock(4 * f, mode) for _ in range(BLOCKS)]
    for width in (4 * f, 2 * f):
        layers += normalised(nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1))
    return nn.Sequential(*layers, nn.Conv2d(f, 3, 7, padding=3, padding_mode=mode), nn.Tanh())


def discriminator():
    layers = [nn.Conv2d(3, FILTERS, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for width in (FILTERS, 2 * FILTERS, 4 * FILTERS):
        layers += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.InstanceNorm2d(2 * width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(8 * FILTERS, 1, 3, padding=1))


def measure(size, batch, form, compiled, steps, rounds):
    """Pairs/s: the median of `rounds` rounds. form: as in FORMS. compiled: by torch.compile."""
    _, bfloat16, channels_last, reflect, one_call = form
    torch.manual_seed(1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    mode = "reflect" if reflect else "zeros"
    g_AB, g_BA, d_A, d_B = (network.to(DEVICE, memory_format=layout) for network in (
        generator(mode), generator(mode), discriminator(), discriminator()))
    real_A, real_B = (torch.rand(batch, 3, size, size, device=DEVICE).mul(2).sub(1).to(memory_format=layout)
                      for _ in range(2))
    g_weights, d_weights = ([p for network in pair for p in network.parameters()]
                            for pair in ((g_AB, g_BA), (d_A, d_B)))
    g_optimizer, d_optimizer = (torch.optim.Adam(w, 2e-4, betas=(0.5, 0.999)) for w in (g_weights, d_weights))

    def squared(scores, target):
        return (scores.float() - target).square().mean()

    def absolute(x, y):
        return (x.float() - y).abs().mean()

    def translated(network, image, own):
        if one_call:
            return network(torch.cat([image, own])).split(batch)
        return network(image), network(own)

    def step():
        for p in d_weights:
            p.requires_grad_(False)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=bfloat16):
            fake_B, same_B = translated(g_AB, real_A, real_B)
            fake_A, same_A = translated(g_BA, real_B, real_A)
            loss = (squared(d_B(fake_B), 1) + squared(d_A(fake_A), 1)
                    + 0.1 * (absolute(g_BA(fake_B), real_A) + absolute(g_AB(fake_A), real_B))
                    + 0.01 * (absolute(same_A, real_A) + absolute(same_B, real_B)))
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        for p in d_weights:
            p.requires_grad_(True)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=bfloat16):
            loss = sum((squared(d(real), 1) + squared(d(fake.detach()), 0)) / 2
                       for d, real, fake in ((d_A, real_A, fake_A), (d_B, real_B, fake_B)))
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()

    if compiled:  # the networks, as is usual; the loop around them stays Python
        g_AB, g_BA, d_A, d_B = map(torch.compile, (g_AB, g_BA, d_A, d_B))
    seconds = []
    for k in range(rounds + 1):
        begin = time.perf_counter()
        for _ in range(steps):
            step()
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        if k:  # the first round warms up
            seconds.append((time.perf_counter() - begin) / steps)
    return batch / statistics.median(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64])
    parser.add_argument("--batches", type=int, nargs="+", default=[8])
    parser.add_argument("--compile", action="store_true", help="each form with torch.compile too")
    parser.add_argument("--steps", type=int, default=4, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name() if DEVICE == 'cuda' else 'CPU'}")
    for size in args.sizes:
        for batch, form, compiled in [(1, AS_PUBLISHED, False), *(
                (batch, form, compiled) for batch in args.batches for form in FORMS
                for compiled in (False, True)[:1 + args.compile])]:
            try:
                told = f"{measure(size, batch, form, compiled, args.steps, args.rounds):8.2f} pairs/s"
            except torch.OutOfMemoryError:
                told = "out of memory"
            title = form[0] + ", torch.compile" * compiled
            print(f"{size:4} px  batch {batch:3}  {title:48} {told}", flush=True)


if __name__ == "__main__":
    main()
