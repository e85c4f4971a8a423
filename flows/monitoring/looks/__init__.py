"""What does each look at live rows say, as `ratchet watch` shows it, and which events follow from it?"""
