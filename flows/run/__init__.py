"""What are the steps of one run? The tasks of flows/retrain.py, why it runs, and its notifications.

May import what lies below the commands' packages: promotion and down.
"""
