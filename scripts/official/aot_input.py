"""Runs the official AOT's training data sets of a checkout; needs torch, not vos_jax.

Started by `vos_jax.benchmarking.input` with another Python: `python aot_input.py CHECKOUT`. Each
line on standard input is a JSON request {"folder": F, "reads": [[[video, number, length], ...],
...], "seed": S}: clips of the first read's image or video, in a folder in AOT's form of still
images or in that of DAVIS. Each answer is a JSON line with the processor seconds of making the
clips, whole and by part, and their pixels. The data sets and transforms are the checkout's own,
as its trainer composes them (augmentation v2); the few things they use of torchvision on Pillow
images are stood in for here, in torchvision's own way: `ImageEnhance` and `Image.transform`.
"""

import collections
import json
import math
import random
import sys
import time
import types
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageEnhance
from timing import timed

MERGE = {"stills": 1.0, "videos": 0.3}
SIZE, FRAMES, OBJECTS = (465, 465), 5, 10


class ColorJitter:
    """Brightness, contrast, saturation and hue of a Pillow image, in random order."""

    def __init__(self, brightness: float, contrast: float, saturation: float, hue: float):
        self.ranges = [(1 - x, 1 + x) for x in (brightness, contrast, saturation)]
        self.ranges.append((-hue, hue))

    def __call__(self, image: Image.Image) -> Image.Image:
        """Draws and applies."""
        kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for number in torch.randperm(4).tolist():
            amount = torch.tensor(1.0).uniform_(*self.ranges[number]).item()
            image = kinds[number](image).enhance(amount) if number < 3 else turn(image, amount)
        return image


def turn(image: Image.Image, amount: float) -> Image.Image:
    """Turns the hue by a fraction of the circle."""
    hue, saturation, value = image.convert("HSV").split()
    turned = np.array(hue, dtype=np.uint8) + np.array(int(amount * 255)).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")


class RandomGrayscale:
    """Grey in three channels with some probability."""

    def __init__(self, p: float):
        self.p = p

    def __call__(self, image: Image.Image) -> Image.Image:
        """Draws and applies."""
        if torch.rand(1) >= self.p:
            return image
        return Image.fromarray(np.dstack([np.array(image.convert("L"), dtype=np.uint8)] * 3))


class RandomApply:
    """Other transforms with some probability."""

    def __init__(self, transforms: list, p: float):
        self.transforms, self.p = transforms, p

    def __call__(self, image: Image.Image) -> Image.Image:
        """Draws and applies."""
        if self.p < torch.rand(1):
            return image
        for transform in self.transforms:
            image = transform(image)
        return image


class ToTensor:
    """A Pillow image as floats [3, h, w] in 0..1."""

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Converts."""
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return tensor.to(torch.float32).div(255)


class Normalize:
    """Subtracts means and divides by deviations of channels."""

    def __init__(self, mean: tuple, std: tuple):
        self.mean, self.std = (torch.tensor(values)[:, None, None] for values in (mean, std))

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        """Normalises a copy."""
        return tensor.clone().sub_(self.mean).div_(self.std)


def affine(image: Image.Image, angle, translate, scale, shear, resample=0, fillcolor=None):
    """Rotation, shear, enlargement and shift about the centre."""
    turned, across, down = math.radians(angle), *(math.radians(s) for s in shear)
    centre = (image.size[0] * 0.5 + 0.5, image.size[1] * 0.5 + 0.5)
    a = math.cos(turned - down) / math.cos(down)
    b = -math.cos(turned - down) * math.tan(across) / math.cos(down) - math.sin(turned)
    c = math.sin(turned - down) / math.cos(down)
    d = -math.sin(turned - down) * math.tan(across) / math.cos(down) + math.cos(turned)
    matrix = [x / scale for x in (d, -b, 0.0, -c, a, 0.0)]
    away = [-centre[i] - translate[i] for i in range(2)]
    for row in range(2):
        first, second = matrix[3 * row], matrix[3 * row + 1]
        matrix[3 * row + 2] = first * away[0] + second * away[1] + centre[row]
    kind = Image.Transform.AFFINE
    return image.transform(image.size, kind, matrix, resample, fillcolor=fillcolor)


def resized_crop(image: Image.Image, top, left, height, width, size, interpolation):
    """A part at another size."""
    part = image.crop((left, top, left + width, top + height))
    return part.resize(size[::-1], interpolation)


def stand_in_for_torchvision() -> None:
    """Puts modules with the above in torchvision's place."""
    functional = types.ModuleType("torchvision.transforms.functional")
    functional.affine, functional.resized_crop = affine, resized_crop
    functional.hflip = lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    functional._is_pil_image = lambda image: isinstance(image, Image.Image)
    transforms = types.ModuleType("torchvision.transforms")
    for kind in (ColorJitter, RandomGrayscale, RandomApply, ToTensor, Normalize):
        setattr(transforms, kind.__name__, kind)
    transforms.functional = functional
    package = types.ModuleType("torchvision")
    package.transforms = transforms
    sys.modules["torchvision"] = package
    sys.modules["torchvision.transforms"] = transforms
    sys.modules["torchvision.transforms.functional"] = functional


