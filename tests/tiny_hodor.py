"""The smallest HODOR and a prepared set of one image, for tests of the training command."""

import json
from pathlib import Path

import cv2
import numpy as np

from data_prep.coco import main as prepare
from tests.prepared_sets import annotation, photograph

SIZE = (64, 96)
MODEL = (
    "backbone=small channels=32 heads=8 encoder_layers=1 decoder_layers=1 encoder_ffn=64 "
    "decoder_ffn=64 deformable=False dropout=0.0 cycles=short"
)
STILL = (
    "crop_share=0.0 translate=0.0 rotate=0.0 shear=0.0 min_area=1 warps=('affine',) "
    "colour.hue=0 colour.saturation=0 colour.brightness=0 colour.contrast=0.0"
)
DATA = "canvases=((64,96),) pixels=0 workers=0 slots=2 sources.coco.options.min_area=1"
FAST = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
"""Environment that compiles in a third of the time."""


def one_image_set(root: Path) -> Path:
    """Prepares a set of one photograph with two discs in it; returns its folder."""
    image = cv2.imdecode(np.frombuffer(photograph(1, SIZE), np.uint8), cv2.IMREAD_COLOR) // 3
    circles = [((28, 30), 17, (40, 220, 60)), ((70, 36), 19, (230, 70, 200))]
    annotations = []
    for number, (centre, radius, colour) in enumerate(circles, start=1):
        cv2.circle(image, centre, radius, colour, -1)
        polygon = cv2.ellipse2Poly(centre, (radius, radius), 0, 0, 360, 10).ravel().tolist()
        annotations.append(annotation(number, 1, [polygon], category_id=3))
    (root / "images").mkdir(parents=True)
    cv2.imwrite(str(root / "images" / "1.jpg"), image)
    images = [{"id": 1, "file_name": "1.jpg", "height": SIZE[0], "width": SIZE[1]}]
    categories = [{"id": 3, "name": "disc"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "instances.json").write_text(json.dumps(content))
    arguments = ["--images", str(root / "images"), "--annotations", str(root / "instances.json")]
    assert not prepare([*arguments, "--output", str(root / "prepared")])
    return root / "prepared"


def train_command(root: Path, workdir: Path, *overrides: str) -> list[str]:
    """Arguments of Python that train the smallest HODOR on a prepared set, unaugmented."""
    settings = [
        *(f"model.{each}" for each in MODEL.split()),
        *(f"data.{each}" for each in DATA.split()),
        *(f"data.sources.coco.augmentation.{each}" for each in STILL.split()),
        f"data.root={root}",
        "batch=2",
        *overrides,
    ]
    config = ["--config", "configs/hodor_static.py", "--workdir", str(workdir)]
    return ["-m", "vos_jax.train", *config, *(f"--config.{each}" for each in settings)]
