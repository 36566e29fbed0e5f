"""Benchmarks: ratios within one run, the machine named. Not part of any timed test."""
