"""What is kept of people, and what is not."""
