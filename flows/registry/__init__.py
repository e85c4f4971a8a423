"""Which versions are registered, and are they unchanged?

May import graph and what lies below it.
"""
