"""Words of a sentence that depend on a number."""


def many(number: int, noun: str) -> str:
    """A number and its noun: 1 row, 1,797 rows. noun: one whose plural ends in s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
