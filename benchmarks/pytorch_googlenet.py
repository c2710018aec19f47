"""GoogLeNet with batch normalization in PyTorch, timed on request; started by against_pytorch.py.

It is the network of `posenet.models.googlenet.googlenet_bn` layer by layer, in channels_last, which
is PyTorch's fastest layout on CPUs. It imports PyTorch and nothing of posenet, so that PyTorch may
be in an environment of its own. For each line of standard input, a task and a number of images, it
does the task once and prints the seconds.
"""

import argparse
import sys
import time

import torch
from torch import nn
from torch.nn import functional

# As in posenet.models.googlenet.BLOCKS.
BLOCKS = {
    "icp1": (64, 96, 128, 16, 32, 32),
    "icp2": (128, 128, 192, 32, 96, 64),
    "icp3": (192, 96, 208, 16, 48, 64),
    "icp4": (160, 112, 224, 24, 64, 64),
    "icp5": (128, 128, 256, 24, 64, 64),
    "icp6": (112, 144, 288, 32, 64, 64),
    "icp7": (256, 160, 320, 32, 128, 128),
    "icp8": (256, 160, 320, 32, 128, 128),
    "icp9": (384, 192, 384, 48, 128, 128),
}
AUXILIARY_WEIGHT = 0.3


class ConvNorm(nn.Module):
    """Convolution, batch normalization, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the feature map."""
        return functional.relu(self.norm(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """An inception block."""

    def __init__(self, inputs: int, filters: tuple[int, ...]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, projection = filters
        self.one = ConvNorm(inputs, one, 1)
        self.three = nn.Sequential(ConvNorm(inputs, reduce3, 1), ConvNorm(reduce3, three, 3))
        self.five = nn.Sequential(ConvNorm(inputs, reduce5, 1), ConvNorm(reduce5, five, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), ConvNorm(inputs, projection, 1))
        self.outputs = one + three + five + projection

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the feature map."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], 1)


class PoseHead(nn.Module):
    """Position and quaternion from a feature map."""

    def __init__(self, inputs: int, spatial: int, cells: int) -> None:
        super().__init__()
        self.where = ConvNorm(inputs, spatial, 1)
        self.hidden = nn.Linear(inputs + spatial * cells, 256)
        self.position = nn.Linear(256, 3)
        self.quaternion = nn.Linear(256, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (b, 3) and (b, 4)."""
        features = torch.cat([x.mean((2, 3)), self.where(x).flatten(1)], 1)
        hidden = functional.relu(self.hidden(features))
        return self.position(hidden).float(), self.quaternion(hidden).float()


class GoogLeNet(nn.Module):
    """The network with two auxiliary heads, which it returns in training only."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvNorm(3, 64, 7, 2),
            nn.MaxPool2d(3, 2, 1),
            ConvNorm(64, 64, 1),
            ConvNorm(64, 192, 3),
            nn.MaxPool2d(3, 2, 1),
        )
        blocks = {}
        channels = 192
        for name, filters in BLOCKS.items():
            blocks[name] = Inception(channels, filters)
            channels = blocks[name].outputs
        self.blocks = nn.ModuleDict(blocks)
        cells = -(-height // 16) * -(-width // 16)
        self.head = PoseHead(1024, 64, -(-height // 32) * -(-width // 32))
        self.auxiliary = nn.ModuleDict(
            {"icp3": PoseHead(512, 8, cells), "icp6": PoseHead(528, 8, cells)}
        )
        # Learned weights of position and rotation (Kendall and Cipolla, 2017).
        self.log_variances = nn.Parameter(torch.tensor([0.0, -3.0]))

    def forward(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the poses of the heads, the final one first."""
        x = self.stem(images / 64.0 - 2.0)
        others = []
        for name, block in self.blocks.items():
            if name in ("icp3", "icp8"):
                x = functional.max_pool2d(x, 3, 2, 1)
            x = block(x)
            if self.training and name in self.auxiliary:
                others.append(self.auxiliary[name](x))
        return [self.head(x), *others]

    def loss(
        self, images: torch.Tensor, position: torch.Tensor, quaternion: torch.Tensor
    ) -> torch.Tensor:
        """Return the training loss of a batch."""
        total = torch.zeros(())
        log_position, log_rotation = self.log_variances
        weights = (1.0, AUXILIARY_WEIGHT, AUXILIARY_WEIGHT)
        for weight, (where, turn) in zip(weights, self(images), strict=True):
            far = (where - position).abs().sum(1)
            turned = (functional.normalize(turn) - quaternion).abs().sum(1)
            pose = far * torch.exp(-log_position) + log_position
            pose = pose + turned * torch.exp(-log_rotation) + log_rotation
            total = total + weight * pose.mean()
        return total


def main() -> None:
    """Answer requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--size", type=int, nargs=2, default=(128, 176), metavar=("HEIGHT", "WIDTH")
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    torch.manual_seed(0)
    network = GoogLeNet(*options.size)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # in torch's stubs
    count = sum(parameter.numel() for parameter in network.parameters())
    threads = torch.get_num_threads()
    print(f"PyTorch {torch.__version__}, {threads} threads", count, sep="\t", flush=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, foreach=True)
    cast = torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bfloat16")

    def images(number: int) -> torch.Tensor:
        return (255 * torch.rand(number, 3, *options.size)).to(memory_format=torch.channels_last)

    inputs = {number: images(number) for number in (1, 32, options.batch)}
    position = torch.randn(options.batch, 3)
    quaternion = functional.normalize(torch.randn(options.batch, 4))

    def train() -> None:
        network.train()
        optimizer.zero_grad(set_to_none=True)
        with cast:
            loss = network.loss(inputs[options.batch], position, quaternion)
        loss.backward()
        optimizer.step()

    def predict(number: int) -> None:
        network.eval()
        with torch.inference_mode(), cast:
            network(inputs[number])

    for line in sys.stdin:
        task, number, repeats = line.split()
        start = time.perf_counter()
        for _ in range(int(repeats)):
            if task == "train":
                train()
            else:
                predict(int(number))
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
