"""Runs the official HODOR's data sets of a checkout; needs torch and imgaug, not vos_jax.

Started by `vos_jax.benchmarking.input` with another Python: `python hodor_input.py CHECKOUT`.
Each line on standard input is a JSON request {"folder": F, "reads": [[[video, time, length],
...], ...], "objects": [...], "seed": S}: clips made of these frames with so many objects, in a
folder with `images/` and `annotations.json` in one of HODOR's forms. Each answer is a JSON line
with the processor seconds of making the clips, whole and by part, and their pixels. The data sets
and augmentations are the checkout's own; only numpy 2 is given back an attribute that imgaug 0.4
looks up.
"""

import collections
import json
import random
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from timing import timed

if not hasattr(np, "sctypes"):
    _SIZES = {"float": (2, 4, 8), "int": (1, 2, 4, 8), "uint": (1, 2, 4, 8)}
    np.sctypes = {n: [np.dtype(f"{n[0]}{s}").type for s in sizes] for n, sizes in _SIZES.items()}

import imgaug


def open_dataset(folder: str):
    """The official data set over the folder, and whether it is of stills."""
    from hodor import config

    images, annotations = str(Path(folder) / "images"), str(Path(folder) / "annotations.json")
    stills = "images" in json.loads(Path(annotations).read_text())
    config.update_cfg("static_image.yaml" if stills else "dense_video.yaml", verbose=False)
    training = config.cfg.TRAINING
    if stills:
        from hodor.data.images.coco import CocoDataset

        return CocoDataset(images, annotations, 1, 1, "px"), True
    from hodor.data.vos.dense_dataset import DenseVideoDataset

    return DenseVideoDataset(
        images,
        annotations,
        "davis",
        samples_to_create=1,
        num_instances=1,
        min_delta_t=1,
        max_delta_t=16,
        min_ref_mask_area=training.MIN_REF_MASK_AREA,
        min_ref_mask_dim=training.MIN_REF_MASK_DIM,
        apply_color_augmentations=True,
    ), False


def time_parts(seconds: dict[str, float]) -> None:
    """Times the decoding of images, and normalising."""
    from hodor.data.images import image_dataset_base
    from hodor.data.vos import dense_dataset

    timed(cv2, "imread", "jpeg", seconds)
    for module in (image_dataset_base, dense_dataset):
        timed(module, "scale_and_normalize_images", "normalise", seconds)


def samples(dataset, stills: bool, request: dict) -> list:
    """The data set's own form of the requested clips, with objects drawn at random."""
    made = []
    for clip, objects in zip(request["reads"], request["objects"], strict=True):
        name, first, _ = clip[0]
        if stills:
            count = dataset.images[name].num_instances
            made.append({"img_id": name, "instance_ids": random.sample(range(count), objects)})
        else:
            known = sorted(dataset.sequences[name].tracks[first])
            others = [time for _, time, _ in clip[1:]]
            made.append([name, first, others, random.sample(known, objects)])
    return made


def answer(request: dict, seconds: dict[str, float]) -> dict:
    """Makes the requested clips one by one."""
    random.seed(request["seed"])
    np.random.seed(request["seed"])
    imgaug.seed(request["seed"])
    dataset, stills = open_dataset(request["folder"])
    dataset.samples = samples(dataset, stills, request)
    seconds.clear()
    pixels, start = 0, time.process_time()
    for number in range(len(dataset.samples)):
        sample = dataset[number]
        pixels += (1 + len(sample["other_images"])) * sample["ref_mask"].numel()
    total = time.process_time() - start
    return {"seconds": total, "parts": dict(seconds), "pixels": pixels}


def main() -> None:
    """Answers requests until standard input ends."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    sys.path.insert(0, sys.argv[1])
    seconds = collections.defaultdict(float)
    time_parts(seconds)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), seconds)), flush=True)


if __name__ == "__main__":
    main()
