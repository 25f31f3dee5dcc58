"""Models behind an OpenAI-compatible endpoint, asked at once or by the Batch API."""
