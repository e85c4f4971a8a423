"""Are the rows of a file time series, on which steps do they lie, and how well is each forecast without a model?"""
