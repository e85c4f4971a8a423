"""What has the user declared? The sections of a model's YAML, its rules and its own code.

May import process, safety and errors.
"""
