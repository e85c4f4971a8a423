"""Copies: columns that say the same as another one, and rows that are the same as another one."""

import hashlib

import numpy as np
import pandas as pd

EACH = 3  # rows of a value, on average, at least
LEAST_OTHERS = 10  # rows that have not the commonest value: fewer may agree by chance


def columns(table: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    """(a column, an earlier one that says the same in other words): one value of the one for one of the other.

    table: values or codes [rows]. Columns whose values hardly come again say nothing of each other.
    """
    first: dict[bytes, str] = {}
    found = []
    for name, values in table.items():
        codes, kinds = pd.factorize(values)
        others = len(codes) - np.bincount(codes[codes >= 0], minlength=1).max()
        if len(kinds) <= len(codes) / EACH and others >= LEAST_OTHERS:
            said = hashlib.sha256(codes.astype(np.int32).tobytes()).digest()
            if said in first:
                found.append((name, first[said]))
            first.setdefault(said, name)
    return found


def distinct(table: dict[str, np.ndarray]) -> np.ndarray:
    """For each row [rows] whether no earlier one is equal to it in every column. table: codes [rows], -1 for none."""
    if not table:
        return np.ones(0, bool)
    mixed = np.zeros(len(next(iter(table.values()))), np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, len(table), np.uint64) | np.uint64(1)
    for codes, factor in zip(table.values(), factors, strict=True):
        mixed = (mixed ^ (mixed >> np.uint64(29))) * factor + codes.astype(np.int64).astype(np.uint64)
    return np.asarray(~pd.Series(mixed).duplicated().to_numpy())
