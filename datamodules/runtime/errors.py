"""What a user can mend."""

CRASHED = "the decoder crashed on this file"
# OpenCV, torch, other C++, CUDA and its libraries
OUT_OF_MEMORY = ("Insufficient memory", "allocate memory", "bad_alloc", "out of memory", "ALLOC_FAILED")


class UserError(ValueError):
    """Names the thing, the value and the rule; the command line prints it without a traceback."""


def is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)
