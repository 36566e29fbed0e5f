"""What benchmarks and drills count."""
