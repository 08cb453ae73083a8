"""Rounds of Reflow with a U-Net of PyTorch's on the digits: images, a first model of one's own, weights saved by torch.

    python benchmarks/own_unet.py [SCHEME] [--rounds 2] [--steps 1500] [--out runs/own_unet]

It runs where there are both PyTorch and this package; of requirements-peers.txt torch is enough. "ora" refreshes its
pairs every 250 steps. What a run has kept in --out is gone on with.
"""

import argparse

import contenders  # noqa: F401  # the checkout that this lies in
import torch
from sklearn.datasets import load_digits
from torch_nets import UNet

from rfcollapse import own
from rfcollapse.output import columns

SIZE, BATCH, EVERY = 16, 64, 250  # channels at the finest; pairs in a step; steps between two refreshments


def trained(pairs, previous, steps):
    torch.manual_seed(pairs.seed)
    net = UNet(SIZE, 1)
    if previous is not None:  # each round is fine-tuned from the last, in a new network
        net.load_state_dict(previous.state_dict())
    adam = torch.optim.Adam(net.parameters(), lr=2e-3)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for step, (x0, x1) in enumerate(pairs.batches(BATCH, steps=steps)):
        if step and step % EVERY == 0 and pairs.refreshes:
            pairs.refresh(net)
        x0, x1, t = torch.from_numpy(x0), torch.from_numpy(x1), torch.rand(BATCH)
        loss = (net(t, x0 + t[:, None, None, None] * (x1 - x0)) - (x1 - x0)).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        slower.step()
    return net


@torch.no_grad()
def velocity(net, t, x):
    return net(torch.full((len(x),), t), torch.from_numpy(x))


def save(net, path):
    torch.save(net.state_dict(), path)


def load(path):
    net = UNet(SIZE, 1)
    net.load_state_dict(torch.load(path, weights_only=True))
    return net


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scheme", nargs="?", default="anchored")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", default="runs/own_unet")
    options = parser.parse_args()
    images = torch.tensor(load_digits().images[:, None] / 8 - 1)  # (n, 1, 8, 8), from −1 to 1
    run = own.run(
        images,
        velocity=velocity,
        train=lambda pairs, previous: trained(pairs, previous, options.steps),
        scheme=options.scheme,
        rounds=options.rounds,
        real_fraction=0.5,
        steps=10,
        probes=500,
        folder=options.out,
        resume=True,
        save=save,
        load=load,
    )
    shown = ("share", "one_step_share", "straightness", "cost", "loss", "precision", "recall", "coverage")
    lines = [(str(one.index), *(f"{getattr(one, name):.4g}" for name in shown)) for one in run.rounds]
    print(columns([("round", *shown), *lines], right=True))
    print(*(alarm for one in run.rounds for alarm in one.alarms or ()), sep="\n")


if __name__ == "__main__":
    main()
