"""The synthetic data set: textured objects on a cluttered background."""
