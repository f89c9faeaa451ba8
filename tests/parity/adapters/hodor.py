"""Adapters of HODOR's parts: backbone, soft-masked attention, deformable convolution, stacks."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.case import Case
from vos_jax.checkpoints.names import NameMap
from vos_jax.nn.attention import SoftMaskedAttention
from vos_jax.nn.positions import sinusoidal_map
from vos_jax.nn.pyramid import SwinPyramid
from vos_jax.ops.deformable_convolution import deformable_convolution
from vos_jax.systems.hodor import weights
from vos_jax.systems.hodor.decoder import PixelDecoder
from vos_jax.systems.hodor.descriptors import DescriptorEncoder


def channels_last(x: np.ndarray) -> np.ndarray:
    """Turns [b c y x] into [b y x c]."""
    return np.moveaxis(x, 1, -1)


def channels_first(x: jax.Array) -> np.ndarray:
    """Turns [b y x c] into [b c y x]."""
    return np.moveaxis(np.asarray(x), -1, 1)


def device_params(names: NameMap, tensors: dict[str, np.ndarray], prefix: str) -> dict:
    """The parameter tree of official tensors, as arrays of JAX."""
    return jax.tree.map(jnp.asarray, names.convert(tensors, prefix)[0])


def backbone(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Swin stages and pyramid maps of one image."""
    params = device_params(weights.BACKBONE, case.weights(), "feature_extractor.")
    module = SwinPyramid(
        case.config["variant"], case.config["fpn_channels"], case.config["group_norm_groups"]
    )
    image = jnp.asarray(channels_last(case.inputs["image"]))
    variables = {"params": params}
    stages = jax.jit(lambda x: module.apply(variables, x, method="stages"))(image)
    maps = jax.jit(lambda x: module.apply(variables, x))(image)
    return {f"swin_{k}": channels_first(x) for k, x in enumerate(stages)} | {
        f"fpn_{stride}": channels_first(x) for stride, x in maps.items()
    }


