"""Which data does a model have now, and which has it had? Sources are looked at and pinned.

May import tracking and what lies below it.
"""
