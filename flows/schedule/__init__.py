"""When does a model run by itself? The scheduler, and what it may start.

May import every package but cli and inspect.
"""