class Compose:
    """Transforms one after the other."""

    def __init__(self, *transforms):
        self.transforms = transforms

    def __call__(self, sample: dict) -> dict:
        """Applies them."""
        for transform in self.transforms:
            sample = transform(sample)
        return sample


def open_dataset(folder: Path):
    """The official data set over the folder, and the names of its items."""
    from dataloaders import train_datasets
    from dataloaders import video_transforms as tr

    if (folder / "JPEGImages" / "COCO").is_dir():
        options = {"seq_len": FRAMES, "max_obj_n": OBJECTS, "aug_type": "v2"}
        merging = {"merge_prob": MERGE["stills"]}
        dataset = train_datasets.StaticTrain(str(folder), SIZE, **options, **merging)
        return dataset, [Path(path).stem for path in dataset.img_list]
    transform = Compose(
        tr.RandomScale(0.7, 1.3, 480),
        tr.BalancedRandomCrop(SIZE, max_obj_num=OBJECTS),
        tr.RandomColorJitter(),
        tr.RandomGrayScale(),
        tr.RandomGaussianBlur(),
        tr.RandomHorizontalFlip(0.5),
        tr.Resize(SIZE, use_padding=True),
        tr.ToTensor(),
    )
    dataset = train_datasets.DAVIS2017_Train(
        root=str(folder),
        full_resolution=False,
        transform=transform,
        seq_len=FRAMES,
        rand_gap=12,
        merge_prob=MERGE["videos"],
        max_obj_n=OBJECTS,
    )
    return dataset, dataset.seqs


def time_parts(seconds: dict[str, float]) -> None:
    """Times the decoding of images, and normalising."""
    from dataloaders import train_datasets, video_transforms

    load = train_datasets.StaticTrain.load_image_in_PIL

    def loaded(self, path, mode="RGB"):
        start = time.process_time()
        image = load(self, path, mode)
        seconds["jpeg" if mode == "RGB" else "masks"] += time.process_time() - start
        return image

    train_datasets.StaticTrain.load_image_in_PIL = loaded
    timed(cv2, "imread", "jpeg", seconds)
    for kind in (ToTensor, Normalize, video_transforms.ToTensor):
        timed(kind, "__call__", "normalise", seconds)


def answer(request: dict, seconds: dict[str, float]) -> dict:
    """Makes the requested clips one by one."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(request["seed"])
    dataset, names = open_dataset(Path(request["folder"]))
    items = [names.index(clip[0][0]) for clip in request["reads"]]
    seconds.clear()
    start = time.process_time()
    for item in items:
        sample = dataset[item]
    total = time.process_time() - start
    pixels = len(items) * FRAMES * sample["ref_label"].numel()
    return {"seconds": total, "parts": dict(seconds), "pixels": pixels}


def main() -> None:
    """Answers requests until standard input ends."""
    torch.set_num_threads(1)
    stand_in_for_torchvision()
    sys.path.insert(0, sys.argv[1])
    seconds = collections.defaultdict(float)
    time_parts(seconds)
    cv2.setNumThreads(0)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), seconds)), flush=True)


if __name__ == "__main__":
    main()
