"""Turn an image file into the input of an exported network, as its JSON file says.

Needs numpy and OpenCV only. Other languages and libraries: every step is in the JSON file too.
"""

import cv2
import numpy as np

# OpenCV's flags to decode a JPEG at a fraction of its size, smallest first.
REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}


def load_input(path: str, preprocessing: dict) -> np.ndarray:
    """Return the input of the network for an image file, shape (1, h, w, 3), float32."""
    height, width = preprocessing["resized_hw"]
    image = cover(read_rgb(path, height, width), height, width)
    image = normalize_exposure(image, preprocessing["exposure"])
    rows, columns = preprocessing["crop_hw"]
    top, left = (height - rows) // 2, (width - columns) // 2
    crop = image[top : top + rows, left : left + columns]
    return crop[None].astype(np.float32)


def read_rgb(path: str, height: int, width: int) -> np.ndarray:
    """Decode an image, upright; a JPEG that is much too large at a fraction of its size."""
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"not a valid image: {path}")
    spare = min(image.shape[0] / height, image.shape[1] / width)
    for factor, flag in REDUCED.items():
        if spare >= factor and path.lower().endswith((".jpg", ".jpeg")):
            image = cv2.imread(path, flag)
            break
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def cover(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale an image until it just covers a size, and cut the center."""
    old_height, old_width = image.shape[:2]
    scale = max(width / old_width, height / old_height)
    new_width = max(width, round(old_width * scale))
    new_height = max(height, round(old_height * scale))
    if (new_width, new_height) != (old_width, old_height):
        method = cv2.INTER_AREA if new_width < old_width else cv2.INTER_CUBIC
        image = cv2.resize(image, (new_width, new_height), interpolation=method)
    top, left = (new_height - height) // 2, (new_width - width) // 2
    return image[top : top + height, left : left + width]


def normalize_exposure(image: np.ndarray, exposure: dict) -> np.ndarray:
    """Brighten a dark image."""
    step = exposure["pixel_step"]
    brightness = float(np.percentile(image[::step, ::step], exposure["percentile"]))
    if brightness >= exposure["target"]:
        return image
    gain = min(exposure["max_gain"], exposure["target"] / max(brightness, 1.0))
    return cv2.convertScaleAbs(image, alpha=gain)
