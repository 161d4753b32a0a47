"""The S3 server of servers.py, for the tests of this folder."""

from tests.servers import s3, s3_environment

__all__ = ["s3", "s3_environment"]
