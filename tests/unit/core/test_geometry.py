"""Size rules against the official program's tables, and the geometry's own arithmetic."""

import pytest

from vos_jax.core.geometry import (
    Geometry,
    by_area,
    by_limits,
    by_short_side,
    by_shorter_side,
    centred_padding,
    pad_to_multiple,
)


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


@pytest.mark.parametrize(
    ("size", "shortest", "resized"),
    [
        ((720, 1280), 480, (480, 853)),
        ((1280, 720), 480, (853, 480)),
        ((45, 80), 54, (54, 96)),
        ((45, 80), 30, (30, 53)),
        ((480, 854), 480, (480, 854)),
        ((33, 33), 20, (20, 20)),
    ],
)
def test_shorter_side_rule_cuts_the_longer_side_to_whole_pixels(size, shortest, resized):
    assert by_shorter_side(size, shortest) == resized


@pytest.mark.parametrize("short", range(1, 60, 7))
def test_shorter_side_rule_turns_with_the_frame(short):
    size = (short, short + 13)
    assert by_shorter_side(size[::-1], 24) == by_shorter_side(size, 24)[::-1]
    assert by_shorter_side(size, short) == size


@pytest.mark.parametrize(
    ("size", "network", "offset"),
    [
        ((480, 854), (480, 864), (0, 5)),
        ((480, 910), (480, 912), (0, 1)),
        ((1, 17), (16, 32), (7, 7)),
        ((48, 85), (48, 96), (0, 5)),
    ],
)
def test_padding_is_centred_with_the_odd_pixel_behind(size, network, offset):
    assert centred_padding(size, 16) == (network, offset)


@pytest.mark.parametrize("side", range(1, 40))
def test_centred_padding_leaves_at_most_one_pixel_more_behind(side):
    (padded, _), (before, _) = centred_padding((side, 16), 16)
    behind = padded - side - before
    assert padded % 16 == 0
    assert behind - before in (0, 1)


@pytest.mark.parametrize(
    "shortest, longest, scale, size",
    [
        (None, 1000.0, 1.0, (500, 800)),
        (400.0, 1000.0, 1.0, (400, 640)),
        (400.0, 320.0, 1.5, (300, 480)),
    ],
)
def test_limits_come_before_the_scale(shortest, longest, scale, size):
    assert by_limits((500, 800), shortest, longest, scale) == size
    assert by_limits((800, 500), shortest, longest, scale) == size[::-1]
