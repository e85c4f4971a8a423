"""Can a version be made again as it was?

May import what lies below the commands' packages: promotion and down.
"""
