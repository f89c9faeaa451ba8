"""The tensors of official AOT and DeAOT checkpoints."""

from vos_jax.checkpoints.names import CONV, NameMap, Rule, layer, norm
from vos_jax.systems.aot.encoder_weights import ENCODERS, POINTWISE


def _renamed(names: dict[str, str], prefix: str = "") -> list[Rule]:
    """The rules of linear layers by official name."""
    return [
        rule
        for official, ours in names.items()
        for rule in layer(official.replace(".", r"\."), prefix + ours)
    ]


RELATIVE_KEY = [
    Rule(r"relative_emb_k\.weight", "relative_key/kernel", POINTWISE),
    Rule(r"relative_emb_k\.bias", "relative_key/bias"),
]

LOCAL_ATTENTION = NameMap(
    [
        *RELATIVE_KEY,
        Rule("relative_emb_v", "relative_value"),
        *layer("projection", "short_projection"),
    ]
)

AOT_LAYER = LOCAL_ATTENTION.under(r"short_term_attn\.") + NameMap(
    [
        *norm("(?P<n>norm[123])", r"\g<n>"),
        *_renamed(
            {
                "linear_Q": "query",
                "linear_V": "value",
                "self_attn.linear_Q": "self_query",
                "self_attn.linear_K": "self_key",
                "self_attn.linear_V": "self_value",
                "self_attn.projection": "self_projection",
                "long_term_attn.projection": "long_projection",
                "linear1": "linear1",
                "linear2": "linear2",
            }
        ),
        *norm(r"activation\.gn", "ffn_norm"),
        Rule(r"activation\.conv\.weight", "ffn_conv/kernel", CONV),
    ]
)

GATED_PROJECTION = NameMap(
    [
        Rule(r"dw_conv\.conv\.weight", "conv/kernel", CONV),
        *layer("projection", "projection"),
    ]
)

DEAOT_LAYER = (
    NameMap(
        [
            *norm("(?P<n>(id_)?norm[12])", r"\g<n>"),
            *_renamed(
                {
                    "linear_QV": "query_value",
                    "linear_U": "gate",
                    "linear_ID_V": "id_value",
                    "linear_ID_U": "id_gate",
                    "self_attn.linear_QK": "self_query",
                    "self_attn.linear_V1": "self_value",
                    "self_attn.linear_V2": "self_id_value",
                    "self_attn.linear_U1": "self_gate",
                    "self_attn.linear_U2": "self_id_gate",
                }
            ),
        ]
    )
    + NameMap(RELATIVE_KEY).under(r"short_term_attn\.")
    + GATED_PROJECTION.under(r"long_term_attn\.", "long/")
    + GATED_PROJECTION.under(r"short_term_attn\.", "short/")
    + GATED_PROJECTION.under(r"self_attn\.", "own/")
)

DECODER = NameMap(
    [
        *layer(r"conv_(?P<s>in|16|8|4)x?\.conv", r"conv_\g<s>", CONV),
        *norm(r"conv_(?P<s>in|16|8|4)x?\.gn", r"norm_\g<s>"),
        *layer(r"adapter_(?P<s>16|8|4)x", r"adapter_\g<s>", CONV),
        *layer("conv_out", "conv_out", CONV),
    ]
)

_NUMBERED = r"layers\.(?P<l>\d+)\.", r"layers_\g<l>/"
AOT_LAYERS = AOT_LAYER.under(*_NUMBERED) + NameMap(
    [*norm(r"decoder_norms\.(?P<l>\d+)", r"norms_\g<l>"), Rule("mask_token", "mask_token")]
)
DEAOT_LAYERS = DEAOT_LAYER.under(*_NUMBERED) + NameMap(norm(r"decoder_norms\.0\.gn", "norms_0"))

_SHARED = DECODER.under(r"decoder\.", "decoder/") + NameMap(
    [
        *layer("encoder_projector", "projector", CONV),
        *layer("patch_wise_id_bank", "identity_bank", CONV),
    ]
)
WITHOUT_ENCODER = {
    "aot": _SHARED + AOT_LAYERS.under(r"LSTT\."),
    "deaot": _SHARED + DEAOT_LAYERS.under(r"LSTT\.") + NameMap(norm("id_norm", "identity_norm")),
}
"""All but the encoder, by family."""


def aot_names(backbone: str, family: str) -> NameMap:
    """The map of a whole network."""
    return WITHOUT_ENCODER[family] + ENCODERS[backbone].under(r"encoder\.", "encoder/network/")
