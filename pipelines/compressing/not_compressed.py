"""Why a model has no variant of some kind."""


class NotCompressed(Exception):
    """The variant cannot be made of this model. The message says why, for people. It is a result and no failure."""
