"""Parts of small.py."""
