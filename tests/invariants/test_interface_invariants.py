"""Toy systems under each resolve policy hold what the interface promises."""

import functools

import pytest

from tests.invariants.interface_checks import CHECKS, Case, check_saved_and_forked
from tests.toy_systems import POLICIES, Toy, toy_params


@functools.cache
def toy_case(policy):
    system = Toy(policy=policy)
    return Case(system, toy_params(system))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_toy(check, policy):
    check(toy_case(policy))


@pytest.mark.parametrize("policy", POLICIES)
def test_toy_saved_and_forked(policy, tmp_path):
    check_saved_and_forked(toy_case(policy), tmp_path)
