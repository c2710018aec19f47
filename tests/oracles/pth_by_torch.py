"""Our networks against PyTorch's own, from .pth files that PyTorch wrote, in both of its forms.

    python tests/oracles/pth_by_torch.py --python OTHER/bin/python

OTHER is a virtual environment with torch and efficientnet-lite-pytorch. Random weights; prints the
largest relative difference of PoseNet (as its PyTorch port builds it) and of EfficientNet-Lite0,
and fails above 1e-4.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from posenet.models import efficientnet_lite
from posenet.models.weights.load import load_network
from posenet.models.weights.pretrained import load_weights

RUN = """
import sys
import numpy as np
import torch
from torch import nn
from efficientnet_lite_pytorch import EfficientNet

folder = sys.argv[1]
torch.manual_seed(0)


def randomise(net):
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            fan = module.weight[0].numel()
            nn.init.normal_(module.weight, 0, (2 / fan) ** 0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.1)
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.3, 0.3),
                                      (module.running_mean, -0.3, 0.3), (module.running_var, 0.5, 1.5)):
                nn.init.uniform_(tensor, low, high)
    return net.eval()


def save(net, name):
    torch.save({"state_dict": net.state_dict(), "epoch": 3}, f"{folder}/{name}.pth")
    torch.save(net.state_dict(), f"{folder}/{name}_legacy.pth", _use_new_zipfile_serialization=False)


def conv(given, made, size, stride=1):
    return nn.Conv2d(given, made, size, stride, padding=size // 2)


class Block(nn.Module):
    def __init__(self, given, one, reduce3, three, reduce5, five, projection):
        super().__init__()
        relu = nn.ReLU()
        self.branch_x1 = nn.Sequential(conv(given, one, 1), relu)
        self.branch_x3 = nn.Sequential(conv(given, reduce3, 1), relu, conv(reduce3, three, 3), relu)
        self.branch_x5 = nn.Sequential(conv(given, reduce5, 1), relu, conv(reduce5, five, 5), relu)
        self.branch_proj = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(given, projection, 1), relu)

    def forward(self, x):
        return torch.cat([self.branch_x1(x), self.branch_x3(x), self.branch_x5(x), self.branch_proj(x)], 1)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(conv(3, 64, 7, 2), nn.ReLU())
        self.conv2 = nn.Sequential(conv(64, 64, 1), nn.ReLU(), conv(64, 192, 3), nn.ReLU())
        self.incp3a = Block(192, 64, 96, 128, 16, 32, 32)
        self.incp3b = Block(256, 128, 128, 192, 32, 96, 64)
        self.incp4a = Block(480, 192, 96, 208, 16, 48, 64)
        self.incp4b = Block(512, 160, 112, 224, 24, 64, 64)
        self.incp4c = Block(512, 128, 128, 256, 24, 64, 64)
        self.incp4d = Block(512, 112, 144, 288, 32, 64, 64)
        self.incp4e = Block(528, 256, 160, 320, 32, 128, 128)
        self.incp5a = Block(832, 256, 160, 320, 32, 128, 128)
        self.incp5b = Block(832, 384, 192, 384, 48, 128, 128)

    def forward(self, x):
        pool, norm = nn.MaxPool2d(3, 2, 1), nn.LocalResponseNorm(5)
        x = pool(norm(self.conv2(norm(pool(self.conv1(x))))))
        x = pool(self.incp3b(self.incp3a(x)))
        x = self.incp4e(self.incp4d(self.incp4c(self.incp4b(self.incp4a(x)))))
        return self.incp5b(self.incp5a(pool(x)))


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.regress_fc_pose = nn.Sequential(nn.Linear(1024, 2048), nn.ReLU(), nn.Dropout(0.5))
        self.regress_fc_xyz = nn.Linear(2048, 3)
        self.regress_fc_wpqr = nn.Linear(2048, 4)

    def forward(self, x):
        x = self.regress_fc_pose(nn.AvgPool2d(7, 1)(x).flatten(1))
        return self.regress_fc_xyz(x), self.regress_fc_wpqr(x)


class PoseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.extract, self.regress3 = Backbone(), Head()

    def forward(self, x):
        return self.regress3(self.extract(x))


image = torch.from_numpy(np.load(folder + "/input.npy")).permute(0, 3, 1, 2)
posenet = randomise(PoseNet())
save(posenet, "posenet")
lite = randomise(EfficientNet.from_name("efficientnet-lite0"))
save(lite, "lite")
with torch.no_grad():
    position, quaternion = posenet(image - 120)
    shares = torch.softmax(lite((image - 127) / 128), 1)
np.savez(folder + "/theirs.npz", position=position, quaternion=quaternion, shares=shares)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", required=True, help="the other environment's Python")
    other = parser.parse_args().python
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = np.random.default_rng(1).uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
        np.save(folder / "input.npy", image)
        subprocess.run([other, "-c", RUN, name], check=True)
        theirs = np.load(folder / "theirs.npz")
        for form in ("", "_legacy"):
            network = load_network(folder / f"posenet{form}.pth", labels="world_from_camera")
            ours = network.predict(image - 120, verbose=0)
            lite = efficientnet_lite.classifier()
            assert not load_weights(lite, "efficientnet_lite0", folder / f"lite{form}.pth").missing
            ours["shares"] = lite.predict(image, verbose=0)
            for part in ("position", "quaternion", "shares"):
                worst = max(
                    worst,
                    float(np.abs(ours[part] - theirs[part]).max() / np.abs(theirs[part]).max()),
                )
            keras.backend.clear_session()
    print(f"largest relative difference to PyTorch: {worst:.2g}")
    return int(worst > 1e-4)


if __name__ == "__main__":
    sys.exit(main())
