"""Decoders that make the same pixels, bit for bit, are of one family."""

ON_CPU = "FFmpeg on cpu"  # decord refuses the files on which it would differ
