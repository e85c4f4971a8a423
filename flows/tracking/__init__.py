"""What does MLflow know about a run? Runs, tags, measurements and files.

May import registry and what lies below it.
"""
