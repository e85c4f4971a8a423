"""What can a person type? Commands, their options, and their answers in words.

May import every package.
"""

from flows.cli.entry import main

__all__ = ["main"]
