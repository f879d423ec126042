"""Waiting: for a condition, always with a bound; or for a fault's own length, which is time and nothing else."""
import threading
import time


def wait_for(check, seconds=30, what="the condition"):
    """Polls until `check` answers something true; its answer."""
    end = time.monotonic() + seconds
    tick = threading.Event()
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < end, f"{what} did not come true within {seconds} s"
        tick.wait(0.05)


def lasting(seconds):
    """How long a fault lasts."""
    threading.Event().wait(seconds)