def soft_masked_attention(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Outputs, weights and gradients for several masks, named `<setting>.<result>`."""
    tensors = case.weights()
    prefix = next(name for name in tensors if name.endswith("q_proj.weight"))
    prefix = prefix.removesuffix("q_proj.weight")
    params = device_params(weights.SOFT_MASKED_ATTENTION, tensors, prefix)
    module = SoftMaskedAttention(case.config["num_heads"])
    results = {}
    for setting in case.config["settings"]:
        own = dict(params)
        if f"{setting}.scaling_factors" in case.inputs:
            own["scales"] = case.inputs[f"{setting}.scaling_factors"]
        padding = case.inputs.get(f"{setting}.key_padding_mask")
        results |= _one_setting(case, module, own, setting, padding)
    return results


def _one_setting(case, module, params, setting, padding) -> dict[str, np.ndarray]:
    padding = None if padding is None else jnp.asarray(padding, bool)

    def scalar(params, query, key, value, mask):
        output, attention = module.apply(
            {"params": params}, query, key, value, mask, padding, return_weights=True
        )
        return jnp.sum(output * case.inputs["cotangent"]), (output, attention)

    arrays = [case.inputs[name] for name in ("query", "key", "value", f"{setting}.mask")]
    gradient = jax.jit(jax.value_and_grad(scalar, argnums=(0, 1, 2, 3, 4), has_aux=True))
    (_, (output, attention)), grads = gradient(params, *arrays)
    named = {"output": output, "attn": attention, "grad_scaling_factors": grads[0]["scales"]}
    named |= {
        f"grad_{name}_bias": grads[0][name]["bias"] for name in ("q_proj", "k_proj", "v_proj")
    }
    names = ("query", "key", "value", "mask")
    named |= {f"grad_{name}": grad for name, grad in zip(names, grads[1:], strict=True)}
    return {f"{setting}.{name}": np.asarray(value) for name, value in named.items()}


def deform_conv(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The operator and its gradients."""
    cotangent = channels_last(case.inputs["cotangent"])

    def scalar(x, offsets, kernel, bias):
        y = deformable_convolution(x, offsets, kernel, bias)
        return jnp.sum(y * cotangent), y

    x, offsets = (channels_last(case.inputs[name]) for name in ("x", "offset"))
    kernel = case.inputs["weight"].transpose(2, 3, 1, 0)
    gradient = jax.jit(jax.value_and_grad(scalar, argnums=(0, 1, 2, 3), has_aux=True))
    (_, y), grads = gradient(x, offsets, kernel, case.inputs["bias"])
    return {
        "y": channels_first(y),
        "grad_x": channels_first(grads[0]),
        "grad_offset": channels_first(grads[1]),
        "grad_weight": np.asarray(grads[2]).transpose(3, 2, 0, 1),
        "grad_bias": np.asarray(grads[3]),
    }


def encoder(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Descriptors of a frame, step by step, and gradients to features and masks."""
    config = case.config
    background = config["n_bg_queries"]
    module = DescriptorEncoder(
        channels=config["n_dims"],
        heads=config["n_heads"],
        layers=config["n_layers"],
        hidden=config["ffn_dim"],
        background=background,
        positions=config["pos_encodings_on_keys"],
    )
    params = device_params(weights.ENCODER, case.weights(), "encoder.")

    def scalar(features, bg_mask, fg_mask):
        steps = module.apply({"params": params}, features, bg_mask, fg_mask, method="trace")
        return jnp.sum(steps[-1] * case.inputs["cotangent"]), steps

    names = ("fmap", "bg_mask", "fg_mask")
    arrays = [channels_last(case.inputs[name]) for name in names]
    gradient = jax.jit(jax.value_and_grad(scalar, argnums=(0, 1, 2), has_aux=True))
    (_, steps), grads = gradient(*arrays)
    results = {
        "init_bg": steps[0][:, :background],
        "init_fg": steps[0][:, background:],
        "bg_queries": steps[-1][:, :background],
        "fg_queries": steps[-1][:, background:],
    }
    results |= {f"after_layer_{index}": step for index, step in enumerate(steps[1:])}
    results |= {f"grad_{n}": channels_first(g) for n, g in zip(names, grads, strict=True)}
    positions = sinusoidal_map(*arrays[0].shape[1:])
    return results | {"pos_encoding": channels_first(positions[None])}


def decoder(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Logits with and without validity flags, and what the layers make on the way."""
    config = case.config
    module = PixelDecoder(
        channels=config["n_dims"],
        heads=config["n_heads"],
        layers=config["n_layers"],
        hidden=config["ffn_dim"],
        background=len(case.inputs["bg_query_embed"]),
    )
    params = device_params(weights.DECODER, case.weights(), "decoder.")
    features = {stride: jnp.asarray(channels_last(case.inputs[f"f{stride}"])) for stride in (4, 8)}
    both = [case.inputs[f"{name}_queries"] for name in ("bg", "fg")]
    descriptors = np.concatenate(both, 1).swapaxes(1, 2)
    slots = case.inputs["fg_queries"].shape[1]
    objects = np.tile(case.inputs["fg_query_embed"], (slots, 1))
    embedding = np.concatenate([case.inputs["bg_query_embed"], objects])
    invalid = [case.inputs[f"{name}_invalid"] for name in ("bg", "fg")]
    valid = np.concatenate(invalid, 1).swapaxes(1, 2) == 0

    @jax.jit
    def run(valid):
        return module.apply(
            {"params": params}, features, jnp.asarray(descriptors), jnp.asarray(embedding), valid,
            capture_intermediates=True, mutable="intermediates",
        )  # fmt: skip

    masked, caught = run(valid)
    unmasked, _ = run(None)
    results = {"logits_masked": masked, "logits_unmasked": unmasked}
    for index in range(config["n_layers"]):
        layer = caught["intermediates"][f"layer_{index}"]
        results[f"layer{index}_fmap"] = layer["__call__"][0]
        results[f"layer{index}_offsets"] = layer["conv"]["offsets"]["__call__"][0]
    return {name: channels_first(value) for name, value in results.items()}


ADAPTERS = {
    "hodor/backbone": backbone,
    "hodor/soft_masked_attention": soft_masked_attention,
    "hodor/deform_conv": deform_conv,
    "hodor/encoder": encoder,
    "hodor/decoder": decoder,
}
