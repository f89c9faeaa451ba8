"""Size rules against the official program's tables, and the geometry's own arithmetic."""

import pytest

from vos_jax.core.geometry import Geometry, by_area, by_short_side, pad_to_multiple


@pytest.mark.parametrize(
    ("size", "shortest", "longest", "resized", "padded"),
    [
        ((480, 854), 512, 987, (512, 911), (512, 928)),
        ((480, 854), 576, 1200, (576, 1025), (576, 1056)),
        ((480, 854), 448, 864, (448, 797), (448, 800)),
        ((480, 854), 480, 926, (480, 854), (480, 864)),
        ((480, 910), 512, 987, (512, 971), (512, 992)),
        ((480, 910), 576, 1200, (576, 1092), (576, 1120)),
        ((80, 110), 96, 185, (96, 132), (96, 160)),
        ((100, 1000), 448, 864, (86, 864), (96, 864)),
        ((1000, 100), 448, 864, (864, 86), (864, 96)),
    ],
)
def test_short_side_rule_matches_official_table(size, shortest, longest, resized, padded):
    assert by_short_side(size, shortest, longest) == resized
    assert pad_to_multiple(resized, 32) == padded


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((480, 640), (474, 632)),
        ((427, 640), (447, 671)),
        ((640, 427), (670, 447)),
        ((612, 612), (547, 548)),
        ((375, 500), (474, 632)),
        ((333, 500), (446, 672)),
        ((640, 361), (729, 411)),
    ],
)
def test_area_rule_matches_official_table(size, resized):
    assert by_area(size, 300000) == resized


@pytest.mark.parametrize("size", [(1, 1), (480, 854), (33, 7), (5, 640)])
def test_area_rule_never_exceeds_the_area(size):
    height, width = by_area(size, 300000)
    assert height * width <= 300000


@pytest.mark.parametrize("side", range(1, 70))
def test_padded_side_is_the_smallest_multiple(side):
    (padded, other) = pad_to_multiple((side, side), 32)
    assert padded == other
    assert padded % 32 == 0
    assert 0 <= padded - side < 32


def test_output_defaults_to_the_frame():
    geometry = Geometry(frame=(48, 85), resized=(51, 90), network=(64, 96))
    assert geometry.output == (48, 85)
    assert geometry.padding == ((0, 13), (0, 6))


def test_offset_shifts_the_padding_to_the_front():
    geometry = Geometry(frame=(48, 85), resized=(48, 85), network=(48, 96), offset=(0, 5))
    assert geometry.padding == ((0, 0), (5, 6))


def test_geometries_of_equal_sizes_select_the_same_compiled_step():
    assert Geometry.unchanged((32, 64)) == Geometry.unchanged((32, 64))
    assert len({Geometry.unchanged((32, 64)), Geometry.unchanged((32, 64))}) == 1
    assert Geometry.unchanged((32, 64)) != Geometry.unchanged((32, 64), align_corners=True)
