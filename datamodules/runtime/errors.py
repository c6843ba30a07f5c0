"""What a user can mend."""

CRASHED = "the decoder crashed on this file"


class UserError(ValueError):
    """Names the thing, the value and the rule; the command line prints it without a traceback."""
