"""Recordings: frames of figures as blocks of a file, each with its checksum (docs/recording.md)."""
