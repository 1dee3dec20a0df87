"""The one exception that a user is meant to read."""


class ConvlabError(Exception):
    """Something the user can mend. The message names the offending value and the way out.

    The command line prints it without a traceback and exits with status 1.
    """
