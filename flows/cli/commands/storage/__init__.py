"""What is kept, and what goes? Commands that delete."""
