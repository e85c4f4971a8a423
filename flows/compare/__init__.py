"""What differs between two registered versions?

May import what lies below the commands' packages: promotion and down.
"""
