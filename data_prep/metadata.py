"""`features.json` and `dataset_info.json`, which make a prepared folder readable by tfds."""

import json
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from vos_jax.core.errors import OutputError
from vos_jax.data.records import INFO_FILE, METADATA_FILE

VERSION = "1.0.0"
FEATURES_FILE = "features.json"


def features() -> tfds.features.FeaturesDict:
    """The schema of every record (see `vos_jax.data.frames.Frame` for the meanings).

    `mask` stays undecoded bytes: tfds would turn palette indices into colours.
    """
    string = tfds.features.Tensor(shape=(), dtype=np.object_)
    integer = tfds.features.Scalar(np.int64)
    return tfds.features.FeaturesDict(
        {
            "video": tfds.features.Text(),
            "frame": tfds.features.Text(),
            "time": integer,
            "source": tfds.features.Text(),
            "image": tfds.features.Image(shape=(None, None, 3)),
            "height": integer,
            "width": integer,
            "annotated": tfds.features.Scalar(np.bool_),
            "mask": string,
            "objects": tfds.features.Sequence(
                {
                    "id": integer,
                    "category": integer,
                    "area": tfds.features.Scalar(np.float32),
                    "box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
                    "crowd": tfds.features.Scalar(np.bool_),
                }
            ),
            "rles": tfds.features.Sequence(string),
        }
    )


def read_info(output: Path, dataset: str) -> dict:
    """The `dataset_info.json` of a folder, or a new one.

    Raises:
        OutputError: the folder holds another data set, or garbage under that name.
    """
    path = output / INFO_FILE
    try:
        info = json.loads(path.read_text())
        name = info["name"]
    except FileNotFoundError:
        return {"name": dataset, "version": VERSION, "fileFormat": "tfrecord", "splits": []}
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is garbage: delete it or choose another --output") from error
    if name != dataset:
        raise OutputError(f"{output} holds the data set {name}: choose another --output")
    return info


def write_metadata(
    output: Path,
    dataset: str,
    split: str,
    shard_lengths: list[int],
    size: int,
    categories: dict[int, str],
) -> None:
    """Adds a finished split to the folder's metadata, leaving other splits alone.

    Args:
        output: the prepared folder.
        dataset: name of the data set.
        split: name of the split.
        shard_lengths: records per shard.
        size: bytes of all shards.
        categories: names of the object categories by id; stored as tfds metadata.
    """
    info = read_info(output, dataset)
    entry = {
        "name": split,
        "numBytes": str(size),
        "shardLengths": [str(length) for length in shard_lengths],
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    }
    others = [other for other in info["splits"] if other["name"] != split]
    info["splits"] = sorted([*others, entry], key=lambda other: other["name"])
    _write_json(output / FEATURES_FILE, features().to_json())
    path = output / METADATA_FILE
    named = json.loads(path.read_text())["categories"] if path.is_file() else {}
    named |= {str(category): name for category, name in categories.items()}
    _write_json(path, {"categories": named})
    _write_json(output / INFO_FILE, info)


def _write_json(path: Path, content: dict) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    temporary.rename(path)
