"""How sure is a difference between two models? Numbers in, numbers out: it knows no store and no file.

May import: records, and pipelines.
"""
