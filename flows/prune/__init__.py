"""What can be deleted, since no version that is still needed depends on it?

May import what lies below the commands' packages: promotion and down.
"""
