"""Names of files with passwords or keys, which are copied to no run directory."""

from fnmatch import fnmatchcase

SECRET_FILE_PATTERNS = (
    *("secret.*", "secrets.*", "credential.*", "credentials.*", "password.*", "passwords.*"),
    *(".env", ".env.*", ".netrc", "*.key", "*.pem", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*"),
)
# arguments of git that select all files of a checkout but these
PATHSPECS = (":/", *(f":(top,exclude,icase,glob)**/{pattern}" for pattern in SECRET_FILE_PATTERNS))


def is_secret_file(name: str) -> bool:
    """Return whether a file name is one of a file with secrets."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in SECRET_FILE_PATTERNS)
