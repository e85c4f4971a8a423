"""What is kept of a person, and is it gone? Rows of an event's key are found and removed, and that is recorded."""
