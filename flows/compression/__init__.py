"""Which smaller form of a version may answer in its place?"""
