"""Networks: the registry of trunks, and how one becomes a network that answers with a pose."""

from posenet.models.build import TRUNKS, build_network, inference_network, trunk_named

__all__ = ["TRUNKS", "build_network", "inference_network", "trunk_named"]
