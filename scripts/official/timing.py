"""Where the time of an official program goes."""

import time


def timed(owner, name: str, part: str, seconds: dict[str, float]) -> None:
    """Adds up the processor time of the calls of a function that `owner` holds."""
    function = getattr(owner, name)

    def measured(*args, **kwargs):
        start = time.process_time()
        result = function(*args, **kwargs)
        seconds[part] += time.process_time() - start
        return result

    setattr(owner, name, measured)
