"""How does a registered version become a file for another runtime, and does the file answer there as the model does?"""
