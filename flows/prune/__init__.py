"""What can be deleted because no needed version depends on it?

May import what lies below the commands' packages: promotion and down.
"""
