"""Summary: how are the values of a column distributed, in a few hundred numbers that can be added and compared?

May import what pipelines/table may.
"""
