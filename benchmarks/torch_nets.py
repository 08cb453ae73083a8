"""What a PyTorch user would set against ours beyond one MLP: an ensemble by `torch.func`, a U-Net like ours, a sampler.

Each function returns one that trains for so many steps and returns the last loss, as `torch_flow.trainer` does, or that
samples in so many.
"""

import torch
from torch.func import functional_call, stack_module_state
from torch.nn.functional import avg_pool2d, interpolate, mse_loss, silu

GROUP, FREQUENCIES, POOL = 8, 8, 1024


def ensemble(net, device, data, batch, dtype, seeds):
    """Seeds side by side: `torch.func.vmap` over stacked weights, one fused Adam for all. net: makes one MLP."""
    nets = [net().to(device) for _ in range(seeds)]
    params, buffers = stack_module_state(nets)
    params = {name: value.detach().requires_grad_() for name, value in params.items()}
    optimizer = torch.optim.Adam(params.values(), lr=1e-3, fused=True)
    apply = torch.func.vmap(lambda weights, constants, t, x: functional_call(nets[0], (weights, constants), (t, x)))

    def train(steps):
        for _ in range(steps):
            x1 = data[torch.randint(len(data), (seeds, batch), device=device)]
            x0, t = torch.randn_like(x1), torch.rand(seeds, batch, device=device)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
                velocity = apply(params, buffers, t, x0 + t[..., None] * (x1 - x0))
            error = ((velocity.float() - (x1 - x0)) ** 2).mean(dim=(1, 2))
            error.sum().backward()  # the seeds share no weight, so that each gets its own gradient
            optimizer.step()
        return error[0].item()

    return train


def normalised(x):
    """Group norm without weights, 8 channels at a time."""
    return torch.nn.functional.group_norm(x, x.shape[1] // GROUP)


class Block(torch.nn.Module):
    """x + conv(SiLU((1 + s(t)) norm(conv(SiLU(norm(x)))) + b(t))), x through a matrix where the channels change."""

    def __init__(self, channels, out, features):
        super().__init__()
        self.first = torch.nn.Conv2d(channels, out, 3, padding=1)
        self.second = torch.nn.Conv2d(out, out, 3, padding=1)
        self.modulation = torch.nn.Linear(features, 2 * out)
        self.skip = torch.nn.Identity() if channels == out else torch.nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, x, features):
        scale, shift = self.modulation(features)[:, :, None, None].chunk(2, dim=1)
        hidden = self.first(silu(normalised(x)))
        return self.second(silu((1 + scale) * normalised(hidden) + shift)) + self.skip(x)


class UNet(torch.nn.Module):
    """The net of `rfcollapse.learn.unet`, on (n, c, h, w): as many weights, layer by layer."""

    def __init__(self, channels, colours):
        super().__init__()
        wide, features = 2 * channels, 4 * channels
        self.embedding = torch.nn.Linear(2 * FREQUENCIES, features)
        self.entry = torch.nn.Conv2d(4 * colours, channels, 3, padding=1)
        self.down = Block(channels, channels, features)
        self.middle = torch.nn.ModuleList([Block(channels, wide, features), Block(wide, wide, features)])
        self.up = Block(wide + channels, channels, features)
        self.exit = torch.nn.Conv2d(channels, 4 * colours, 3, padding=1)
        self.register_buffer("frequencies", torch.pi * torch.arange(1, FREQUENCIES + 1))

    def forward(self, t, x):
        phases = t[:, None] * self.frequencies
        features = silu(self.embedding(torch.cat([phases.cos(), phases.sin()], dim=1)))
        half = self.down(self.entry(torch.nn.functional.pixel_unshuffle(x, 2)), features)
        hidden = avg_pool2d(half, 2)
        for block in self.middle:
            hidden = block(hidden, features)
        hidden = self.up(torch.cat([interpolate(hidden, scale_factor=2), half], dim=1), features)
        return torch.nn.functional.pixel_shuffle(self.exit(silu(normalised(hidden))), 2)


def unet(device, mode, shape, channels, batch, dtype):
    """One U-Net on images of the shape (h, w, c), in the memory format that suits the device's convolutions."""
    height, width, colours = shape
    layout = torch.channels_last if device == "cuda" else torch.contiguous_format
    net = UNet(channels, colours).to(device, memory_format=layout)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)
    data = torch.randn(POOL, colours, height, width, device=device)

    def error(t, x, target):
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            velocity = net(t, x)
        return mse_loss(velocity.float(), target)

    if mode == "compiled":
        error = torch.compile(error, dynamic=False)

    def train(steps):
        for _ in range(steps):
            x1 = data[torch.randint(POOL, (batch,), device=device)]
            x0, t = torch.randn_like(x1), torch.rand(batch, device=device)
            x = (x0 + t[:, None, None, None] * (x1 - x0)).contiguous(memory_format=layout)
            optimizer.zero_grad(set_to_none=True)
            value = error(t, x, x1 - x0)
            value.backward()
            optimizer.step()
        return value.item()

    return train


def sampler(net, start, mode, method):
    """Samples of the flow dx/dt = net(t, x) from these rows of noise; the mean of what comes out."""
    times = torch.ones(len(start), device=start.device)

    def step(x, t, h):
        slope = net(t * times, x)
        return x + (h * slope if method == "euler" else h / 2 * (slope + net((t + h) * times, x + h * slope)))

    if mode == "compiled":
        step = torch.compile(step, dynamic=False)

    @torch.inference_mode()
    def sample(steps):
        x, h = start, torch.tensor(1 / steps, device=start.device)
        for i in range(steps):
            x = step(x, i * h, h)
        return x.mean().item()  # which waits for the device

    return sample
