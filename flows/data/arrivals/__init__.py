"""Arrivals: which files of a source are there, are they whole, and which rows have they lost?

May import project and what lies below it.
"""
