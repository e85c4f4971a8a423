"""A command that a person, a service manager or a closed terminal stops: Ctrl-C, SIGTERM, SIGHUP."""

import signal

REASONS = {
    signal.SIGINT: "stopped by you (Ctrl-C)",
    signal.SIGTERM: "stopped by SIGTERM",
    signal.SIGHUP: "stopped, as its terminal was closed",
}


class Stopped(KeyboardInterrupt):
    """One of these signals has come. Whoever cleans up after Ctrl-C does so after this.

    number: of the signal. advice: what the person can do next, in words. told: whether the person has read it.
    """

    def __init__(self, number: int = signal.SIGINT, advice: str = ""):
        super().__init__(reason(number))
        self.number, self.advice, self.told = number, advice, False


def reason(number: int) -> str:
    """ "stopped by you (Ctrl-C)"."""
    return REASONS.get(signal.Signals(number), f"stopped by {signal.Signals(number).name}")


def found(error: BaseException | None) -> Stopped | None:
    """The stop that an error tells of; None if it tells of none.

    Libraries on the way may have made another error of it, and Prefect has one of its own for SIGTERM, with the number.
    """
    other = error
    while other is not None:
        if isinstance(other, Stopped):
            return other
        other = other.__cause__ or other.__context__
    if type(error).__name__ == "TerminationSignal":
        return Stopped(int(getattr(error, "signal", signal.SIGTERM)))
    return Stopped() if isinstance(error, KeyboardInterrupt) else None
