"""Sources, cameras and the ingest actor that turns them into batches."""
