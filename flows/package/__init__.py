"""What does a folder need to serve one version without this project?

May import deployment and what lies below it; of serving it reads the text, and imports nothing.
"""
