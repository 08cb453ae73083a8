"""Flow matching in PyTorch as one would write it, plain or with torchcfm: a process that trains on request.

It runs in a Python environment of its own, see requirements-peers.txt. Each line on stdin is a request, a JSON object
with "library" (torch, torchcfm), "mode" (eager, compiled, graphs; ensemble with "seeds"), "width", "batch", "dtype" and
"steps"; or with "net": "unet", "shape" and "channels". With "samples" nothing is trained: so many are generated in
"steps" steps of Euler's or Heun's "method". The answer is one line, {"loss": …}, once these steps are done.
A second request of the same kind finds everything compiled, and the one who asks holds the clock. The net, the batch
and Adam, fused, are those of `rfcollapse bench training`; there is nothing beyond the minimum: no average of the
weights, no schedule, no input noise, and t uniform.
"""

import argparse
import itertools
import json
import math
import sys
import warnings

import torch
import torch_nets
from torch.nn.functional import mse_loss

try:
    import torchcfm
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher
except ImportError:  # PyTorch's own loops need it not
    torchcfm = None

POOL, DIMENSION, DEPTH, FREQUENCIES = 8192, 2, 3, 4


class MLP(torch.nn.Module):
    """f(t, x): hidden layers of one width with SiLU on (x, cos πkt, sin πkt), k = 1 … K."""

    def __init__(self, width):
        super().__init__()
        sizes = [DIMENSION + 2 * FREQUENCIES, *[width] * DEPTH]
        hidden = [(torch.nn.Linear(*pair), torch.nn.SiLU()) for pair in itertools.pairwise(sizes)]
        self.layers = torch.nn.Sequential(*sum(hidden, ()), torch.nn.Linear(width, DIMENSION))
        self.register_buffer("frequencies", math.pi * torch.arange(1, FREQUENCIES + 1))

    def forward(self, t, x):
        phases = t[:, None] * self.frequencies
        return self.layers(torch.cat([x, phases.cos(), phases.sin()], dim=1))


def sampler(device, mode, samples, method, width=None, shape=None, channels=None):
    """A function that generates samples in so many steps, and returns their mean."""
    if shape:
        height, width, colours = shape
        net, x = torch_nets.UNet(channels, colours), torch.randn(samples, colours, height, width, device=device)
    else:
        net, x = MLP(width), torch.randn(samples, DIMENSION, device=device)
    return torch_nets.sampler(net.to(device).eval(), x, mode, method)


def trainer(device, library, mode, batch, dtype, width=None, seeds=1, net="mlp", shape=None, channels=None):
    """A function that trains for so many steps and returns the last loss."""
    if net == "unet":
        return torch_nets.unet(device, mode, shape, channels, batch, dtype)
    data = 2 * torch.randn(POOL, DIMENSION, device=device)
    if mode == "ensemble":
        return torch_nets.ensemble(lambda: MLP(width), device, data, batch, dtype, seeds)
    net = MLP(width).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    matcher = ConditionalFlowMatcher(sigma=0.0) if library == "torchcfm" else None

    def pairs():
        x1 = data[torch.randint(POOL, (batch,), device=device)]
        x0 = torch.randn_like(x1)
        if library == "torchcfm":
            return matcher.sample_location_and_conditional_flow(x0, x1)
        t = torch.rand(batch, device=device)
        return t, x0 + t[:, None] * (x1 - x0), x1 - x0

    def error(t, x, target):
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            velocity = net(t, x)
        return mse_loss(velocity.float(), target)

    if mode == "compiled":  # the draws are not, for PyTorch's own are faster on CPU
        error = torch.compile(error, dynamic=False)

    def loss():
        return error(*pairs())

    if mode == "graphs":  # CUDA graphs of all but Adam, without which a small net on a GPU waits for its launches
        loss = torch.compile(loss, dynamic=False, mode="reduce-overhead")

    def train(steps):
        for _ in range(steps):
            torch.compiler.cudagraph_mark_step_begin()
            optimizer.zero_grad(set_to_none=True)
            value = loss()
            value.backward()
            optimizer.step()
        return value.item()  # which waits for the device

    return train


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, help="of this process (PyTorch's own choice)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--keep-going", action="store_true", help='a request that fails is answered {"error": …}')
    parser.add_argument("--versions", action="store_true", help="print these and stop")
    options = parser.parse_args()
    if options.versions:
        found = {"torch": torch.__version__} | ({"torchcfm": torchcfm.__version__} if torchcfm else {})
        print(json.dumps(found))
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.compiler.config.force_disable_caches = True  # what is compiled is compiled anew, for its time is measured
    warnings.filterwarnings("ignore", "dynamo_pgo force disabled")
    torch._dynamo.config.recompile_limit = 64  # each size is another program; beyond 8 they would go eager, unasked
    torch.manual_seed(0)
    if options.device == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, which is JAX's default there
    print("{}", flush=True)  # ready
    trainers = {}
    for line in sys.stdin:
        request = json.loads(line)
        steps = request.pop("steps")
        kind = json.dumps(request, sort_keys=True)
        try:
            if kind not in trainers:
                if options.keep_going:  # one contender at a time, or their graphs and weights fill the card
                    trainers = {kind: trainers[kind] for kind in list(trainers)[-3:]}
                trainers[kind] = (sampler if "samples" in request else trainer)(options.device, **request)
            answer = {"loss": trainers[kind](steps)}
        except Exception as error:
            if not options.keep_going:
                raise
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
