"""What do the columns of a table say of each other, and of the target?

May import: column_types and target, and pipelines. It knows no YAML and no file.
"""
