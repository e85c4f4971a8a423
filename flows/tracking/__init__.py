"""What does MLflow know of a run? Runs, tags, measurements and files.

May import registry and what lies below it.
"""
