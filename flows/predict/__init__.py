"""What does a registered model answer to the rows of a file?

May import what lies below the commands' packages: promotion and down.
"""
