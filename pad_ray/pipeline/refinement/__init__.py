"""Teaching a student to repair its programs, in rounds."""
