"""How does a file of rows become a model's YAML?

May import what lies below the commands' packages: promotion and down.
"""
