"""Statistics, tables, figures and pages of images of all reports. Imports no torch."""
