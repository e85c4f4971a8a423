"""What do persons say of a candidate that waits for them?"""
