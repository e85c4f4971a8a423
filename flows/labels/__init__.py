"""What was right? Labels that come after an answer, with their two times, and joined to the log of answers."""
