"""Networks: backbones, heads, layers and pretrained weights."""
