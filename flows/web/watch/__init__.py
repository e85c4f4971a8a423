"""What has the last watch of a model found, and how do people read it?"""
