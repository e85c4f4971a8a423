"""Series: where is a row in time, and which rows before it does a model see?

May import what pipelines/table may.
"""
