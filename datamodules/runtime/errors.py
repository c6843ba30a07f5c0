"""What a user can mend."""


class Refused(ValueError):
    """Names the thing, the value and the rule; the command line prints it without a traceback."""
