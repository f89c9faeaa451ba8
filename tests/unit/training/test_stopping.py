"""Stop signals are noted once, and given back."""

import os
import signal

import pytest

from vos_jax.training.stopping import StopRequest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_the_handlers_return(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.after(1)
        os.kill(os.getpid(), number)
        assert stop.after(2)
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before


def test_without_a_signal_the_handlers_return_too():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture(name="interrupts")
def python_handles_interrupts():
    """Python's own handling; a job started in the background is told to ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_a_second_interrupt_acts_as_usual():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop.after(1)
