"""The errors a user can cause, each with the exit code that the command line gives for it."""


class UserError(ValueError):
    """Something the user can mend; the message is one line that says what, where and what to do."""

    exit_code = 1


class ConfigError(UserError):
    """The command line or the configuration asks for something that cannot be."""

    exit_code = 2


class FileError(UserError):
    """A file that is needed is missing or malformed: raw data, splits, a checkpoint."""

    exit_code = 3


class MismatchError(UserError):
    """Files that do not belong together, or finished output that would be overwritten."""

    exit_code = 4


class DivergedError(UserError):
    """The training loss is no longer a finite number."""


class RankError(UserError):
    """Of several processes that work on one thing, one has failed; all end as it does."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
