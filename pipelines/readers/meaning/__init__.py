"""Meaning: what does a raw value mean, in a single row and in a column of a file?

values.py imports only the standard library: registered versions carry a copy.
"""
