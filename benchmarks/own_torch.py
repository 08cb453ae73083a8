"""Five rounds of anchored Reflow with a network of PyTorch's: the README's lines, between the marks, as a test sees to.

It runs where there are both PyTorch and this package; of requirements-peers.txt torch is enough.
"""

import contenders  # noqa: F401  # the checkout that this lies in

# --- README
import torch
from torch import nn

from rfcollapse import own

torch.manual_seed(0)
data = torch.randn(8000, 2) * torch.tensor([2.0, 0.5])  # your samples, (n, …)


def train(pairs, previous):  # previous: the model of the round before, None in round 0
    torch.manual_seed(pairs.seed)
    net = nn.Sequential(nn.Linear(3, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2))
    adam = torch.optim.Adam(net.parameters(), lr=2e-3)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 3000)
    for x0, x1 in pairs.batches(256, steps=3000):
        x0, x1, t = torch.from_numpy(x0), torch.from_numpy(x1), torch.rand(256, 1)
        loss = (net(torch.cat([x0 + t * (x1 - x0), t], 1)) - (x1 - x0)).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        slower.step()
    return net


@torch.no_grad()
def velocity(net, t, x):  # t: a number, x: rows
    return net(torch.cat([torch.from_numpy(x), torch.full((len(x), 1), t)], 1))


settings = {"scheme": "anchored", "rounds": 5, "real_fraction": 0.3, "folder": "runs/own", "resume": True}
run = own.run(data, velocity=velocity, train=train, **settings)
for one in run.rounds:
    print(f"{one.index} {one.share:.3f} {one.straightness:.4f} {one.recall:.3f}", *one.alarms)
# --- README
