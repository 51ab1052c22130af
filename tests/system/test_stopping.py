"""What a signal raises is never lost."""

import os
import signal
import time

import pytest

from diffplan.system.stopping import Stopped, stoppable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


class _Stops:
    """Gets a signal in its finalizer, where Python ignores every exception."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_within_a_finalizer_stops_what_comes_after_it(number: signal.Signals) -> None:
    stopped = KeyboardInterrupt if number is signal.SIGINT else Stopped

    @stoppable()
    def goes_on() -> None:
        _Stops(number)
        time.sleep(60)

    with pytest.raises(stopped):
        goes_on()


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_other_errors_within_a_finalizer_are_reported_as_ever() -> None:
    class Fails:
        def __del__(self) -> None:
            raise ValueError("as ever")

    reported = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", lambda lost: reported.append(str(lost.exc_value)))
        with stoppable():
            Fails()
    assert reported == ["as ever"]
